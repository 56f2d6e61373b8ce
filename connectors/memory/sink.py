"""`MemorySink`: keeps results in memory, outside of the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Any, ClassVar, TypeVar

from streamproc.batch import Batch
from streamproc.io.sink import Delivery, OutboxEntry, Sink, SinkContext, SinkWriter
from streamproc.values import decode_values, encode_values

__all__ = ["MemorySink", "MemoryWriter"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class MemorySink(Sink[T]):
    """A sink whose results a program or a test can look at. Exactly-once, as long as the definition lives.

    It outlives engines: a job that crashed and is started again in the same process, on the same definition, goes on
    where it was. Rows pass through the outbox as msgpack, as with any sink (see `streamproc.values`); those of a keyed
    stream are ``(key, value)`` pairs.

    Attributes:
        published: The rows of each published batch, by batch id and shard.
    """

    delivery: ClassVar[Delivery] = "exactly_once"
    published: dict[tuple[int, int], list[T]] = field(default_factory=dict[tuple[int, int], "list[T]"], init=False)

    @property
    def batches(self) -> dict[int, list[T]]:
        """The rows by batch id, in the order of the ids; those of several shards one after the other."""
        batches: dict[int, list[T]] = {}
        for batch_id, shard in sorted(self.published):
            batches.setdefault(batch_id, []).extend(self.published[batch_id, shard])
        return batches

    @property
    def values(self) -> list[T]:
        """All rows, in the order of the batches."""
        return list(chain.from_iterable(self.batches.values()))

    def open(self, context: SinkContext) -> SinkWriter:
        """Make the writer for one shard."""
        return MemoryWriter(self.published, context.shard)


class MemoryWriter(SinkWriter):
    """Adds the batches of one shard to a `MemorySink`.

    Args:
        published: Where to put the rows.
        shard: Which shard this is.
    """

    def __init__(self, published: dict[tuple[int, int], list[Any]], shard: int) -> None:
        self._published = published
        self._shard = shard

    async def start(self) -> int | None:
        """Return the last batch id that this shard has published."""
        return max((batch_id for batch_id, shard in self._published if shard == self._shard), default=None)

    def encode(self, batch: Batch) -> bytes:
        """Return the rows as msgpack."""
        return encode_values(batch.rows())

    async def publish(self, entry: OutboxEntry) -> None:
        """Add the rows, unless they are there."""
        self._published.setdefault((entry.batch_id, self._shard), decode_values(entry.payload))

    async def close(self) -> None:
        """Do nothing: the definition keeps the rows."""
