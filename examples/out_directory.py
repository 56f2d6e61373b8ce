"""Where an example writes when it isn't told: a directory of its own for each run."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from streamproc.eventtime.clock import SystemClock

__all__ = ["new_directory"]


def new_directory(example: str) -> Path:
    """Make a directory in ``out/``, named after the example and the time, that no other run has."""
    name = f"{example}-{datetime.fromtimestamp(SystemClock().now() / 1000, UTC):%Y%m%d-%H%M%S}"
    for number in count(1):
        directory = Path("out") / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            directory.mkdir(parents=True)
            return directory
    raise AssertionError("numbers have no end")
