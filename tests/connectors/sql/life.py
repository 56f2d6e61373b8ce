"""`Life`: one writer as the engine uses it, with a clock that never keeps it waiting."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from streamproc.batch import Batch
from streamproc.connectors.sql import SqlSink
from streamproc.io.sink import OutboxEntry, SinkContext, SinkWriter
from streamproc.testing import VirtualClock

__all__ = ["Life", "threads_of_sqlite"]


class ImpatientClock(VirtualClock):
    """Moves on by itself to whatever is waited for."""

    async def sleep_until(self, when: int) -> None:
        """Let other tasks run once, and be there."""
        woken = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(woken.set_result, None)
        await woken
        if when > self.now():
            self.advance_to(when)


class Life:
    """A writer of an app ``shop``, and what it tells.

    Args:
        sink: The definition.
        committed: What its state has committed.
        published: What its state knows to be published.
        step: What to do at a step.
        name: The sink's name.
    """

    def __init__(
        self,
        sink: SqlSink[Any],
        *,
        committed: int = 0,
        published: int = 0,
        step: Callable[[str], None] | None = None,
        name: str = "store",
    ) -> None:
        self.reports: list[str | None] = []
        """What it has said about waiting."""
        self.steps: list[str] = []
        """The steps it has reached."""
        self.last: int | None = None
        """What `SinkWriter.start` has returned."""
        self.clock = ImpatientClock()
        self._step = step
        self._waiting = asyncio.Event()
        self.writer: SinkWriter = sink.open(
            SinkContext(
                "shop",
                name,
                self.clock,
                step=self._reach,
                blocked=self._report,
                committed=committed,
                published=published,
            )
        )

    @classmethod
    @asynccontextmanager
    async def of(cls, sink: SqlSink[Any], **context: Any) -> AsyncGenerator[Life]:
        """Start a writer, and close it in the end."""
        life = cls(sink, **context)
        try:
            life.last = await life.writer.start()
            yield life
        finally:
            await life.writer.close()

    async def publish(self, batch_id: int, rows: Sequence[Any], keys: Sequence[Any] | None = None) -> None:
        """Encode and publish a batch."""
        batch = Batch(list(rows), None if keys is None else list(keys))
        await self.writer.publish(OutboxEntry(batch_id, 1_000 * batch_id, self.writer.encode(batch)))

    async def waiting(self) -> str:
        """Return why it waits, as soon as it does."""
        async with asyncio.timeout(60):
            await self._waiting.wait()
        return next(reason for reason in reversed(self.reports) if reason is not None)

    def _reach(self, step: str) -> None:
        self.steps.append(step)
        if self._step is not None:
            self._step(step)

    def _report(self, reason: str | None) -> None:
        self.reports.append(reason)
        if reason is not None:
            self._waiting.set()


async def threads_of_sqlite() -> None:
    """Wait for the threads of connections that nobody closes: they tell the test's event loop about their end."""
    gc.collect()
    for thread in threading.enumerate():
        if "connection_worker" in thread.name:
            await asyncio.to_thread(thread.join, 30)
