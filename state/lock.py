"""The lock that keeps a state directory to one store."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from streamproc.errors import StateLockedError

__all__ = ["DirectoryLock"]


class DirectoryLock:
    """Keeps a directory to one store. RocksDB has a lock of its own, but not before the mark is read.

    Args:
        directory: The directory.
        shared: Others may have it too, if they share it as well; nothing is written then.
    """

    def __init__(self, directory: Path, *, shared: bool = False) -> None:
        self._shared = shared
        self._file = (directory / "OWNER").open("rb" if shared else "a+b", buffering=0)
        try:
            fcntl.flock(self._file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            pid = self._file.read(20).decode("ascii", "replace").strip()
            self._file.close()
            who = (
                "this process, by another app or store" if pid == str(os.getpid()) else f"process {pid or '(unknown)'}"
            )
            raise StateLockedError(
                f"the state directory {directory} is open in {who}: stop that first, or use another directory"
            ) from None
        if not shared:
            self._file.truncate(0)
            self._file.write(b"%d\n" % os.getpid())

    def release(self) -> None:
        """Give the directory free."""
        if not self._shared:
            self._file.truncate(0)
        self._file.close()
