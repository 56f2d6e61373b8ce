"""What the tests of the TCP sources share: a journal that tells when it has grown, and shortcuts for sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from streamproc.codecs import bytes_decoder
from streamproc.connectors.tcp import TcpClientSource, TcpReader, TcpServerSource
from streamproc.eventtime.clock import Clock, SystemClock
from streamproc.io.source import Limits, Position, SourceContext
from streamproc.testing import MemoryJournal

PLENTY = Limits(records=1_000_000, bytes=1 << 30)
CERTIFICATES = Path(__file__).parent / "certificates"


class Journal(MemoryJournal):
    """Tells when something was received, and how much."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        """How many entries were ever appended."""
        self.size = 0
        """How many bytes they had, with the tag of each."""
        self._grown = asyncio.Event()

    def append(self, entries: Sequence[bytes]) -> int:
        self.count += len(entries)
        self.size += sum(map(len, entries))
        self._grown.set()
        return super().append(entries)

    async def holds(self, size: int) -> None:
        """Return once more than so many bytes were appended."""
        async with asyncio.timeout(20):
            while self.size <= size:
                self._grown.clear()
                await self._grown.wait()


class Server:
    """A `TcpServerSource` for bytes on a free port, and its clients."""

    def __init__(self, **settings: Any) -> None:
        self.address = ("", 0)
        self.source = TcpServerSource(0, decode=bytes_decoder(), on_listening=self._learn, **settings)

    def _learn(self, host: str, port: int) -> None:
        self.address = (host, port)

    async def connect(self, **settings: Any) -> Client:
        return Client(*await asyncio.open_connection(*self.address, **settings))

    async def send(self, data: bytes) -> None:
        """Send some bytes as a client that then closes in order."""
        client = await self.connect()
        await client.send(data)
        await client.close()


class Client:
    def __init__(self, incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        self.incoming = incoming
        self.outgoing = outgoing

    async def send(self, data: bytes) -> None:
        self.outgoing.write(data)
        await self.outgoing.drain()

    async def closed_by_peer(self) -> bool:
        """Wait for the other side to close."""
        async with asyncio.timeout(20):
            try:
                return await self.incoming.read() == b""
            except ConnectionError:
                return True
            finally:
                self.outgoing.close()

    async def close(self) -> None:
        self.outgoing.close()
        await self.outgoing.wait_closed()


@asynccontextmanager
async def running(
    source: TcpServerSource[Any] | TcpClientSource[Any],
    journal: Journal,
    *,
    clock: Clock | None = None,
    positions: Mapping[str, Position] | None = None,
    shard: int = 0,
    shards: int = 1,
) -> AsyncGenerator[TcpReader, None]:
    """Open a source, and close it at the end."""
    reader = source.open(SourceContext("in", clock or SystemClock(), lambda: journal, shard, shards))
    try:
        await reader.start(positions or {})
        yield reader
    finally:
        await reader.close()


async def receive(reader: TcpReader, count: int) -> list[bytes]:
    """Wait for and take so many records."""
    values: list[bytes] = []
    async with asyncio.timeout(20):
        while len(values) < count:
            await reader.wait()
            values += (await reader.take(PLENTY)).values
    return values


async def receive_all(reader: TcpReader) -> list[bytes]:
    """Take all records until the input has ended."""
    values: list[bytes] = []
    async with asyncio.timeout(20):
        while not reader.finished:
            await reader.wait()
            values += (await reader.take(PLENTY)).values
    return values


async def until(reached: Callable[[], bool]) -> None:
    """Let the event loop look at all sockets until something has happened."""
    async with asyncio.timeout(20):
        while not reached():
            await loop_turns(1)


async def loop_turns(count: int) -> None:
    """Let the event loop look at all sockets so many times."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
