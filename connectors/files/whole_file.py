"""`WholeFile`: one file from its start to its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamproc.errors import SourceError
from streamproc.io.source import Position

from .format import Format
from .open_file import OpenFile, decode_position
from .record_buffer import Taken

__all__ = ["WholeFile"]


class WholeFile:
    """Reads one file, compressed or not, to the end that it has when the end is reached.

    Args:
        path: The file.
        format: What its records are.
        source: The operator name of the source, for errors.
        max_record_bytes: The longest record that is not an error.
    """

    def __init__(self, path: Path, format: Format[Any], *, source: str, max_record_bytes: int) -> None:
        self._path = path
        self._format = format
        self._source = source
        self._max_record_bytes = max_record_bytes
        self._file: OpenFile | None = None
        self._moved = False

    def ready(self) -> bool:
        """Return whether ``take`` would return a record."""
        return self._open.ready

    def finished(self) -> bool:
        """Return whether the file was read to its end."""
        return self._file is not None and self._file.ended and not self._file.ready

    @property
    def _open(self) -> OpenFile:
        assert self._file is not None, "start comes first"
        return self._file

    def start(self, positions: Mapping[str, Position]) -> None:
        """Open the file."""
        name = self._path.name
        position = decode_position(positions[name], source=self._source) if name in positions else None
        try:
            self._file = OpenFile(
                self._path,
                self._format,
                partition=name,
                max_record_bytes=self._max_record_bytes,
                position=position,
            )
        except OSError as error:
            raise SourceError(
                f"source {self._source!r} can't open {self._path}: {error.strerror}. "
                "To wait for a file that is not there yet, use FileSource(…, follow=True)"
            ) from error

    def fill(self) -> None:
        """Read on until a record is ready or the file has ended."""
        file = self._open
        while not file.ready and not file.ended:
            if data := file.read():
                file.feed(data)
            else:
                file.end()

    def take(self, records: int, size: int, *, at_least_one: bool) -> Taken:
        """Hand out records that are ready."""
        self._moved = True
        return self._open.take(records, size, at_least_one=at_least_one)

    def moved(self) -> Mapping[str, Position | None]:
        """Return the position, if it has changed since the last call."""
        moved, self._moved = self._moved, False
        return {self._path.name: self._open.position.encode()} if moved else {}

    def bound(self) -> None:
        """Do nothing: the file has an end anyway."""

    def progress(self) -> tuple[int, int] | None:
        """Return how many bytes were read and how many there are, as on disk."""
        return None if self._file is None else self._file.progress()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
