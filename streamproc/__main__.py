"""``python -m streamproc`` is the streamproc command."""

from streamproc.cli import main

if __name__ == "__main__":
    main()
