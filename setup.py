"""Maps the top-level folders ``connectors/`` and ``state/`` to ``streamproc.connectors`` and ``streamproc.state``.

All other metadata is in pyproject.toml. setuptools follows the two links in ``streamproc/``, so they are left out of
the first search and added from the real folders: otherwise each file would be packaged twice.
"""

from setuptools import find_packages, setup

FOLDERS = ("connectors", "state")

packages = find_packages(
    include=["streamproc", "streamproc.*"],
    exclude=[pattern for folder in FOLDERS for pattern in (f"streamproc.{folder}", f"streamproc.{folder}.*")],
)
for folder in FOLDERS:
    packages.append(f"streamproc.{folder}")
    packages += [f"streamproc.{folder}.{name}" for name in find_packages(folder)]

# Files that `streamproc new` copies; not Python, so not found above.
packages.append("streamproc.cli.templates")

setup(
    packages=packages,
    package_dir={f"streamproc.{folder}": folder for folder in FOLDERS},
    package_data={"streamproc": ["py.typed"], "streamproc.cli.templates": ["*.txt"]},
)
