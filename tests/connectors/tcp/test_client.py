"""A client source and the server that it follows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from streamproc.codecs import bytes_decoder
from streamproc.connectors.tcp import Backoff, TcpClientSource
from streamproc.connectors.tcp.backoff import BackoffDelays
from streamproc.errors import PipelineError, SourceError
from streamproc.io.source import Limits
from tests.connectors.tcp.harness import Journal, loop_turns, receive, receive_all, running

SOON = Backoff(first="1ms", longest="20ms", seed=1)


class Feed:
    """A server that sends the same to every client and may close the connection then."""

    def __init__(self, data: bytes, *, closes: bool) -> None:
        self.data = data
        self.closes = closes
        self.clients: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[asyncio.Server, None]:
        """Listen: on a free port, then always on that."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            server.close()
            while not self.clients.empty():
                self.clients.get_nowait().close()

    async def _serve(self, _: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        client.write(self.data)
        self.clients.put_nowait(client)
        if self.closes:
            client.close()


async def test_one_connection_is_the_whole_input_without_reconnect() -> None:
    feed = Feed(b"one\ntwo\nthree\n", closes=True)
    async with feed.serving():
        source = TcpClientSource("127.0.0.1", feed.port, decode=bytes_decoder(), reconnect=None)
        async with running(source, Journal()) as reader:
            assert await receive_all(reader) == [b"one", b"two", b"three"]


async def test_it_connects_again_when_the_server_restarts(caplog: pytest.LogCaptureFixture) -> None:
    feed = Feed(b"hello\nincompl", closes=False)
    journal = Journal()
    async with feed.serving():
        source = TcpClientSource("127.0.0.1", feed.port, decode=bytes_decoder(), reconnect=SOON)
    caplog.set_level(logging.WARNING)
    # It begins while there is no server at all.
    async with running(source, journal) as reader:
        for restart in range(1, 4):
            async with feed.serving():
                assert await receive(reader, 1) == [b"hello"]
                assert reader.counters.opened == restart
        assert not reader.finished
        # The half lines of the first two connections are gone for certain; the end of the third may not be seen yet.
        assert reader.counters.cut_off >= 2
    waits = [record.__dict__ for record in caplog.records if record.message == "connecting again"]
    assert all(wait["server"] == f"127.0.0.1:{feed.port}" and 1 <= wait["wait_ms"] <= 20 for wait in waits)
    # A connection that brought something begins the waits anew.
    assert {wait["wait_ms"] for wait in waits if wait["why"] == "the connection was closed"} == {1}


async def test_a_server_that_is_not_there_fails_the_start_without_reconnect() -> None:
    feed = Feed(b"", closes=True)
    async with feed.serving():
        source = TcpClientSource("127.0.0.1", feed.port, decode=bytes_decoder(), reconnect=None)
    with pytest.raises(SourceError, match=rf"127\.0\.0\.1:{feed.port}.*reconnect="):
        async with running(source, Journal()):
            pass


async def test_bound_ends_the_attempts_and_leaves_what_was_received() -> None:
    feed = Feed(b"one\ntwo\nthr", closes=False)
    journal = Journal()
    async with feed.serving():
        source = TcpClientSource("127.0.0.1", feed.port, decode=bytes_decoder(), reconnect=SOON)
        async with running(source, journal) as reader:
            await journal.holds(0)
            await reader.bound()
            assert await receive_all(reader) == [b"one", b"two"]
            assert reader.counters.opened == 1


async def test_only_shard_zero_connects() -> None:
    feed = Feed(b"one\n", closes=False)
    async with feed.serving():
        endless = TcpClientSource("127.0.0.1", feed.port, decode=bytes_decoder(), reconnect=SOON)
        async with running(endless, Journal(), shard=1, shards=2) as reader:
            await loop_turns(100)
            assert not reader.finished
        ending = TcpClientSource("127.0.0.1", feed.port, decode=bytes_decoder(), reconnect=None)
        async with running(ending, Journal(), shard=1, shards=2) as reader:
            assert await receive_all(reader) == []
        assert feed.clients.empty()


async def test_a_restart_gives_the_rest_of_what_was_received() -> None:
    feed = Feed(b"x" * 70_000 + b"\n" + b"y" * 70_000 + b"\n", closes=True)
    journal = Journal()
    async with feed.serving():
        source = TcpClientSource("127.0.0.1", feed.port, decode=bytes_decoder(), reconnect=None)
        async with running(source, journal) as reader:
            await journal.holds(140_000)
            batch = await reader.take(Limits(records=1, bytes=1))
            assert batch.values == [b"x" * 70_000]
        later = TcpClientSource("127.0.0.1", feed.port, decode=bytes_decoder(), reconnect=SOON)
        async with running(later, journal, positions={"journal": 2}) as reader:
            assert (await receive(reader, 1))[0] == b"y" * 70_000


def test_waits_double_from_the_first_to_the_longest_by_a_random_part_less() -> None:
    longest = BackoffDelays(100, 1_000, lambda: 1.0)
    assert [longest.after_failure() for _ in range(6)] == [100, 200, 400, 800, 1_000, 1_000]
    shortest = BackoffDelays(100, 1_000, lambda: 0.0)
    assert [shortest.after_failure() for _ in range(6)] == [50, 100, 200, 400, 500, 500]
    shortest.reset()
    assert shortest.after_failure() == 50


def test_a_seed_repeats_the_waits() -> None:
    def waits(seed: int) -> list[int]:
        delays = Backoff("1s", "1h", seed=seed).delays()
        return [delays.after_failure() for _ in range(10)]

    assert waits(5) == waits(5) != waits(6)


def test_wrong_settings_fail_where_they_are_written() -> None:
    with pytest.raises(PipelineError, match="first='1m' is longer than longest='30s'"):
        Backoff(first="1m")
    with pytest.raises(PipelineError, match="port is 0"):
        TcpClientSource("127.0.0.1", 0, decode=bytes_decoder())
    with pytest.raises(PipelineError, match="connect_timeout"):
        TcpClientSource("127.0.0.1", 9000, decode=bytes_decoder(), connect_timeout="never")
