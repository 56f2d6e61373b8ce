"""The open sinks of a shard, and the task that publishes committed batches to them in order."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamproc.dataflow.nodes import DeadLetterSink, Write
from streamproc.engine.blocked import Blocked
from streamproc.engine.job import Job
from streamproc.engine.protocol import BatchProtocol
from streamproc.engine.waiting import uncancelled
from streamproc.io.sink import OutboxEntry, SinkContext, SinkWriter
from streamproc.io.source import Position, Source
from streamproc.state.ledger import Ledger

__all__ = ["Committed", "Outputs", "Publisher"]

log = logging.getLogger("streamproc.engine")


class Outputs:
    """Opens and closes the sinks of a plan for one shard."""

    def __init__(
        self,
        nodes: Sequence[Write | DeadLetterSink],
        job: Job,
        ledger: Ledger,
        blocked: Blocked,
        *,
        sources: Mapping[str, Source[Any]],
    ) -> None:
        self._step = job.step
        self.writers: Mapping[str, SinkWriter] = {
            node.name: (node.policy.sink if isinstance(node, DeadLetterSink) else node.sink).open(
                SinkContext(
                    app=job.app,
                    name=node.name,
                    clock=job.clock,
                    shard=job.shard,
                    shards=job.shards,
                    step=job.step,
                    blocked=blocked.reporter(node.name),
                    committed=ledger.batch_id,
                    published=ledger.published.get(node.name, 0),
                    sources=sources,
                )
            )
            for node in nodes
        }

    async def start(self) -> dict[str, int | None]:
        """Open all sinks, and return the last batch that each knows it has published."""
        return {name: await writer.start() for name, writer in self.writers.items()}

    async def publish(self, sink: str, entry: OutboxEntry) -> None:
        """Publish a batch to one sink."""
        self._step("before_publish")
        await self.writers[sink].publish(entry)
        self._step("after_publish")

    async def close(self) -> None:
        """Close all sinks; what one of them raises does not keep the others open."""
        for name, writer in self.writers.items():
            try:
                await writer.close()
            except Exception:
                log.exception("closing a sink failed", extra={"sink": name})


@dataclass(frozen=True, slots=True)
class Committed:
    """A committed batch on its way to the sinks.

    Attributes:
        batch_id: Its number.
        time: Its trigger time.
        outputs: The payload for each sink.
        positions: What to acknowledge to the sources once it is published.
    """

    batch_id: int
    time: int
    outputs: Mapping[str, bytes]
    positions: Mapping[str, Mapping[str, Position | None]]


class Publisher:
    """Publishes committed batches, one after the other, while the next ones are processed."""

    def __init__(self, outputs: Outputs, protocol: BatchProtocol) -> None:
        self._outputs = outputs
        self._protocol = protocol
        self._queue: deque[Committed] = deque()
        self._changed = asyncio.Condition()
        self._ending = False
        self.unacknowledged: deque[Committed] = deque()
        """Published batches whose positions the driver has yet to acknowledge."""

    async def run(self) -> None:
        """Publish until `finish` was called and nothing is left."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._queue or self._ending)
            if not self._queue:
                return
            batch = self._queue[0]
            for sink, payload in batch.outputs.items():
                entry = OutboxEntry(batch.batch_id, batch.time, payload, batch.positions)
                await uncancelled(self._outputs.publish(sink, entry))
            async with self._changed:
                self._queue.popleft()
                self._protocol.on_published(batch.batch_id)
                self.unacknowledged.append(batch)
                self._changed.notify_all()

    async def add(self, batch: Committed) -> None:
        """Take a committed batch."""
        async with self._changed:
            self._queue.append(batch)
            self._changed.notify_all()

    async def room(self) -> None:
        """Return once the next batch may be committed."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._protocol.may_commit)

    async def published(self) -> None:
        """Return once there is something to acknowledge."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.unacknowledged)

    async def finish(self) -> None:
        """Return once everything is published, and let `run` end."""
        async with self._changed:
            self._ending = True
            self._changed.notify_all()
            await self._changed.wait_for(lambda: not self._queue)
