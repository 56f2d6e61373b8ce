"""A sink that is slower than a TCP client holds the client up, through the whole engine, and nothing is lost."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from streamproc import App, Asap, BatchInfo, Settings
from streamproc.codecs import bytes_decoder
from streamproc.connectors.callable import CallableSink
from streamproc.connectors.tcp import TcpReader, TcpServerSource
from streamproc.io.source import SourceContext
from tests.connectors.tcp.harness import loop_turns, until

BUFFERED = 1 << 18
BATCH = 1 << 17
ONE_READ = 256 << 10
"""The most that an event loop hands over at once, and so what may come after the limit was reached."""
ENTRY = 64 << 10
"""The most by which a batch passes its limit: it ends between entries of the journal."""


@dataclass(frozen=True)
class Watched(TcpServerSource[bytes]):
    """A source whose reader the test can look at."""

    readers: list[TcpReader] = field(default_factory=list[TcpReader])

    def open(self, context: SourceContext) -> TcpReader:
        self.readers.append(super().open(context))
        return self.readers[-1]


class SlowSink:
    """Takes a batch when the test lets it."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.allowed = asyncio.Semaphore(0)

    async def __call__(self, rows: list[bytes], _batch: BatchInfo) -> None:
        await self.allowed.acquire()
        self.rows += rows


@pytest.mark.parametrize("in_flight", [1, 3])
async def test_a_slow_sink_stops_the_client_and_gets_every_line_once(tmp_path: Path, in_flight: int) -> None:
    lines = [b"%d " % number + b"x" * 300 for number in range(30_000)]
    ports: list[int] = []
    source = Watched(
        0,
        decode=bytes_decoder(),
        max_buffered_bytes=BUFFERED,
        until_clients_done=1,
        on_listening=lambda _host, port: ports.append(port),
    )
    sink = SlowSink()
    settings = Settings(state_dir=str(tmp_path), max_bytes=BATCH, max_in_flight=in_flight)
    app = App("slow", trigger=Asap(), settings=settings)
    app.source(source).to(CallableSink(sink))

    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(app.serve())
        await until(lambda: bool(ports))
        (reader,) = source.readers
        sending = tasks.create_task(send(ports[0], b"\n".join(lines) + b"\n"))
        for published in range(4):
            await until(lambda: app.metrics.batches == published + in_flight and reader.counters.paused)  # noqa: B023
            await loop_turns(500)
            received = reader.counters.received_bytes
            await loop_turns(500)
            assert reader.counters.received_bytes == received, "it went on reading although nothing was taken"
            assert not sending.done()
            # In the outbox, and one that is processed and waits for room there.
            on_the_way = (in_flight + 1) * (BATCH + ENTRY)
            delivered = sum(len(row) + 1 for row in sink.rows)
            assert received - delivered <= BUFFERED + ONE_READ + on_the_way
            sink.allowed.release()
        for _ in range(len(lines)):
            sink.allowed.release()
        await serving

    assert sink.rows == lines


async def send(port: int, data: bytes) -> None:
    """Send as fast as the other side lets, then close in order."""
    connection = socket.socket()
    with connection:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_sendall(connection, data)
