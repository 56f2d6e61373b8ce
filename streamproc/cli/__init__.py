"""The streamproc command."""

from streamproc.cli.entry import main

__all__ = ["main"]
