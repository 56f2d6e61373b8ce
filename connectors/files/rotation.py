"""Which files belong to a log that is rotated, and in which order they were written.

A log writer appends to one path. From time to time, one of two things happens to it:

* *Rename and recreate*: ``access.log`` becomes ``access.log.1`` (and ``.1`` becomes ``.2``, perhaps compressed as
  ``.2.gz``), and a new ``access.log`` begins. The file keeps its inode, unless it is compressed.
* *Copy and truncate*: ``access.log`` is copied to ``access.log.1`` and cut to nothing. The inode stays at the path.

So a file is recognised by its inode together with its first bytes, or by its first bytes alone. Rotated files of one
log are those in its directory whose name is the log's and something that begins with a digit (``.1``, ``-20240131``,
``.2024-01-31.gz``) or is ``.old``. They were written in the order of their modification times, which renaming and
compressing keep; where two are equal, ``.2`` was written before ``.1``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streamproc.errors import MissingExtraError, SourceError

from .compression import is_compressed, open_bytes
from .open_file import HEAD, FilePosition, fingerprint

__all__ = ["LogFile", "find_read_file", "next_file"]

_ROTATED = re.compile(r"[._-](?:\d[\w.:+-]*|old)")
_NUMBERED = re.compile(r"\.(\d{1,4})(?:\.gz|\.zst)?")


@dataclass(frozen=True, slots=True, order=True)
class _Written:
    """When a file was written last, in the order of rotation; the log itself comes after all others."""

    time: int
    rotations: int


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file of a log, as it was found."""

    path: Path
    inode: int
    size: int
    written: _Written


def find_read_file(log: Path, position: FilePosition) -> LogFile | None:
    """Return where the file of a position is now, or None if it is nowhere.

    The log's own path is looked at first, then the rotated files: those with the position's inode before copies.
    A copy counts if it begins with the same bytes and has all that was read.
    """
    while True:
        files = _settled(log)
        for file in files:
            if file.inode == position.inode and _holds(file, position):
                return file
        copy = next((file for file in files if _holds(file, position)), None) if position.offset else None
        # A file that was renamed before it could be opened is neither gone nor to be replaced by a copy.
        if _places(files) == _places(_listed(log)):
            return copy


def next_file(log: Path, read: Path, stat: os.stat_result, head: bytes) -> LogFile | None:
    """Return the file that was written after one that was read to its end: a rotated one, or the log itself.

    Args:
        log: The path that is followed.
        read: Where the file was opened.
        stat: What the file system says about it now.
        head: Its first bytes; a file that begins with the same is a copy of it.

    Returns:
        None if there is none yet.
    """
    files = _settled(log)
    rotated = [file for file in files if file.path != log]
    # A file that is removed by now had been the oldest.
    own = next((file.written for file in rotated if file.inode == stat.st_ino), _Written(stat.st_mtime_ns, -(1 << 30)))
    for candidate in sorted(rotated, key=lambda file: file.written):
        if candidate.written > own and candidate.inode != stat.st_ino and not _is_copy(candidate, stat, head):
            return candidate
    for candidate in files:
        if candidate.path == log and (candidate.inode != stat.st_ino or read != log):
            return candidate
    return None


def _settled(log: Path) -> list[LogFile]:
    """Return the files of a log: first the log itself, if it is there, then the rotated ones in no order.

    Files are listed and looked at one after the other, so one that is renamed meanwhile may be seen nowhere, and the
    file that follows it be taken for the next. So they are looked at until that shows the same twice.
    """
    files = _listed(log)
    while _places(again := _listed(log)) != _places(files):
        files = again
    return again


def _listed(log: Path) -> list[LogFile]:
    """Return the files of a log as one look finds them, which may miss one that is being renamed."""
    found = [*_candidates(log, log.name)]
    try:
        names = os.listdir(log.parent)
    except OSError as error:
        raise SourceError(f"the directory of {log} can't be listed: {error.strerror}") from error
    for name in names:
        if name.startswith(log.name) and _ROTATED.fullmatch(name, len(log.name)):
            found += _candidates(log, name)
    return found


def _places(files: list[LogFile]) -> dict[Path, int]:
    """Return which file is where; that some of them have grown makes no difference."""
    return {file.path: file.inode for file in files}


def _candidates(log: Path, name: str) -> Iterator[LogFile]:
    """Yield the file of a name in the log's directory, if it is there."""
    path = log.with_name(name)
    try:
        stat = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise SourceError(f"{path} can't be looked at: {error.strerror}") from error
    number = _NUMBERED.fullmatch(name, len(log.name))
    written = _Written(stat.st_mtime_ns, -int(number[1]) if number else 0)
    yield LogFile(path, stat.st_ino, stat.st_size, written)


def _holds(candidate: LogFile, position: FilePosition) -> bool:
    """Return whether a file begins with what was read before a position, and is long enough."""
    if not is_compressed(candidate.path) and candidate.size < position.offset:
        return False
    wanted = min(position.offset, HEAD)
    return fingerprint(_first_bytes(candidate.path, wanted)) == position.head


def _is_copy(candidate: LogFile, stat: os.stat_result, head: bytes) -> bool:
    if candidate.size != stat.st_size and candidate.written.time != stat.st_mtime_ns:
        return False
    return bool(head) and _first_bytes(candidate.path, len(head)) == head


def _first_bytes(path: Path, count: int) -> bytes:
    """Return the first bytes of a file's content, or none if they can't be read."""
    if not count:
        return b""
    try:
        stream = open_bytes(path)
    except (OSError, MissingExtraError):
        return b""
    try:
        data = b""
        while len(data) < count and (more := stream.read(count - len(data))):
            data += more
        return data[:count]
    except (OSError, SourceError):
        # A torn archive is none of ours, or its reader will say so.
        return b""
    finally:
        stream.close()
