"""Connections on which nothing arrives, under a virtual clock."""

from __future__ import annotations

import pytest

from streamproc.testing import VirtualClock
from tests.connectors.tcp.harness import Journal, Server, loop_turns, receive, receive_all, running


async def test_an_idle_connection_is_closed_and_a_busy_one_is_not(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    server = Server(idle_timeout="60s")
    async with running(server.source, Journal(), clock=clock) as reader:
        idle, busy = await server.connect(), await server.connect()
        await idle.send(b"hello\n")
        for number in range(4):
            await busy.send(b"%d\n" % number)
            await receive(reader, 2 if number == 0 else 1)
            clock.advance("59s" if number == 0 else "20s")
            await loop_turns(20)
            assert reader.counters.open == (2 if number == 0 else 1)
        assert await idle.closed_by_peer()
        assert reader.counters.timed_out == 1
        clock.advance("40s")
        assert await busy.closed_by_peer()
        assert reader.counters.timed_out == 2
    assert [record.__dict__["why"] for record in caplog.records] == ["nothing was received for idle_timeout=1m"] * 2


async def test_the_first_byte_has_a_time_out_of_its_own() -> None:
    clock = VirtualClock()
    server = Server(first_byte_timeout="5s", idle_timeout="1h")
    async with running(server.source, Journal(), clock=clock) as reader:
        silent, talking = await server.connect(), await server.connect()
        await talking.send(b"one\ntw")
        await receive(reader, 1)
        clock.advance("4999ms")
        await loop_turns(20)
        assert reader.counters.open == 2
        clock.advance("1ms")
        assert await silent.closed_by_peer()
        clock.advance("59m")
        await talking.send(b"o\n")
        assert await receive(reader, 1) == [b"two"]
        assert (reader.counters.timed_out, reader.counters.open) == (1, 1)
        await talking.close()


async def test_a_connection_that_comes_later_has_its_whole_time() -> None:
    clock = VirtualClock()
    server = Server(idle_timeout="10s")
    async with running(server.source, Journal(), clock=clock) as reader:
        early = await server.connect()
        await early.send(b"early\n")
        await receive(reader, 1)
        clock.advance("9s")
        late = await server.connect()
        await late.send(b"late\n")
        await receive(reader, 1)
        clock.advance("1s")
        assert await early.closed_by_peer()
        clock.advance("8999ms")
        await loop_turns(20)
        assert reader.counters.open == 1
        clock.advance("1ms")
        assert await late.closed_by_peer()


async def test_a_client_that_may_not_send_is_not_idle() -> None:
    clock = VirtualClock()
    server = Server(idle_timeout="10s", max_buffered_bytes=1_000, until_clients_done=1)
    journal = Journal()
    async with running(server.source, journal, clock=clock) as reader:
        client = await server.connect()
        await client.send(b"x" * 2_000 + b"\n")
        await journal.holds(0)
        assert reader.counters.pauses == 1
        clock.advance("1h")
        await loop_turns(20)
        assert reader.counters.timed_out == 0
        clock.advance("5s")
        await receive(reader, 1)
        assert not reader.counters.paused
        # The time in which it might not send doesn't count afterwards either.
        clock.advance("9s")
        await loop_turns(20)
        await client.send(b"still here\n")
        await client.close()
        assert await receive_all(reader) == [b"still here"]
        assert reader.counters.timed_out == 0
