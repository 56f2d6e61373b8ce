"""`TcpReader`: the reader of both TCP sources; they differ in their `Endpoint` only.

One task, made by ``start`` and ended by ``close``, owns everything that runs meanwhile: the endpoint, the time-outs,
the connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from streamproc.errors import SourceError
from streamproc.io.source import Limits, Position, SourceBatch, SourceContext, SourceReader

from .connections import Connections
from .counters import TcpCounters
from .inbox import Inbox
from .source import TcpSource

__all__ = ["Endpoint", "TcpReader"]


class Endpoint(Protocol):
    """Where connections come from."""

    @property
    def bounded(self) -> bool:
        """Whether ``run`` returns by itself some time, because the input has an end."""
        ...

    async def open(self, connections: Connections) -> None:
        """Become able to receive.

        Raises:
            SourceError: That is not possible.
        """
        ...

    async def run(self, connections: Connections) -> None:
        """Keep connections coming; return when there will be none any more and all are closed."""
        ...

    def close(self) -> None:
        """Let no new connection in. May be called before ``open``, and twice."""
        ...


class TcpReader(SourceReader):
    """Reads what the connections of an endpoint receive, through the journal.

    A batch ends between journal entries, each of which is at most 64 KiB long or one single frame: so only the first
    entry of a batch can pass a limit.

    Args:
        source: The definition.
        endpoint: Where connections come from.
        context: What the engine gives.
        max_connections: How many connections may be open at a time.
    """

    def __init__(
        self, source: TcpSource[Any], endpoint: Endpoint, context: SourceContext, *, max_connections: int
    ) -> None:
        self._name = context.name
        self._endpoint = endpoint
        self._inbox = Inbox(context.name, source.framing, context.journal, source.max_buffered_bytes)
        self._ready = asyncio.Event()
        self._connections = Connections(
            context.name, source, self._inbox, context.clock, max_open=max_connections, wake=self._ready.set
        )
        self._owner: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def counters(self) -> TcpCounters:
        """What was counted since the start; changes while the reader runs."""
        return self._connections.counters

    async def start(self, positions: Mapping[str, Position]) -> None:
        """Take up what the journal holds behind the committed position, then begin to receive."""
        self._inbox.restore(positions)
        self._connections.pause_if_full()
        await self._endpoint.open(self._connections)
        self._owner = asyncio.create_task(self._receive(), name=f"tcp source {self._name}")
        self._owner.add_done_callback(lambda _: self._ready.set())
        if self._inbox:
            self._ready.set()

    async def take(self, limits: Limits) -> SourceBatch:
        """Return the records of whole journal entries."""
        failure = self._connections.failure
        if failure is not None:
            raise SourceError(f"source {self._name!r}: can't journal what was received: {failure}") from failure
        if self._owner is not None and self._owner.done() and not self._owner.cancelled():
            error = self._owner.exception()
            if error is not None:
                raise SourceError(f"source {self._name!r}: receiving has failed: {error!r}") from error
        batch = self._inbox.take(limits)
        self._connections.resume_if_relieved()
        if not self._inbox and not self._ended:
            self._ready.clear()
        return batch

    async def wait(self) -> None:
        """Return once there is an entry, or the input has ended."""
        await self._ready.wait()

    @property
    def finished(self) -> bool:
        """Whether no more will be received and everything was taken."""
        return self._ended and not self._inbox

    @property
    def bounded(self) -> bool:
        """Whether the endpoint's connections end by themselves."""
        return self._endpoint.bounded

    async def bound(self) -> None:
        """Receive nothing more: what is in the journal now is the input. An input that ends by itself is left to it."""
        if not self._endpoint.bounded:
            await self._end()

    async def close(self) -> None:
        """Close all connections and stop listening."""
        await self._end()

    async def _receive(self) -> None:
        try:
            async with asyncio.TaskGroup() as scope:
                timeouts = scope.create_task(self._connections.enforce_timeouts())
                await self._endpoint.run(self._connections)
                # At once, with no step of the loop between: what came now would be behind the end of the input.
                self._connections.stop()
                timeouts.cancel()
        finally:
            self._endpoint.close()
        self._ended = True

    async def _end(self) -> None:
        self._endpoint.close()
        if self._owner is not None:
            self._owner.cancel()
            # Its failure is for `take` to raise, not for `close`.
            await asyncio.gather(self._owner, return_exceptions=True)
        await self._connections.close_all()
        self._ended = True
        self._ready.set()
