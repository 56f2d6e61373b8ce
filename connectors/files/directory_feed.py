"""`DirectoryFeed`: the files of a directory, one after the other, each once.

Positions: the file being read is a partition of its own, named after it, with a `FilePosition`; it is forgotten when
the file is done. What is done is remembered in up to 256 partitions ``/done/00`` to ``/done/ff`` (no file can be called
that), by `DoneFiles`; those carry no rows.

A scan costs one listing, plus one `stat` for each name not seen before. It is left out while the directory's own
modification time stands still, except that every change is scanned for twice and that there is a scan after 16 polls in
any case: file systems tell times in ticks of some milliseconds, and some tell them late.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from heapq import heappop, heappush
from pathlib import Path
from stat import S_ISREG
from typing import Any
from zlib import crc32

from streamproc.errors import SourceError
from streamproc.io.source import Position

from .done_files import DoneFiles
from .format import Format
from .open_file import FilePosition, OpenFile, decode_position
from .record_buffer import Taken

__all__ = ["DirectoryFeed"]

_SCAN_ANYWAY = 16


@dataclass(frozen=True, slots=True, order=True)
class _Waiting:
    """A file to be read; those being read when the job stopped come first."""

    started: int
    time: int
    name: str
    size: int


class DirectoryFeed:
    """Reads the files of one shard; see `streamproc.connectors.files.polled.Feed`.

    Args:
        directory: Where the files are.
        pattern: Which names to read.
        format: What their records are.
        source: The operator name of the source, for errors.
        shard: Which files to read: those whose names hash to this number.
        shards: How many such numbers there are.
        max_record_bytes: The longest record that is not an error.
        watch: Whether to wait for more files.
    """

    def __init__(
        self,
        directory: Path,
        pattern: str,
        format: Format[Any],
        *,
        source: str,
        shard: int,
        shards: int,
        max_record_bytes: int,
        watch: bool,
    ) -> None:
        self._directory = directory
        self._pattern = pattern
        self._format = format
        self._source = source
        self._shard = shard
        self._shards = shards
        self._max_record_bytes = max_record_bytes
        self._watch = watch
        self._file: OpenFile | None = None
        self._file_moved = False
        self._file_known = False
        """Whether the engine has a position in the file."""
        self._resumed: dict[str, FilePosition] = {}
        self._queue: list[_Waiting] = []
        self._seen: dict[str, str] = {}
        """The names of the last scan, with their keys."""
        self._present: set[str] = set()
        """The keys of the last scan."""
        self._done = DoneFiles()
        self._forgotten: dict[str, Position | None] = {}
        self._complete = False
        self._changed_at = -1
        self._scans_due = 0
        self._polls = 0
        self._bytes_waiting = 0
        self._bytes_done = 0

    def ready(self) -> bool:
        """Return whether ``take`` would return a record."""
        return self._file is not None and self._file.ready

    def finished(self) -> bool:
        """Return whether all files are read and no more are waited for."""
        return self._complete and not self.ready()

    def start(self, positions: Mapping[str, Position]) -> None:
        """Find what is there, and what was being read."""
        self._done.load(positions)
        for name, text in positions.items():
            if not DoneFiles.owns(name):
                self._resumed[name] = decode_position(text, source=self._source)
        self._scan()
        for name in self._resumed.keys() - self._seen.keys():
            raise SourceError(
                f"source {self._source!r}: {self._directory / name} is gone, but was read up to byte "
                f"{self._resumed[name].offset} only. Put it back; files may be removed when they are done"
            )
        self._complete = not self._watch and not self._queue

    def fill(self) -> None:
        """Read on until a record is ready or there is nothing more now."""
        while not self.ready():
            if self._file is None:
                if not self._queue and self._watch:
                    self._poll()
                if not self._queue:
                    self._complete = not self._watch
                    return
                self._open(heappop(self._queue))
            elif self._file.ended:
                self._finish(self._file)
            elif data := self._file.read():
                self._file.feed(data)
            else:
                self._file.end()

    def take(self, records: int, size: int, *, at_least_one: bool) -> Taken:
        """Hand out records that are ready."""
        assert self._file is not None
        self._file_moved = True
        return self._file.take(records, size, at_least_one=at_least_one)

    def moved(self) -> Mapping[str, Position | None]:
        """Return the positions that have changed since the last call."""
        moved: dict[str, Position | None] = {**self._forgotten, **self._done.moved(self._present)}
        self._forgotten = {}
        if self._file is not None and self._file_moved:
            moved[self._file.path.name] = self._file.position.encode()
            self._file_known = True
        self._file_moved = False
        return moved

    def bound(self) -> None:
        """Read only what is there now."""
        if self._watch:
            self._scan()
            self._watch = False

    def progress(self) -> tuple[int, int] | None:
        """Return how many bytes were read since the start, and how many files were there to read, as on disk."""
        read, size = (0, 0) if self._file is None else self._file.progress()
        return self._bytes_done + read, self._bytes_done + size + self._bytes_waiting

    def close(self) -> None:
        """Close the file being read."""
        if self._file is not None:
            self._file.close()

    def _open(self, waiting: _Waiting) -> None:
        self._bytes_waiting -= waiting.size
        path = self._directory / waiting.name
        self._file_known = waiting.started < 0
        try:
            self._file = OpenFile(
                path,
                self._format,
                partition=waiting.name,
                max_record_bytes=self._max_record_bytes,
                position=self._resumed.pop(waiting.name, None),
            )
        except FileNotFoundError:
            if waiting.started < 0:
                raise SourceError(f"source {self._source!r}: {path} was removed before it was done") from None
        except OSError as error:
            raise SourceError(f"source {self._source!r} can't open {path}: {error.strerror}") from error

    def _finish(self, file: OpenFile) -> None:
        name = file.path.name
        key = self._seen.get(name) or DoneFiles.key(name)
        # A file that is gone by now is remembered until its partition changes again.
        self._present.add(key)
        self._done.add(key)
        if self._file_moved or self._file_known:
            self._forgotten[name] = None
        self._bytes_done += file.progress()[1]
        file.close()
        self._file = None
        self._file_moved = self._file_known = False

    def _poll(self) -> None:
        """Scan if there may be something new."""
        self._polls += 1
        changed_at = self._stat(self._directory).st_mtime_ns
        if changed_at != self._changed_at:
            self._changed_at = changed_at
            self._scans_due = 2
        if self._scans_due or self._polls % _SCAN_ANYWAY == 0:
            self._scans_due = max(0, self._scans_due - 1)
            self._scan()

    def _scan(self) -> None:
        """Put new files into the queue."""
        try:
            names = os.listdir(self._directory)
        except OSError as error:
            raise SourceError(
                f"source {self._source!r} can't list {self._directory}: {error.strerror}. The directory must exist"
            ) from error
        seen: dict[str, str] = {}
        for name in names:
            key = self._seen.get(name)
            if key is None:
                key = DoneFiles.key(name)
                if not self._accept(name, key):
                    continue
            seen[name] = key
        self._seen = seen
        self._present = set(seen.values())

    def _accept(self, name: str, key: str) -> bool:
        """Put a file into the queue if it is to be read, and return whether the name needs no second look."""
        if name.startswith((".", "_")) or not fnmatchcase(name, self._pattern):
            return True
        if crc32(name.encode(errors="surrogateescape")) % self._shards != self._shard or key in self._done:
            return True
        try:
            stat = (self._directory / name).stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise SourceError(f"source {self._source!r} can't look at {self._directory / name}: {error}") from error
        if S_ISREG(stat.st_mode):
            started = -1 if name in self._resumed else 0
            heappush(self._queue, _Waiting(started, stat.st_mtime_ns, name, stat.st_size))
            self._bytes_waiting += stat.st_size
        return True

    def _stat(self, path: Path) -> os.stat_result:
        try:
            return path.stat()
        except OSError as error:
            raise SourceError(f"source {self._source!r} can't look at {path}: {error.strerror}") from error
