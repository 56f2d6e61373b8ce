"""The connections of one reader: what is received, and the limits that close or stop them.

The rules:

* Bytes are journaled inside ``data_received``: nothing that has left the socket's buffer waits anywhere else, except
  an incomplete frame.
* While the inbox is full no connection is read, so the kernel's buffers fill up and the senders wait. Time-outs rest
  meanwhile: a sender that may not send isn't idle.
* Whatever is wrong with one connection closes that connection only. If the journal can't be written, all end and the
  next `take` raises.
* Closing is always `abort`: what is to be said to a peer has no place in a protocol without answers, and an orderly
  end could wait for it for ever.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, cast

from streamproc.durations import format_ms
from streamproc.eventtime.clock import Clock

from .counters import TcpCounters
from .framing import Framer
from .inbox import Inbox
from .source import TcpSource

__all__ = ["Connection", "Connections"]

_log = logging.getLogger(__name__)


class Connections:
    """Opens, watches, stops and closes the connections of one reader.

    Args:
        name: The source's operator name, for the log.
        source: The definition: framing, limits and time-outs.
        inbox: Where received entries go.
        clock: The time.
        max_open: How many connections may be open at a time.
        wake: Called when there is something to take, or a failure.
    """

    def __init__(
        self,
        name: str,
        source: TcpSource[Any],
        inbox: Inbox,
        clock: Clock,
        *,
        max_open: int,
        wake: Callable[[], None],
    ) -> None:
        self._name = name
        self._source = source
        self._inbox = inbox
        self._clock = clock
        self._max_open = max_open
        self._wake = wake
        self._open: set[Connection] = set()
        self._pending = 0
        self._stopped = False
        self._changed = asyncio.Event()
        self.counters = TcpCounters()
        self.failure: Exception | None = None
        """Why nothing more can be received."""

    def new(self) -> Connection:
        """Return the protocol for a connection that is about to be opened."""
        return Connection(self, self._source.framing.framer(self._source.max_frame_bytes))

    async def until(self, reached: Callable[[TcpCounters], bool]) -> None:
        """Return once the counters fulfil a condition; looked at whenever a connection opens or closes."""
        while not reached(self.counters):
            self._changed.clear()
            await self._changed.wait()

    def pause_if_full(self) -> None:
        """Stop reading if too much waits to be taken."""
        if self._inbox.full and not self.counters.paused:
            self.counters.paused = True
            self.counters.pauses += 1
            for connection in self._open:
                connection.pause()

    def resume_if_relieved(self) -> None:
        """Read on if reading was stopped and enough was taken since."""
        if self.counters.paused and self._inbox.relieved and self.failure is None:
            self.counters.paused = False
            now = self._clock.now()
            for connection in self._open:
                connection.since = now
                connection.resume()

    def stop(self) -> None:
        """Let no new connection in, whatever an endpoint still has under way."""
        self._stopped = True

    async def close_all(self) -> None:
        """Close every connection; nothing is received any more."""
        self.stop()
        for connection in tuple(self._open):
            self._drop(connection)
        await self.until(lambda counters: counters.open == 0)

    async def enforce_timeouts(self) -> None:
        """Close connections on which nothing arrives, until cancelled; return at once if no time-out is set."""
        first, idle = self._source.first_byte_timeout_ms, self._source.idle_timeout_ms
        shortest = min((timeout for timeout in (first, idle) if timeout is not None), default=None)
        while shortest is not None:
            # Deadlines only move away from now, and those of connections to come are behind `now + shortest`: so
            # the earliest one known is the time to look again, however many connections there are.
            now = self._clock.now()
            due = now + shortest
            for connection in () if self.counters.paused else tuple(self._open):
                waits_for_first = connection.silent and first is not None
                timeout = first if waits_for_first else idle
                if timeout is None:
                    continue
                if connection.since + timeout > now:
                    due = min(due, connection.since + timeout)
                else:
                    self.counters.timed_out += 1
                    setting = "first_byte_timeout" if waits_for_first else "idle_timeout"
                    self._close(connection, f"nothing was received for {setting}={format_ms(timeout)}")
            await self._clock.sleep_until(due)

    def opened(self, connection: Connection) -> bool:
        """Take a new connection in; False if there are too many."""
        if self._stopped:
            return False
        if len(self._open) >= self._max_open:
            self.counters.refused += 1
            # Once for each doubling: a flood of connections must not become a flood of log lines.
            if self.counters.refused.bit_count() == 1:
                _log.warning(
                    "connection refused: max_connections are open",
                    extra={
                        "source": self._name,
                        "peer": connection.peer,
                        "max_connections": self._max_open,
                        "refused": self.counters.refused,
                    },
                )
            return False
        self._open.add(connection)
        connection.since = self._clock.now()
        self.counters.opened += 1
        self.counters.open += 1
        if self.counters.paused:
            connection.pause()
        self._changed.set()
        return True

    def received(self, connection: Connection, chunk: bytes) -> None:
        """Journal what a chunk completes."""
        self.counters.received_bytes += len(chunk)
        connection.silent = False
        connection.since = self._clock.now()
        if self.counters.paused:
            # uvloop begins to read behind `connection_made`, whatever that said: one read of a new connection slips in.
            connection.pause()
        framer = connection.framer
        self._store(framer.feed(chunk))
        self._keep(connection, framer.pending)
        if framer.failure is not None:
            self.counters.too_large += 1
            self._close(connection, framer.failure)
        elif self._pending > self._source.max_buffered_bytes:
            self.counters.crowded_out += 1
            largest = max(self._open, key=lambda each: each.pending)
            self._close(largest, "the incomplete frames of all connections take more than max_buffered_bytes")

    def ended(self, connection: Connection) -> None:
        """Take the clean end of a connection's stream."""
        self._store(connection.framer.end())
        if connection.framer.pending == 0:
            self._keep(connection, 0)

    def lost(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        if connection in self._open:
            self._open.remove(connection)
            self.counters.open -= 1
            if connection.pending:
                self.counters.cut_off += 1
                self._log_closed(
                    connection, f"it ended inside a frame, of which {connection.pending} bytes are dropped"
                )
                self._keep(connection, 0)
            self._changed.set()

    def _keep(self, connection: Connection, pending: int) -> None:
        self._pending += pending - connection.pending
        connection.pending = pending

    def _store(self, entries: list[bytes]) -> None:
        if not entries or self.failure is not None:
            return
        try:
            self._inbox.receive(entries)
        except Exception as error:  # noqa: BLE001 - an event loop only logs what a protocol raises: `take` raises it
            self.failure = error
            for connection in tuple(self._open):
                self._drop(connection)
        self.pause_if_full()
        self._wake()

    def _close(self, connection: Connection, why: str) -> None:
        self._log_closed(connection, why)
        self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self._keep(connection, 0)
        connection.abort()

    def _log_closed(self, connection: Connection, why: str) -> None:
        _log.warning("connection closed", extra={"source": self._name, "peer": connection.peer, "why": why})


class Connection(asyncio.Protocol):
    """One connection, as the event loop sees it."""

    def __init__(self, connections: Connections, framer: Framer) -> None:
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self.framer = framer
        self.pending = 0
        """How many bytes of an incomplete frame are accounted for."""
        self.peer: object = None
        """The other side's address, for the log."""
        self.silent = True
        """Whether nothing was received yet."""
        self.since = 0
        """Since when nothing was received, in epoch milliseconds."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or be refused."""
        self._transport = cast("asyncio.Transport", transport)
        self.peer = transport.get_extra_info("peername")
        # A peer that vanished without a word would be counted as open for ever.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if not self._connections.opened(self):
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        # A closing TLS transport still hands over what it has decrypted.
        if self._transport is not None:
            self._connections.received(self, data)

    def eof_received(self) -> None:
        """Pass the end of the stream on; the transport then closes itself."""
        if self._transport is not None:
            self._connections.ended(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; bytes of an incomplete frame are dropped."""
        self._transport = None
        self._connections.lost(self)

    def pause(self) -> None:
        """Stop reading from the socket."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read from the socket again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
