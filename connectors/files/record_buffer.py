"""`RecordBuffer`: chunks of one file in, records and their places out; no I/O."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from streamproc.batch import Segment
from streamproc.errors import SourceError

from .format import Format

__all__ = ["RecordBuffer", "Taken"]


@dataclass(frozen=True, slots=True)
class Taken:
    """Records handed out.

    Attributes:
        values: The raw records, ready for the decoder.
        segments: Their line numbers, counted from 1.
        records: How many records of the file were passed over, blank ones included.
        size: How many bytes of the file.
    """

    values: list[bytes]
    segments: Sequence[Segment]
    records: int
    size: int


class RecordBuffer:
    """The records of a file between being read and being handed out.

    Args:
        format: Where records end.
        file: What to call the file in errors.
        partition: What to call it in segments.
        max_record_bytes: The longest record that is not an error.
        offset: Where the first chunk begins in the file.
        line: The number of the line there, from 1.
        header: The header record of the file, where the format has one and the first chunk doesn't begin with it.
    """

    def __init__(
        self,
        format: Format[Any],
        *,
        file: str,
        partition: str,
        max_record_bytes: int,
        offset: int = 0,
        line: int = 1,
        header: bytes | None = None,
    ) -> None:
        self.offset = offset
        self.line = line
        self._format = format
        self._file = file
        self._partition = partition
        self._max_record_bytes = max_record_bytes
        self._prefix: bytes | None = None if format.has_header else b""
        if header is not None:
            self._prefix = format.prefix(header)
        self._tail = b""
        self._records: list[bytes] = []
        self._next = 0
        self._ends: list[int] | None = None
        self._open_end = False
        self._returns = False

    @property
    def ready(self) -> bool:
        """Whether there are records to take."""
        return self._next < len(self._records)

    @property
    def header_known(self) -> bool:
        """Whether the header of the file was read, or there is none."""
        return self._prefix is not None

    def feed(self, data: bytes) -> None:
        """Add the next chunk of the file; only when nothing is `ready`.

        Raises:
            SourceError: A record is longer than allowed.
        """
        if self._tail:
            data = self._tail + data
        records, used = self._format.split(data)
        self._tail = data[used:] if used else data
        longest = self._max_record_bytes
        if len(data) > longest and (len(self._tail) > longest or max(map(len, records), default=0) > longest):
            raise self._too_long([*records, self._tail])
        self._accept(records, b"\r\n" in data)

    def end(self) -> None:
        """Treat what was fed as the whole file: a last line without a line break is a record."""
        if self._tail:
            records, self._tail = [self._tail], b""
            self._open_end = True
            self._accept(records, records[0].endswith(b"\r"))

    def take(self, records: int, size: int, *, at_least_one: bool) -> Taken:
        """Hand out the next records within limits.

        Args:
            records: How many at most.
            size: How many bytes of the file at most.
            at_least_one: Whether to hand out one that is larger than ``size``.
        """
        start, stop = self._next, min(self._next + records, len(self._records))
        if start == 0 and stop == len(self._records):
            used = sum(map(len, self._records)) + stop
        else:
            used = self._size(start, stop)
        if used > size:
            ends = self._ends_of_records()
            behind = ends[start - 1] if start else 0
            stop = max(bisect_right(ends, behind + size, start, stop), start + 1 if at_least_one else start)
            used = self._size(start, stop)
        raw = self._records if start == 0 and stop == len(self._records) else self._records[start:stop]
        self._next = stop
        if stop == len(self._records):
            self._records, self._next, self._ends = [], 0, None
            if self._open_end and used:
                used -= 1
        values, segments = self._finish(raw)
        self.offset += used
        return Taken(values, segments, stop - start, used)

    def _accept(self, records: list[bytes], returns: bool) -> None:
        assert not self.ready
        self._records, self._next, self._ends = records, 0, None
        self._returns = returns
        while self._prefix is None and self._next < len(self._records):
            header = self._records[self._next].removesuffix(b"\r")
            self.offset += len(self._records[self._next]) + (0 if self._open_end else 1)
            self.line += 1 + header.count(b"\n")
            self._next += 1
            if header:
                self._prefix = self._format.prefix(header)
        if not self.ready:
            self._records, self._next = [], 0

    def _ends_of_records(self) -> list[int]:
        """Return the ends of all records of the chunk; computed once for a chunk that is cut."""
        if self._ends is None:
            self._ends = list(accumulate(len(record) + 1 for record in self._records))
        return self._ends

    def _size(self, start: int, stop: int) -> int:
        if stop == start:
            return 0
        ends = self._ends_of_records()
        return ends[stop - 1] - (ends[start - 1] if start else 0)

    def _finish(self, raw: list[bytes]) -> tuple[list[bytes], list[Segment]]:
        """Return records as the decoder wants them, and the lines they are on."""
        if self._returns:
            raw = [record[:-1] if record[-1:] == b"\r" else record for record in raw]
        blank = self._format.skips_blank and b"" in raw
        prefix = self._prefix or b""
        if not blank and not (self._format.multiline and any(b"\n" in record for record in raw)):
            segments = [Segment(self._partition, len(raw), self.line)] if raw else []
            self.line += len(raw)
            return ([prefix + record for record in raw] if prefix else raw), segments
        values: list[bytes] = []
        runs: list[Segment] = []
        first, count = self.line, 0
        for record in raw:
            if record or not blank:
                values.append(prefix + record)
                count += 1
            height = 1 + record.count(b"\n")
            self.line += height
            if height > 1 or not record:
                if count:
                    runs.append(Segment(self._partition, count, first))
                first, count = self.line, 0
        if count:
            runs.append(Segment(self._partition, count, first))
        return values, runs

    def _too_long(self, records: Sequence[bytes]) -> SourceError:
        offset = self.offset
        for record in records:
            if len(record) > self._max_record_bytes:
                break
            offset += len(record) + 1
        return SourceError(
            f"{self._file}: the record at byte {offset} is longer than {self._max_record_bytes} bytes: "
            "raise max_record_bytes, or check that the file has the format that the source expects"
        )
