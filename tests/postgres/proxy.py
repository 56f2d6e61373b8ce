"""`Proxy`: stands between a client and PostgreSQL, cuts the connection at a COMMIT, or does something in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

__all__ = ["Proxy"]

Cut: TypeAlias = Literal["before", "after"]


class Proxy:
    """Passes on what client and server say, on a port of its own.

    Args:
        url: The server.
    """

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._port = 0
        self._cut: Cut | None = None
        self._first: tuple[bytes, Callable[[], None]] | None = None
        self.cuts = 0
        """How many connections it has cut."""

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncGenerator[Proxy]:
        """Start one that passes on to a server."""
        proxy = cls(url)
        async with asyncio.TaskGroup() as connections:

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                connections.create_task(proxy._pass_on(reader, writer))

            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            proxy._port = server.sockets[0].getsockname()[1]
            try:
                yield proxy
            finally:
                server.close()
                await server.wait_closed()

    @property
    def url(self) -> str:
        """What a client connects to."""
        user = f"{self._parts.username}@" if self._parts.username else ""
        return f"postgresql://{user}127.0.0.1:{self._port}{self._parts.path}"

    def cut_commit(self, cut: Cut) -> None:
        """Cut the connection at the next COMMIT: before the server gets it, or after it has obeyed, unheard."""
        self._cut = cut

    def before(self, text: str, action: Callable[[], None]) -> None:
        """Do something before the server gets the next statement that has a text in it."""
        self._first = text.encode(), action

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        answers = asyncio.create_task(_copy(server_reader, writer))
        try:
            while data := await reader.read(1 << 16):
                if self._first is not None and self._first[0] in data:
                    _, action = self._first
                    self._first = None
                    action()
                cut = self._cut if b"COMMIT;" in data else None
                if cut is not None:
                    self._cut = None
                    self.cuts += 1
                    # Until it has ended it reads what the server answers.
                    answers.cancel()
                    await asyncio.wait([answers])
                    if cut == "after":
                        server_writer.write(data)
                        await server_reader.read(1 << 16)
                    return
                server_writer.write(data)
                await server_writer.drain()
        except ConnectionError:
            pass
        finally:
            answers.cancel()
            server_writer.close()
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()
