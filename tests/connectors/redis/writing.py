"""What tests of the Redis sinks share: a context, and publishing one batch."""

from __future__ import annotations

from collections.abc import Callable

from streamproc.batch import Batch
from streamproc.connectors.redis import RedisSink
from streamproc.io.sink import OutboxEntry, SinkContext
from streamproc.io.source import no_step
from streamproc.testing import VirtualClock

__all__ = ["publish"]


async def publish(
    sink: RedisSink, batch: Batch, *, batch_id: int = 7, shard: int = 0, step: Callable[[str], None] = no_step
) -> None:
    """Publish one batch by a writer of its own."""
    writer = sink.open(SinkContext("shop", "store", VirtualClock(), shard, shard + 1, step=step))
    try:
        assert await writer.start() is None
        await writer.publish(OutboxEntry(batch_id, 1_000, writer.encode(batch)))
    finally:
        await writer.close()
