"""A server source and its clients, over real sockets."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence

import pytest
import uvloop

from streamproc.codecs import bytes_decoder
from streamproc.connectors.tcp import NDJSON, LengthPrefixed, Lines, TcpServerSource
from streamproc.errors import PipelineError, SourceError
from tests.connectors.tcp.harness import Journal, Server, receive, receive_all, running

LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


@LOOPS
def test_every_line_of_many_clients_arrives_once_and_in_its_clients_order(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def story() -> None:
        server = Server(until_clients_done=30)
        rng = random.Random(7)
        sent = [[b"%d %d" % (client, number) for number in range(500)] for client in range(30)]

        async def send_in_odd_pieces(lines: list[bytes]) -> None:
            client = await server.connect()
            stream = b"\n".join(lines) + b"\n"
            while stream:
                size = rng.randrange(1, 700)
                await client.send(stream[:size])
                stream = stream[size:]
            await client.close()

        async with running(server.source, Journal()) as reader, asyncio.TaskGroup() as clients:
            for lines in sent:
                clients.create_task(send_in_odd_pieces(lines))
            received = await receive_all(reader)
            by_client = [[line for line in received if line.startswith(b"%d " % client)] for client in range(30)]
            assert by_client == sent
            assert reader.counters.opened == 30
            assert reader.counters.open == 0
            assert reader.counters.received_bytes == sum(len(line) + 1 for line in received)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())


async def test_a_line_may_come_in_several_chunks() -> None:
    server = Server()
    async with running(server.source, Journal()) as reader:
        client = await server.connect()
        await client.send(b"first\nsec")
        assert await receive(reader, 1) == [b"first"]
        await client.send(b"ond\r")
        await client.send(b"\nthird\n")
        assert await receive(reader, 2) == [b"second", b"third"]
        await client.close()


@pytest.mark.parametrize(("framing", "sent"), [(Lines(), b"one\ntwo"), (LengthPrefixed(1), b"\x03one\x03tw")])
async def test_an_incomplete_frame_is_dropped_counted_and_logged(
    framing: Lines | LengthPrefixed, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(until_clients_done=1, framing=framing)
    async with running(server.source, Journal()) as reader:
        await server.send(sent)
        assert await receive_all(reader) == [b"one"]
        assert reader.counters.cut_off == 1
    assert [record.__dict__["why"] for record in caplog.records] == [
        "it ended inside a frame, of which 3 bytes are dropped"
    ]


async def test_a_last_line_without_delimiter_counts_by_choice() -> None:
    server = Server(until_clients_done=1, framing=Lines(keep_last=True))
    async with running(server.source, Journal()) as reader:
        await server.send(b"one\ntwo")
        assert await receive_all(reader) == [b"one", b"two"]
        assert reader.counters.cut_off == 0


async def test_keep_alives_of_an_ndjson_client_are_no_records() -> None:
    server = Server(until_clients_done=1, framing=NDJSON)
    journal = Journal()
    async with running(server.source, journal) as reader:
        await server.send(b'\n\n{"a":1}\n\n\r\n{"a":2}\r\n\n')
        assert await receive_all(reader) == [b'{"a":1}', b'{"a":2}']


async def test_a_frame_that_is_too_large_ends_its_connection_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(max_frame_bytes=100)
    async with running(server.source, Journal()) as reader:
        good = await server.connect()
        await good.send(b"before\n")
        bad = await server.connect()
        await bad.send(b"fine\n" + b"x" * 101 + b"\nnever seen\n")
        assert await bad.closed_by_peer()
        await good.send(b"after\n")
        assert sorted(await receive(reader, 3)) == [b"after", b"before", b"fine"]
        assert reader.counters.too_large == 1
        assert reader.counters.open == 1
        await good.close()
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.__dict__["why"] == "a line is longer than max_frame_bytes=100"
    assert record.__dict__["source"] == "in"


async def test_a_connection_too_many_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(max_connections=2)
    async with running(server.source, Journal()) as reader:
        first, second = await server.connect(), await server.connect()
        for _ in range(5):
            assert await (await server.connect()).closed_by_peer()
        assert reader.counters.refused == 5
        await first.send(b"first\n")
        await second.send(b"second\n")
        assert sorted(await receive(reader, 2)) == [b"first", b"second"]
        await first.close()
        await second.close()
    # The 1st, 2nd and 4th: a flood of connections is no flood of log lines.
    assert [record.__dict__["refused"] for record in caplog.records] == [1, 2, 4]


async def test_incomplete_frames_of_all_clients_together_are_bounded() -> None:
    server = Server(max_buffered_bytes=10_000, max_frame_bytes=9_000)
    journal = Journal()
    async with running(server.source, journal) as reader:
        hoarder, modest = await server.connect(), await server.connect()
        await hoarder.send(b"ready\n" + b"x" * 8_000)
        await receive(reader, 1)
        await modest.send(b"y" * 3_000)
        assert await hoarder.closed_by_peer()
        await modest.send(b"\n")
        assert await receive(reader, 1) == [b"y" * 3_000]
        assert reader.counters.crowded_out == 1
        await modest.close()


async def test_a_port_in_use_is_an_error_that_says_which() -> None:
    server = Server()
    async with running(server.source, Journal()):
        second = TcpServerSource(server.address[1], decode=bytes_decoder())
        with pytest.raises(SourceError, match=rf"127\.0\.0\.1:{server.address[1]}.*in use"):
            async with running(second, Journal()):
                pass


async def test_several_shards_share_a_port() -> None:
    first = Server()
    async with running(first.source, Journal(), shards=2) as one:
        second = TcpServerSource(first.address[1], decode=bytes_decoder())
        async with running(second, Journal(), shard=1, shards=2) as other:
            for number in range(20):
                await first.send(b"%d\n" % number)
            received: list[bytes] = []
            while len(received) < 20:
                waits = [asyncio.ensure_future(reader.wait()) for reader in (one, other)]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED, timeout=20)
                for wait, reader in zip(waits, (one, other), strict=True):
                    received += (await receive(reader, 1)) if wait.done() else []
                    wait.cancel()
            assert sorted(received, key=int) == [b"%d" % number for number in range(20)]


async def test_the_address_is_free_again_after_close() -> None:
    server = Server()
    async with running(server.source, Journal()):
        client = await server.connect()
    assert await client.closed_by_peer()
    again = TcpServerSource(server.address[1], decode=bytes_decoder())
    async with running(again, Journal()):
        pass


async def test_bound_makes_what_is_in_the_journal_the_whole_input() -> None:
    server = Server()
    journal = Journal()
    async with running(server.source, journal) as reader:
        client = await server.connect()
        await client.send(b"one\ntwo\nthr")
        await journal.holds(0)
        await reader.bound()
        assert not reader.bounded, "a later run may find more"
        assert not reader.finished
        assert await client.closed_by_peer()
        assert await receive_all(reader) == [b"one", b"two"]
        with pytest.raises(ConnectionRefusedError):
            await server.connect()


async def test_bound_leaves_an_input_that_ends_by_itself_alone() -> None:
    server = Server(until_clients_done=1)
    async with running(server.source, Journal()) as reader:
        await reader.bound()
        assert reader.bounded
        await server.send(b"one\ntwo\n")
        assert await receive_all(reader) == [b"one", b"two"]


async def test_a_journal_that_can_not_be_written_ends_the_job_and_not_only_a_connection() -> None:
    class FullDisk(Journal):
        def append(self, entries: Sequence[bytes]) -> int:
            raise OSError("no space left on device")

    server = Server()
    async with running(server.source, FullDisk()) as reader:
        client = await server.connect()
        await client.send(b"one\n")
        await asyncio.wait_for(reader.wait(), 20)
        with pytest.raises(SourceError, match=r"'in'.*no space left on device"):
            await receive(reader, 1)
        assert await client.closed_by_peer()


async def test_a_reader_whose_start_failed_can_be_closed() -> None:
    class Unreadable(Journal):
        def read(self, after: int) -> Iterable[tuple[int, bytes]]:
            raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"):
        async with running(Server().source, Unreadable()):
            pass


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"port": 70_000}, "port is 70000, expected 0 to 65535"),
        ({"max_connections": 0}, "max_connections is 0, expected 1 or more"),
        ({"max_frame_bytes": 0}, "max_frame_bytes is 0"),
        ({"max_buffered_bytes": 0}, "max_buffered_bytes is 0"),
        ({"until_clients_done": 0}, "until_clients_done is 0"),
        ({"idle_timeout": "soon"}, "idle_timeout is 'soon'"),
        ({"first_byte_timeout": "0s"}, "first_byte_timeout is '0s'"),
    ],
)
def test_wrong_settings_fail_where_they_are_written(settings: dict[str, object], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        TcpServerSource(**{"port": 0, "decode": bytes_decoder(), **settings})  # type: ignore[arg-type]
