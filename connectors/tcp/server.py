"""`TcpServerSource`: records from clients that connect."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, TypeVar

from streamproc.errors import SourceError
from streamproc.io.source import SourceContext

from .connections import Connections
from .reader import TcpReader
from .source import TcpSource
from .tls import ServerTls, load_context

__all__ = ["TcpServerSource"]

T = TypeVar("T")


@dataclass(frozen=True)
class TcpServerSource(TcpSource[T]):
    """Listens on a port and reads what clients send.

    What arrives is journaled before it counts: no record is processed twice, and a crash loses only what was still in
    the kernel's socket buffers and frames that were not complete (the wire has no acknowledgement).

    With several shards on one machine all listen on the same port and the kernel spreads the connections over them.

    Attributes:
        port: The port to listen on; 0 picks a free one, which ``on_listening`` learns.
        host: The address to listen on. The default is reachable from this machine only.
        max_connections: More are closed as soon as they are accepted.
        tls: A certificate, or a context of one's own; None is plain TCP.
        until_clients_done: The input ends when so many clients have come and gone and none is connected; None never
            ends it. Counted from each start.
        on_listening: Called with the address and port once clients can connect.

    Example:
        >>> from streamproc.codecs import text_decoder
        >>> TcpServerSource(9000, decode=text_decoder(), max_connections=100, idle_timeout="5m").host
        '127.0.0.1'
    """

    port: int
    _: KW_ONLY
    host: str = "127.0.0.1"
    max_connections: int = 1024
    tls: ServerTls | ssl.SSLContext | None = None
    until_clients_done: int | None = None
    on_listening: Callable[[str, int], None] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("port", self.port, 0, 65_535)
        self.check("max_connections", self.max_connections)
        if self.until_clients_done is not None:
            self.check("until_clients_done", self.until_clients_done)

    def open(self, context: SourceContext) -> TcpReader:
        """Make the reader for one shard; nothing is opened before its ``start``."""
        return TcpReader(self, _Listener(self, context), context, max_connections=self.max_connections)


class _Listener:
    """Accepts connections."""

    def __init__(self, source: TcpServerSource[Any], context: SourceContext) -> None:
        self._source = source
        self._name = context.name
        self._shared = context.shards > 1
        self._server: asyncio.Server | None = None

    @property
    def bounded(self) -> bool:
        return self._source.until_clients_done is not None

    async def open(self, connections: Connections) -> None:
        source = self._source
        tls = await load_context(source.tls, name=self._name)
        first_byte = source.first_byte_timeout_ms
        try:
            self._server = await asyncio.get_running_loop().create_server(
                connections.new,
                source.host,
                source.port,
                ssl=tls,
                ssl_handshake_timeout=first_byte / 1000 if tls is not None and first_byte is not None else None,
                reuse_port=self._shared or None,
            )
        except OSError as error:
            raise SourceError(
                f"source {self._name!r}: can't listen on {source.host}:{source.port}: {error}; expected an address of "
                f"this machine and a port that no other program uses (port=0 picks a free one)"
            ) from error
        if source.on_listening is not None:
            host, port, *_ = self._server.sockets[0].getsockname()
            source.on_listening(host, port)

    async def run(self, connections: Connections) -> None:
        clients = self._source.until_clients_done
        await connections.until(
            lambda counters: clients is not None and counters.opened >= clients and counters.open == 0
        )

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
