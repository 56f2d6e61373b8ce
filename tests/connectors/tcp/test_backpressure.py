"""A client that is faster than the job has to wait: memory stays bounded and nothing is lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from streamproc.connectors.tcp import LengthPrefixed, Lines
from streamproc.io.source import Limits
from tests.connectors.tcp.harness import Journal, Server, loop_turns, receive_all, running, until

MAX_BUFFERED = 1 << 20
ONE_READ = 256 << 10
"""The most that an event loop hands over at once, and so what may come after the limit was reached."""


LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


def connect(server: Server) -> socket.socket:
    connected = socket.create_connection(server.address)
    connected.setblocking(False)
    return connected


async def send(connected: socket.socket, data: bytes) -> None:
    """Send as fast as the other side lets, then close in order."""
    with connected:
        await asyncio.get_running_loop().sock_sendall(connected, data)


@LOOPS
@pytest.mark.parametrize("clients", [1, 5])
def test_what_waits_is_bounded_and_all_of_it_arrives(
    loop: Callable[[], asyncio.AbstractEventLoop], clients: int
) -> None:
    async def story() -> None:
        lines = [b"%d " % number + b"x" * 300 for number in range(100_000 // clients)]
        stream = b"\n".join(lines) + b"\n"
        journal = Journal()
        server = Server(max_buffered_bytes=MAX_BUFFERED, until_clients_done=clients)

        async with running(server.source, journal) as reader, asyncio.TaskGroup() as scope:
            sockets = [connect(server) for _ in range(clients)]
            await until(lambda: reader.counters.open == clients)
            sending = [scope.create_task(send(connected, stream)) for connected in sockets]
            received: list[bytes] = []
            taken = peak = 0

            async def take() -> None:
                nonlocal taken, peak
                # The journal's size counts the tags too: a byte an entry.
                peak = max(peak, journal.size - journal.count - taken)
                await asyncio.wait_for(reader.wait(), 20)
                batch = await reader.take(Limits(records=200, bytes=1 << 20))
                received.extend(batch.values)
                taken += sum(len(value) + 1 for value in batch.values)

            for stop in range(1, 6):
                await until(lambda: reader.counters.paused)
                held = journal.size
                await loop_turns(500)
                assert journal.size == held, "it went on reading although the limit was reached"
                assert reader.counters.pauses == stop
                assert not all(task.done() for task in sending)
                while reader.counters.paused:
                    await take()
            while not reader.finished:
                await take()
            assert sorted(received) == sorted(lines * clients)
            assert clients > 1 or received == lines
            assert peak <= MAX_BUFFERED + ONE_READ

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())


async def test_tiny_entries_count_for_what_they_cost_and_not_for_their_bytes() -> None:
    server = Server(max_buffered_bytes=10_000, framing=LengthPrefixed(1))
    journal = Journal()
    async with running(server.source, journal) as reader:
        client = await server.connect()
        sent = 0
        while not reader.counters.paused:
            before = journal.size
            await client.send(b"\x01x")
            sent += 1
            await journal.holds(before)
        assert sent < 100
        await client.close()


@LOOPS
def test_a_client_that_comes_while_reading_is_stopped_waits_too(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def story() -> None:
        server = Server(max_buffered_bytes=1_000, until_clients_done=2)
        journal = Journal()
        line = b"y" * 999
        async with running(server.source, journal) as reader, asyncio.TaskGroup() as scope:
            await server.send(b"x" * 2_000 + b"\n")
            await until(lambda: reader.counters.paused)
            held = journal.size
            scope.create_task(send(connect(server), (line + b"\n") * 3_000))
            await until(lambda: reader.counters.opened == 2)
            await loop_turns(500)
            # uvloop lets one read slip in, asyncio none.
            assert journal.size <= held + ONE_READ
            assert await receive_all(reader) == [b"x" * 2_000, *[line] * 3_000]

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())


async def test_a_journal_that_holds_more_than_the_limit_is_worked_off_first() -> None:
    journal = Journal()
    for number in range(20):
        journal.append([b"L%d\n" % number])
    server = Server(max_buffered_bytes=100, until_clients_done=1, framing=Lines())
    async with running(server.source, journal) as reader:
        await server.send(b"new\n")
        await loop_turns(200)
        assert journal.count == 20
        assert await receive_all(reader) == [*(b"%d" % number for number in range(20)), b"new"]
