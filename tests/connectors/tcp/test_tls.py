"""TLS on both sides, with a certificate of the tests' own authority (valid until 2120)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress

import pytest
import uvloop

from streamproc.codecs import bytes_decoder
from streamproc.connectors.tcp import Backoff, ClientTls, ServerTls, TcpClientSource
from streamproc.errors import SourceError
from tests.connectors.tcp.harness import CERTIFICATES, Journal, Server, receive, receive_all, running

AUTHORITY = CERTIFICATES / "authority.pem"
SERVER = ServerTls(CERTIFICATES / "certificate.pem", CERTIFICATES / "key.pem")
MUTUAL = ServerTls(CERTIFICATES / "certificate.pem", CERTIFICATES / "key.pem", client_ca=AUTHORITY)
TRUSTING = ClientTls(ca=AUTHORITY)
KNOWN = ClientTls(ca=AUTHORITY, certificate=CERTIFICATES / "certificate.pem", key=CERTIFICATES / "key.pem")


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("tls", [SERVER, SERVER.context()], ids=["paths", "context"])
def test_lines_arrive_encrypted_with_backpressure(
    loop: Callable[[], asyncio.AbstractEventLoop], tls: ServerTls | ssl.SSLContext
) -> None:
    async def story() -> None:
        lines = [b"%d " % number + b"x" * 300 for number in range(20_000)]
        server = Server(tls=tls, until_clients_done=1, max_buffered_bytes=100_000)
        async with running(server.source, Journal()) as reader, asyncio.TaskGroup() as scope:
            client = await server.connect(ssl=TRUSTING.context())
            scope.create_task(client.send(b"\n".join(lines) + b"\n"))
            received = await receive(reader, len(lines))
            await client.close()
            assert await receive_all(reader) == []
            assert received == lines
            assert reader.counters.pauses > 0

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())


async def test_plain_bytes_are_no_records_of_a_tls_server() -> None:
    server = Server(tls=SERVER)
    async with running(server.source, Journal()) as reader:
        plain = await server.connect()
        await plain.send(b"one\ntwo\n")
        await plain.incoming.read()
        plain.outgoing.close()
        good = await server.connect(ssl=TRUSTING.context())
        await good.send(b"three\n")
        assert await receive(reader, 1) == [b"three"]
        await good.close()


async def test_a_client_without_certificate_is_not_let_in_where_one_is_asked_for() -> None:
    server = Server(tls=MUTUAL)
    async with running(server.source, Journal()) as reader:
        # In TLS 1.3 a client is through before the server has looked at its certificate.
        with suppress(ssl.SSLError, ConnectionError):
            stranger = await server.connect(ssl=TRUSTING.context())
            await stranger.send(b"one\n")
            assert await stranger.closed_by_peer()
        known = await server.connect(ssl=KNOWN.context())
        await known.send(b"two\n")
        assert await receive(reader, 1) == [b"two"]
        await known.close()


async def test_a_frame_that_is_too_large_ends_a_tls_connection_too() -> None:
    server = Server(tls=SERVER, max_frame_bytes=1_000)
    async with running(server.source, Journal()) as reader:
        client = await server.connect(ssl=TRUSTING.context())
        await client.send(b"good\n" + b"x" * 100_000 + b"\nnever seen\n" * 1_000)
        assert await client.closed_by_peer()
        assert await receive(reader, 1) == [b"good"]
        assert reader.counters.too_large == 1
        await reader.bound()
        assert reader.finished


async def test_a_client_source_reads_from_a_tls_server_that_it_trusts() -> None:
    async def serve(_: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        client.write(b"one\ntwo\n")
        client.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=SERVER.context())
    async with server:
        port = server.sockets[0].getsockname()[1]
        source = TcpClientSource("127.0.0.1", port, decode=bytes_decoder(), tls=TRUSTING, reconnect=None)
        async with running(source, Journal()) as reader:
            assert await receive_all(reader) == [b"one", b"two"]

        doubting = TcpClientSource("127.0.0.1", port, decode=bytes_decoder(), tls=ClientTls(), reconnect=None)
        with pytest.raises(SourceError, match="certificate verify failed"):
            async with running(doubting, Journal()):
                pass


async def test_a_missing_certificate_fails_the_start_and_names_the_files() -> None:
    server = Server(tls=ServerTls("nowhere.pem"))
    with pytest.raises(SourceError, match=r"'in'.*nowhere\.pem.*No such file"):
        async with running(server.source, Journal()):
            pass
    source = TcpClientSource(
        "127.0.0.1", 9000, decode=bytes_decoder(), tls=ClientTls(ca=CERTIFICATES / "key.pem"), reconnect=Backoff()
    )
    with pytest.raises(SourceError, match=r"can't set up TLS.*key\.pem"):
        async with running(source, Journal()):
            pass
