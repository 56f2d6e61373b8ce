"""`TcpClientSource`: records from a server that this side connects to."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, TypeVar

from streamproc.durations import Duration, to_ms
from streamproc.errors import SourceError
from streamproc.io.source import SourceContext

from .backoff import Backoff
from .connections import Connections
from .reader import TcpReader
from .source import TcpSource
from .tls import ClientTls, load_context

__all__ = ["TcpClientSource"]

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TcpClientSource(TcpSource[T]):
    """Connects to a server and reads what it sends; connects again whenever the connection ends.

    The guarantees are those of `TcpServerSource`. What a server sends while nobody is connected is its own affair.

    Only shard 0 connects: each shard would get a copy of everything.

    Attributes:
        host: The server's name or address.
        port: The server's port.
        tls: Whom to trust, or a context of one's own; None is plain TCP. The server's name is ``host``.
        reconnect: How long to wait before connecting again. None: one connection is the whole input, which ends with
            it, and a server that is not there fails the start.
        connect_timeout: How long one attempt may take, TLS handshake included.

    Example:
        >>> from streamproc.codecs import text_decoder
        >>> TcpClientSource("127.0.0.1", 9000, decode=text_decoder(), reconnect=Backoff(longest="5s")).port
        9000
    """

    host: str
    port: int
    _: KW_ONLY
    tls: ClientTls | ssl.SSLContext | None = None
    reconnect: Backoff | None = field(default=Backoff())
    connect_timeout: Duration = "10s"

    def __post_init__(self) -> None:
        super().__post_init__()
        to_ms(self.connect_timeout, what="connect_timeout")
        self.check("port", self.port, 1, 65_535)

    def open(self, context: SourceContext) -> TcpReader:
        """Make the reader for one shard; nothing is opened before its ``start``."""
        return TcpReader(self, _Dialer(self, context), context, max_connections=1)


class _Dialer:
    """Keeps one connection open."""

    def __init__(self, source: TcpClientSource[Any], context: SourceContext) -> None:
        self._source = source
        self._name = context.name
        self._clock = context.clock
        self._dials = context.shard == 0
        self._tls: ssl.SSLContext | None = None

    @property
    def bounded(self) -> bool:
        return self._source.reconnect is None

    async def open(self, connections: Connections) -> None:
        self._tls = await load_context(self._source.tls, name=self._name)
        if self.bounded and self._dials:
            try:
                await self._connect(connections)
            except OSError as error:
                raise SourceError(
                    f"source {self._name!r}: can't connect to {self._source.host}:{self._source.port}: "
                    f"{_reason(error)}; start the server first, or set reconnect= to wait for it"
                ) from error

    async def run(self, connections: Connections) -> None:
        if self._source.reconnect is None:
            await connections.until(lambda counters: counters.open == 0)
            return
        if not self._dials:
            await asyncio.Event().wait()
        server = f"{self._source.host}:{self._source.port}"
        delays = self._source.reconnect.delays()
        while True:
            received = connections.counters.received_bytes
            try:
                await self._connect(connections)
            except OSError as error:
                connections.counters.failed_attempts += 1
                what = _reason(error)
            else:
                await connections.until(lambda counters: counters.open == 0)
                what = "the connection was closed"
                # A server that accepts and closes at once is as much of a failure as one that isn't there.
                if connections.counters.received_bytes > received:
                    delays.reset()
            wait = delays.after_failure()
            _log.warning(
                "connecting again",
                extra={"source": self._name, "server": server, "why": what, "wait_ms": wait},
            )
            await self._clock.sleep_until(self._clock.now() + wait)

    def close(self) -> None:
        """Nothing listens here."""

    async def _connect(self, connections: Connections) -> None:
        # The event loop's own timer: this bounds the wait for a real socket, which no other clock can move.
        async with asyncio.timeout(to_ms(self._source.connect_timeout) / 1000):
            await asyncio.get_running_loop().create_connection(
                connections.new, self._source.host, self._source.port, ssl=self._tls
            )


def _reason(error: OSError) -> str:
    return str(error) or ("connect_timeout passed" if isinstance(error, TimeoutError) else type(error).__name__)
