"""Writing files so that they survive a crash of the machine: each function is one blocking step."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["append_at", "rename", "sync_directory", "truncate", "write"]


def write(path: Path, *pieces: bytes) -> None:
    """Make a file of these pieces, in place of any that is there; durable up to its name."""
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def append_at(path: Path, offset: int, data: bytes) -> None:
    """Cut an existing file to ``offset`` bytes and append to it; durable."""
    with path.open("r+b") as file:
        file.truncate(offset)
        file.seek(offset)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def truncate(path: Path, size: int) -> None:
    """Cut an existing file to ``size`` bytes; durable."""
    append_at(path, size, b"")


def rename(aside: Path, path: Path) -> None:
    """Rename a file, in place of any that has the name; durable with `sync_directory`."""
    aside.replace(path)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
