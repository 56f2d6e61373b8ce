"""Both sources keep the rules of all sources."""

from __future__ import annotations

import asyncio
import random

from streamproc.codecs import bytes_decoder, text_decoder
from streamproc.connectors.tcp import Backoff, LengthPrefixed, TcpClientSource, TcpServerSource
from streamproc.testing import check_source
from tests.connectors.tcp.harness import loop_turns, until


async def test_the_server_source() -> None:
    sent = [f"line {number}" for number in range(300)]
    addresses: list[tuple[str, int]] = []

    def listening(host: str, port: int) -> None:
        addresses.append((host, port))

    source = TcpServerSource(0, decode=text_decoder(), on_listening=listening, max_buffered_bytes=1_000)

    async def feed() -> None:
        # The suite begins with readers that must not start.
        await until(lambda: bool(addresses))
        rng = random.Random(11)
        _, client = await asyncio.open_connection(*addresses[0])
        stream = "".join(f"{line}\r\n" for line in sent).encode()
        while stream:
            size = rng.randrange(1, 90)
            client.write(stream[:size])
            await client.drain()
            # So that the reader sees it in small pieces, and cuts entries where lines are incomplete.
            await loop_turns(10)
            stream = stream[size:]
        client.close()
        await client.wait_closed()

    await check_source(lambda: source, sent, feed=feed, chunk=len(sent), seed=5)


async def test_the_client_source() -> None:
    sent = [b"%d" % number * (number % 5) for number in range(300)]
    served = asyncio.Event()

    async def serve(_: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if not served.is_set():
            served.set()
            for frame in sent:
                client.write(len(frame).to_bytes(2, "big") + frame)
                await client.drain()
        # Whoever connects again gets nothing more.
        client.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        source = TcpClientSource(
            "127.0.0.1",
            server.sockets[0].getsockname()[1],
            decode=bytes_decoder(),
            framing=LengthPrefixed(2),
            reconnect=Backoff(seed=1),
        )
        await check_source(lambda: source, sent, feed=served.wait, chunk=len(sent), seed=5)
