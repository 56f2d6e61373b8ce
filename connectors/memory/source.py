"""`MemorySource`: records from lists in memory, one list a micro-batch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, InitVar, dataclass, field
from itertools import accumulate
from typing import Any, TypeVar

from streamproc.batch import Segment
from streamproc.codecs import Decoder
from streamproc.errors import SourceError
from streamproc.io.source import Limits, Position, Source, SourceBatch, SourceContext, SourceReader

from .queue import MemoryQueue, Waiters

__all__ = ["MemoryReader", "MemorySource"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class MemorySource(Source[T]):
    """A source of lists: each becomes one micro-batch, as with Spark's ``queueStream``.

    A list longer than the limits of a batch takes several; an empty one adds nothing. Lists can be sent while the job
    runs, from the thread of its event loop; ``close`` says that no more will come, and the source then finishes once
    all was read. Of several partitions, each gives one list to a batch.

    The definition owns the records and keeps them all, so that a job that crashed and is started again in the same
    process, on the same definition, reads on from its committed position. In a job of several shards, shard 0 reads.

    Attributes:
        batches: Lists to send at once.
        decode: Decodes the records, which are then `bytes`; only in this case does a batch's limit of bytes count.
        partitions: How many partitions there are.
        queues: What was sent, by partition.
        waiters: The readers that wait for more.

    Example:
        >>> source = MemorySource([[1, 2], [3]])
        >>> source.send([4, 5], timestamps=[1_000, 2_000])
        >>> source.close()
    """

    batches: InitVar[Iterable[Iterable[T] | Iterable[bytes]]] = ()
    _: KW_ONLY
    decode: Decoder[T] | None = None
    partitions: int = 1
    queues: dict[str, MemoryQueue[Any]] = field(default_factory=dict[str, MemoryQueue[Any]], init=False)
    waiters: Waiters = field(default_factory=Waiters, init=False)

    def __post_init__(self, batches: Iterable[Iterable[T] | Iterable[bytes]]) -> None:
        if self.partitions < 1:
            raise SourceError(f"MemorySource(partitions={self.partitions}): expected at least 1")
        self.queues.update({str(number): MemoryQueue[Any](self.waiters) for number in range(self.partitions)})
        self.send_many(batches)

    def send(
        self, items: Iterable[T] | Iterable[bytes], *, timestamps: Iterable[int] | None = None, partition: int = 0
    ) -> None:
        """Append a list of records to a partition.

        Args:
            items: The records.
            timestamps: Their times in epoch milliseconds, if the source should know them.
            partition: The number of the partition.

        Raises:
            SourceError: The source is closed, has no such partition, or there is not one timestamp a record.
        """
        queue = self.queues.get(str(partition))
        if queue is None:
            raise SourceError(f"records were sent to partition {partition} of {self.partitions}, counted from 0")
        queue.send(items, timestamps)

    def send_many(self, batches: Iterable[Iterable[T] | Iterable[bytes]]) -> None:
        """Append several lists of records to the first partition.

        Raises:
            SourceError: The source is closed.
        """
        for items in batches:
            self.send(items)

    def close(self) -> None:
        """Say that no more records will come. May be called twice."""
        for queue in self.queues.values():
            queue.close()

    @property
    def decoder(self) -> Decoder[T] | None:
        """How to decode the records, if they are bytes to be decoded."""
        return self.decode

    def open(self, context: SourceContext) -> SourceReader:
        """Make the reader for one shard."""
        queues = self.queues if context.shard == 0 else {}
        return MemoryReader(context.name, queues, self.waiters, sized=self.decode is not None)


class MemoryReader(SourceReader):
    """Reads some `MemoryQueue` objects; the position in a partition is the number of its next record.

    Args:
        name: The operator name of the source, for errors.
        queues: What to read, by partition.
        waiters: Who is woken when something was sent.
        sized: Whether records are bytes, so that the limit of bytes can be kept.
    """

    def __init__(self, name: str, queues: Mapping[str, MemoryQueue[Any]], waiters: Waiters, *, sized: bool) -> None:
        self._name = name
        self._queues = queues
        self._waiters = waiters
        self._sized = sized
        self._next = dict.fromkeys(queues, 0)
        self._ends: dict[str, int] | None = None
        self._paused: frozenset[str] = frozenset()

    async def start(self, positions: Mapping[str, Position]) -> None:
        """Go to the committed positions."""
        for partition, position in positions.items():
            queue = self._queues.get(partition)
            if queue is None or not (isinstance(position, int) and 0 <= position <= queue.size):
                there = ", ".join(f"{name!r} with records 0 to {queue.size}" for name, queue in self._queues.items())
                raise SourceError(
                    f"memory source {self._name!r} has partition {there or 'none'}, but is to go on at "
                    f"{dict(positions)}: after a restart, pass the same source, or one with the same records sent "
                    f"before the start"
                )
            self._next[partition] = position

    async def take(self, limits: Limits) -> SourceBatch:
        """Return the next list of each partition, or as much of it as the limits allow."""
        values: list[Any] = []
        times: list[int] = []
        timed = True
        segments: list[Segment] = []
        positions: dict[str, Position | None] = {}
        more = False
        size = 0
        for partition in self._due():
            start = self._next[partition]
            queued = self._queues[partition].read(start)
            count = self._fitting(queued.values, limits.records - len(values), limits.bytes - size, some=not values)
            more = more or count < len(queued.values)
            if not count:
                continue
            values += queued.values[:count]
            timed = timed and queued.timestamps is not None
            times += (queued.timestamps or ())[:count]
            size += sum(map(len, queued.values[:count])) if self._sized else 0
            segments.append(Segment(partition, count, start))
            self._next[partition] = positions[partition] = start + count
        caught_up = {name: self._next[name] >= self._end(name) for name in self._queues}
        return SourceBatch(values, segments, positions, times if timed else None, more=more, caught_up=caught_up)

    async def wait(self) -> None:
        """Return once there is a list, or no more will come."""
        while not (self._due() or self.finished):
            await self._waiters.changed()

    def pause(self, partitions: Collection[str]) -> None:
        """Take nothing from some partitions."""
        self._paused = frozenset(partitions)

    @property
    def finished(self) -> bool:
        """Whether the source was closed, or bounded, and everything was taken."""
        closed = self._ends is not None or all(queue.closed for queue in self._queues.values())
        return closed and all(self._next[name] >= self._end(name) for name in self._queues)

    @property
    def bounded(self) -> bool:
        """Whether the source was closed, and `bound` has not left out what was sent since."""
        return all(queue.closed and self._end(name) == queue.size for name, queue in self._queues.items())

    async def bound(self) -> None:
        """Read no list that is sent from now on."""
        self._ends = {name: queue.size for name, queue in self._queues.items()}

    async def close(self) -> None:
        """Do nothing: the definition keeps the records."""

    def _due(self) -> list[str]:
        """Return the partitions that have a list to take."""
        return [name for name, at in self._next.items() if at < self._end(name) and name not in self._paused]

    def _end(self, partition: str) -> int:
        return self._queues[partition].size if self._ends is None else self._ends[partition]

    def _fitting(self, values: Sequence[Any], records: int, size: int, *, some: bool) -> int:
        """Return how many of the first values fit into the limits; one at least if there must be some."""
        count = min(len(values), records)
        if self._sized and sum(map(len, values[:count])) > size:
            within = sum(1 for total in accumulate(map(len, values[:count])) if total <= size)
            count = max(within, min(count, 1)) if some else within
        return count
