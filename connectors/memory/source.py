"""`MemorySource`: records from lists in memory, one list a micro-batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, InitVar, dataclass, field
from itertools import accumulate
from typing import Any, TypeVar

from streamproc.batch import Segment
from streamproc.codecs import Decoder
from streamproc.errors import SourceError
from streamproc.io.source import Limits, Position, Source, SourceBatch, SourceContext, SourceReader

from .queue import MemoryQueue

__all__ = ["MemoryReader", "MemorySource"]

T = TypeVar("T")

_PARTITION = "0"


@dataclass(frozen=True, eq=False)
class MemorySource(Source[T]):
    """A source of lists: each becomes one micro-batch, as with Spark's ``queueStream``.

    A list longer than the limits of a batch takes several; an empty one adds nothing. Lists can be sent while the job
    runs, from the thread of its event loop; ``close`` says that no more will come, and the source then finishes once
    all was read.

    The definition owns the records and keeps them all, so that a job that crashed and is started again in the same
    process, on the same definition, reads on from its committed position. In a job of several shards, shard 0 reads.

    Attributes:
        batches: Lists to send at once.
        decode: Decodes the records, which are then `bytes`; only in this case does a batch's limit of bytes count.
        queue: What was sent.

    Example:
        >>> source = MemorySource([[1, 2], [3]])
        >>> source.send([4, 5], timestamps=[1_000, 2_000])
        >>> source.close()
    """

    batches: InitVar[Iterable[Iterable[T] | Iterable[bytes]]] = ()
    _: KW_ONLY
    decode: Decoder[T] | None = None
    queue: MemoryQueue[Any] = field(default_factory=MemoryQueue[Any], init=False)

    def __post_init__(self, batches: Iterable[Iterable[T] | Iterable[bytes]]) -> None:
        self.send_many(batches)

    def send(self, items: Iterable[T] | Iterable[bytes], *, timestamps: Iterable[int] | None = None) -> None:
        """Append a list of records, with their times in epoch milliseconds if the source should know them.

        Raises:
            SourceError: The source is closed, or there is not one timestamp a record.
        """
        self.queue.send(items, timestamps)

    def send_many(self, batches: Iterable[Iterable[T] | Iterable[bytes]]) -> None:
        """Append several lists of records.

        Raises:
            SourceError: The source is closed.
        """
        for items in batches:
            self.queue.send(items)

    def close(self) -> None:
        """Say that no more records will come. May be called twice."""
        self.queue.close()

    @property
    def decoder(self) -> Decoder[T] | None:
        """How to decode the records, if they are bytes to be decoded."""
        return self.decode

    def open(self, context: SourceContext) -> SourceReader:
        """Make the reader for one shard."""
        if context.shard:
            nothing = MemoryQueue[Any]()
            nothing.close()
            return MemoryReader(context.name, nothing, sized=False)
        return MemoryReader(context.name, self.queue, sized=self.decode is not None)


class MemoryReader(SourceReader):
    """Reads a `MemoryQueue`; the position is the number of the next record.

    Args:
        name: The operator name of the source, for errors.
        queue: What to read.
        sized: Whether records are bytes, so that the limit of bytes can be kept.
    """

    def __init__(self, name: str, queue: MemoryQueue[Any], *, sized: bool) -> None:
        self._name = name
        self._queue = queue
        self._sized = sized
        self._next = 0
        self._end: int | None = None

    async def start(self, positions: Mapping[str, Position]) -> None:
        """Go to the committed position."""
        position = positions.get(_PARTITION, 0)
        if not (isinstance(position, int) and 0 <= position <= self._queue.size and positions.keys() <= {_PARTITION}):
            raise SourceError(
                f"memory source {self._name!r} holds the records 0 to {self._queue.size} of partition {_PARTITION!r} "
                f"but is to go on at {dict(positions)}: after a restart, pass the same source, or one with the same "
                f"records sent before the start"
            )
        self._next = position

    async def take(self, limits: Limits) -> SourceBatch:
        """Return the next list, or as much of it as the limits allow."""
        end = self._queue.size if self._end is None else self._end
        if self._next >= end:
            return SourceBatch([])
        queued = self._queue.read(self._next)
        values = queued.values[: limits.records]
        if self._sized and sum(map(len, values)) > limits.bytes:
            within = sum(1 for size in accumulate(map(len, values)) if size <= limits.bytes)
            values = values[: max(1, within)]
        count = len(values)
        segment = Segment(_PARTITION, count, self._next)
        self._next += count
        timestamps = None if queued.timestamps is None else queued.timestamps[:count]
        more = count < len(queued.values)
        return SourceBatch(values, (segment,), {_PARTITION: self._next}, timestamps, more=more)

    async def wait(self) -> None:
        """Return once there is a list, or no more will come."""
        while self._next >= self._queue.size and not self.finished:
            await self._queue.changed()

    @property
    def finished(self) -> bool:
        """Whether the source was closed, or bounded, and everything was taken."""
        if self._end is None:
            return self._queue.closed and self._next >= self._queue.size
        return self._next >= self._end

    @property
    def bounded(self) -> bool:
        """Whether the source was closed, and `bound` has not left out what was sent since."""
        return self._queue.closed and self._end in (None, self._queue.size)

    async def bound(self) -> None:
        """Read no list that is sent from now on."""
        self._end = self._queue.size

    async def close(self) -> None:
        """Do nothing: the definition keeps the records."""
