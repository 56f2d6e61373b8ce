"""From fetched bytes to columns: the rules by which a consumer may read a partition, without any I/O.

aiokafka's own consumer makes an object of each record in Python; here only what is asked for is taken, a batch at a
time. The rules are the same, and a test holds them against it:

* a batch whose checksum is wrong is never read;
* batches with markers of transactions are skipped, and move the position;
* with `read_committed`, so are batches of aborted transactions: the broker says which producers' batches, from which
  offset on, up to their abort marker;
* records before the position are skipped (the broker gives whole batches), and offsets may have gaps (compaction).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamproc.batch import Segment
from streamproc.errors import SourceError

from .compression import DecompressionLimitError, Scratch
from .offsets import Partition
from .record_batch import RawBatch

__all__ = ["Columns", "PartitionLog", "readable"]


@dataclass(frozen=True, slots=True)
class Columns:
    """Some records of one partition.

    Attributes:
        records: The records of aiokafka's C extension, if more than values was asked for, else empty.
        values: Their values; None for a tombstone.
        first: The offset of the first one.
        offsets: All their offsets, where there are gaps between them.
        next_offset: Where to go on behind them.
        size: How many bytes they take, about.
    """

    records: list[Any]
    values: list[bytes | None]
    first: int
    offsets: Sequence[int] | None
    next_offset: int
    size: int

    def __len__(self) -> int:
        return len(self.values)

    def before(self, offset: int) -> int:
        """Return how many of the records have smaller offsets."""
        if self.offsets is None:
            return min(max(0, offset - self.first), len(self))
        return bisect_left(self.offsets, offset)

    def part(self, start: int, end: int) -> Columns:
        """Return a part of the records."""
        offsets = None if self.offsets is None else self.offsets[start:end]
        if end >= len(self):
            next_offset = self.next_offset
        else:
            next_offset = self.first + end if self.offsets is None else self.offsets[end]
        first = self.first + start if offsets is None else (offsets[0] if offsets else next_offset)
        values = self.values[start:end]
        size = self.size * len(values) // max(1, len(self))
        return Columns(self.records[start:end], values, first, offsets, next_offset, size)

    def segment(self, partition: Partition) -> Segment:
        """Return where the records come from."""
        return Segment(str(partition), len(self), self.first, positions=self.offsets)


def readable(
    data: bytes | memoryview, aborted: Sequence[tuple[int, int]], position: int, *, committed: bool
) -> tuple[list[RawBatch], int]:
    """Return the batches that may be read, and the position behind all, also those that may not.

    Args:
        data: The batches of one partition as they were fetched.
        aborted: Producers and the first offsets of their transactions that were aborted.
        position: Where to begin.
        committed: Whether aborted transactions are left out.
    """
    waiting = sorted(aborted, key=lambda transaction: transaction[1], reverse=True)
    aborting: set[int] = set()
    batches: list[RawBatch] = []
    for batch in RawBatch.all_in(data):
        while waiting and waiting[-1][1] <= batch.base_offset:
            aborting.add(waiting.pop()[0])
        if batch.is_control:
            if batch.is_abort:
                aborting.discard(batch.producer_id)
        elif (
            batch.next_offset > position
            and batch.count
            and not (committed and batch.is_transactional and batch.producer_id in aborting)
        ):
            batches.append(batch)
        position = max(position, batch.next_offset)
    return batches, position


class PartitionLog:
    """What was fetched of one partition and not yet taken, in order.

    Args:
        partition: The partition.
        position: The next offset to take.
        committed: Whether aborted transactions are left out.
        whole: Whether more than values is asked for.
        max_batch_bytes: How large a batch may be, decompressed.
        scratch: Where to decompress; logs may share it.
    """

    def __init__(
        self,
        partition: Partition,
        position: int,
        *,
        committed: bool,
        whole: bool,
        max_batch_bytes: int,
        scratch: Scratch,
    ) -> None:
        self.partition = partition
        self.position = position
        """The next offset to take."""
        self.fetch_from = position
        """The next offset to fetch."""
        self.bytes = 0
        """How many bytes wait to be taken."""
        self._end_seen_at: int | None = None
        self._committed = committed
        self._whole = whole
        self._max_batch_bytes = max_batch_bytes
        self._scratch = scratch
        self._batches: list[RawBatch] = []
        self._opened: Columns | None = None

    @property
    def has_records(self) -> bool:
        """Whether there is something to take."""
        return self._opened is not None or bool(self._batches)

    def add(self, data: bytes | memoryview, aborted: Sequence[tuple[int, int]]) -> None:
        """Take what was fetched from ``fetch_from`` on."""
        batches, self.fetch_from = readable(data, aborted, self.fetch_from, committed=self._committed)
        batches.reverse()
        self._batches[:0] = batches
        self.bytes += sum(len(batch.data) for batch in batches)
        self._skip()

    def answered(self, high_watermark: int, now: int) -> None:
        """Learn where the partition ended when the broker answered, behind what it has just given."""
        self._end_seen_at = now if self.fetch_from >= high_watermark else None

    def caught_up(self, since: int) -> bool:
        """Return whether everything was taken, and the broker has said at a time or later that there is no more."""
        return not self.has_records and self._end_seen_at is not None and self._end_seen_at >= since

    def go_to(self, offset: int) -> None:
        """Go on at another offset, as the next one is not there.

        What waits to be taken is still given if the offset is ahead of it. If not, the log was cut off somewhere, and
        all that may still be there is read again.
        """
        if offset < self.fetch_from:
            offset = self.position = min(offset, self.position)
            self._batches.clear()
            self._opened = None
            self.bytes = 0
        self.fetch_from = offset
        self._end_seen_at = None
        self._skip()

    def take(self, max_records: int, max_bytes: int, end: int | None = None, *, some: bool = True) -> Columns | None:
        """Return some records and move the position behind them; None if there are none.

        Args:
            max_records: How many at most.
            max_bytes: How large their values may be together.
            end: The offset before which to stop.
            some: Whether one record is given whatever its size.

        Raises:
            SourceError: A batch is damaged, or too large.
        """
        columns = self._opened or self._open()
        if columns is None:
            return None
        count = min(len(columns), max_records)
        if end is not None:
            count = min(count, columns.before(end))
        if columns.size > max_bytes:
            within = _within(columns.values, count, max_bytes)
            count = max(within, min(count, 1)) if some else within
        if not count:
            self._opened = columns
            if end is not None and not columns.before(end):
                # What is left in front of the end are markers of transactions, which nobody will take.
                self.position = max(self.position, end)
            return None
        if count == len(columns):
            self._opened, taken = None, columns
        else:
            taken = columns.part(0, count)
            self._opened = columns.part(count, len(columns))
        self.position = taken.next_offset
        self._skip()
        return taken

    def _open(self) -> Columns | None:
        """Read the next batch that has records for us."""
        while self._batches:
            batch = self._batches.pop()
            self.bytes -= len(batch.data)
            columns = self._read(batch)
            if before := columns.before(self.position):
                columns = columns.part(before, len(columns))
            if columns:
                return columns
            self.position = max(self.position, columns.next_offset)
        self._skip()
        return None

    def _skip(self) -> None:
        """Move the position behind what is known to hold no record for us."""
        if not self.has_records:
            self.position = self.fetch_from

    def _read(self, batch: RawBatch) -> Columns:
        if not batch.intact():
            raise SourceError(
                f"{self.partition}: the batch at offset {batch.base_offset} is damaged: its checksum is wrong. If that "
                f"stays so after a restart, the broker's log is damaged: go on behind it by {self._reset_behind(batch)}"
            )
        try:
            records, size = batch.records(self._max_batch_bytes, self._scratch)
            first, behind = batch.base_offset, batch.next_offset
            if not self._whole and batch.count == behind - first:
                return Columns([], [record.value for record in records], first, None, behind, size)
            kept = list(records)
        except DecompressionLimitError as error:
            raise SourceError(
                f"{self.partition}: {error}. KafkaSource(max_batch_bytes=…) is the limit: set a higher one, or go on "
                f"behind it by {self._reset_behind(batch)}"
            ) from error
        offsets = [record.offset for record in kept]
        contiguous = bool(offsets) and offsets[-1] - offsets[0] == len(offsets) - 1
        return Columns(
            kept if self._whole else [],
            [record.value for record in kept],
            offsets[0] if offsets else behind,
            None if contiguous else offsets,
            behind,
            size,
        )

    def _reset_behind(self, batch: RawBatch) -> str:
        """Return the command that has a stopped app go on behind a batch."""
        return f"`streamproc offsets reset MODULE:APP --to {batch.next_offset} --partition {self.partition}`"


def _within(values: Sequence[bytes | None], count: int, max_bytes: int) -> int:
    """Return how many of the first values fit into a number of bytes."""
    total = 0
    for number, value in enumerate(values[:count]):
        total += len(value or b"")
        if total > max_bytes:
            return number
    return count
