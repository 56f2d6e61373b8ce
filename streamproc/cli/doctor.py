"""``streamproc doctor``: whether this machine has what an app needs."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from streamproc.errors import StateError
from streamproc.state import RocksStore

__all__ = ["doctor"]

_LEAST_FREE = 1 << 30
_GIBIBYTE = 1 << 30


class _ProblemError(Exception):
    """What is found is not good enough; the message says what to do."""


def doctor(
    *,
    state_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Where state is to be kept; it need not exist yet.")
    ] = Path(".streamproc"),
) -> None:
    """Check the machine: Python, packages, whether state can be kept here. Exits with 1 if something is wrong."""
    checks: dict[str, Callable[[], str]] = {
        "python": _python,
        "streamproc": lambda: version("streamproc"),
        "uvloop": _uvloop,
        "state": lambda: _state(_existing(state_dir)),
        "disk": lambda: _disk(_existing(state_dir)),
    }
    wrong = 0
    for name, check in checks.items():
        try:
            typer.echo(f"ok       {name:<11} {check()}")
        except _ProblemError as problem:
            wrong += 1
            typer.echo(f"problem  {name:<11} {problem}")
    if wrong:
        raise typer.Exit(1)


def _python() -> str:
    return f"{platform.python_version()} ({platform.python_implementation()}) at {sys.executable}"


def _uvloop() -> str:
    try:
        return version("uvloop")
    except PackageNotFoundError:
        # A dependency wherever it has a wheel; asyncio's own loop does as well.
        return "not installed: asyncio's own event loop is used, which is slower"


def _state(directory: Path) -> str:
    """Open a store where state will be: not every file system has the locks and links that it needs."""
    try:
        with tempfile.TemporaryDirectory(prefix=".streamproc-doctor-", dir=directory) as scratch:
            RocksStore.open(scratch).close()
    except (OSError, StateError) as error:
        raise _ProblemError(f"no state can be kept in {directory}: {error}") from error
    return f"RocksDB (rocksdict {version('rocksdict')}) works in {directory}"


def _disk(directory: Path) -> str:
    free = shutil.disk_usage(directory).free
    text = f"{free / _GIBIBYTE:.1f} GiB free in {directory}"
    if free < _LEAST_FREE:
        raise _ProblemError(f"{text}: free some, an app that can't write its state stops")
    return text


def _existing(directory: Path) -> Path:
    """Return the directory, or the nearest one around it that exists."""
    directory = directory.absolute()
    return directory if directory.is_dir() else _existing(directory.parent)
