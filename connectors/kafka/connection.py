"""`FetchConnection`: a connection to a broker that receives what it answers into the place where it stays.

aiokafka's own connections copy an answer four times, from buffer to buffer, on its way to who asked. For the small
answers of all other requests that is no matter; for fetched records it costs more than reading them. So aiokafka
connects and authenticates, and then its protocol is replaced by one that has the transport write an answer right into
the memory that the records are read from.
"""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportPrivateUsage=false

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from typing import Any

from aiokafka.conn import AIOKafkaConnection, create_conn  # type: ignore[import-untyped]
from aiokafka.errors import CorrelationIdError, KafkaConnectionError  # type: ignore[import-untyped]

__all__ = ["FetchConnection", "Memory"]

_LENGTH = struct.Struct(">i")
_SMALLEST_ROOM = 64 << 10
_SMALL = 1024
"""Up to how many bytes a field of an answer is copied; names and numbers have to be bytes."""


class Memory:
    """Memory for answers, used again once nobody reads it: to get fresh memory from the system costs more.

    Args:
        places: How many answers it keeps memory for.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._buffers: list[bytearray] = []

    def room(self, size: int) -> memoryview:
        """Return room for an answer; it is free again when the last view of it is gone."""
        for buffer in self._buffers:
            if len(buffer) >= size and _is_free(buffer):
                return memoryview(buffer)[:size]
        buffer = bytearray(max(size, _SMALLEST_ROOM))
        self._buffers = [*self._buffers[1 - self._places :], buffer]
        return memoryview(buffer)[:size]


def _is_free(buffer: bytearray) -> bool:
    try:
        # A bytearray with views refuses to change its size.
        buffer.append(buffer.pop())
    except BufferError:
        return False
    return True


class FetchConnection:
    """A connection on which one request at a time waits for its answer; made by `open`."""

    def __init__(self, connection: AIOKafkaConnection, address: str, client_id: str, memory: Memory) -> None:
        self._connection = connection
        self._address = address
        self._client_id = client_id
        self._sent = 0
        self._frames = _Frames(address, memory)
        # aiokafka 0.14 has no public names for the transport, the task that reads it, and what the broker supports.
        self._transport: asyncio.Transport = connection._writer.transport
        connection._read_task.cancel()
        self._versions: dict[int, tuple[int, int]] = connection._versions
        self._transport.set_protocol(self._frames)
        self._transport.resume_reading()

    @classmethod
    async def open(cls, host: str, port: int, options: Mapping[str, Any], memory: Memory) -> FetchConnection:
        """Connect and authenticate.

        Args:
            host: Where the broker is.
            port: Its port.
            options: What aiokafka's connections take.
            memory: Where answers are received.

        Raises:
            KafkaError: The broker doesn't let this client in.
            OSError: It can't be reached.
            TimeoutError: It doesn't answer.
        """
        return cls(await create_conn(host, port, **options), f"{host}:{port}", options["client_id"], memory)

    @property
    def is_open(self) -> bool:
        """Whether it can be asked."""
        return self._frames.broken is None

    async def ask(self, request: Any, timeout_ms: int) -> Any:
        """Send a request and return its answer, whose large fields are views of the memory it was received in.

        Raises:
            KafkaError: The connection is broken.
            TimeoutError: No answer in time. The connection is closed, as it may still come.
        """
        prepared = request.prepare(self._versions)
        self._sent = (self._sent + 1) % (1 << 31)
        header = prepared.build_request_header(correlation_id=self._sent, client_id=self._client_id)
        message = header.encode() + prepared.encode()
        answered = self._frames.expect()
        try:
            self._transport.write(_LENGTH.pack(len(message)) + message)
            async with asyncio.timeout(timeout_ms / 1000):
                frame = _Cursor(await answered)
        except BaseException:
            self.close()
            raise
        found = prepared.parse_response_header(frame).correlation_id
        if found != self._sent:
            self.close()
            raise CorrelationIdError(f"{self._address} answered request {found}, but {self._sent} was asked")
        return prepared.RESPONSE_TYPE.decode(frame)

    def close(self) -> None:
        """Disconnect; what waits for an answer fails."""
        self._frames.fail("closed")
        self._connection.close()
        # With TLS a close waits for the broker's, and nobody waits for that.
        self._transport.abort()


class _Frames(asyncio.BufferedProtocol):
    """Receives answers, each behind its length, one at a time."""

    def __init__(self, address: str, memory: Memory) -> None:
        self.broken: str | None = None
        self._address = address
        self._memory = memory
        self._answered: asyncio.Future[memoryview] | None = None
        self._length = memoryview(bytearray(_LENGTH.size))
        self._into = self._length
        self._filled = 0

    def expect(self) -> asyncio.Future[memoryview]:
        """Return what will be the next answer."""
        if self.broken is not None:
            raise KafkaConnectionError(f"the connection to {self._address} is {self.broken}")
        assert self._answered is None or self._answered.done(), "one request at a time"
        self._answered = asyncio.get_running_loop().create_future()
        return self._answered

    def fail(self, reason: str) -> None:
        """Expect nothing more."""
        self.broken = self.broken or reason
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(KafkaConnectionError(f"the connection to {self._address} was {reason}"))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where what comes next is to be written."""
        return self._into[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Go on behind what was written."""
        self._filled += nbytes
        if self._filled < len(self._into):
            return
        complete, self._filled = self._into, 0
        if complete is self._length:
            self._into = self._memory.room(_LENGTH.unpack(complete)[0])
            return
        self._into = self._length
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(complete)

    def connection_lost(self, exc: Exception | None) -> None:
        """Learn that it ended."""
        self.fail(f"lost: {exc}" if exc else "closed by the broker")


class _Cursor:
    """Reads a frame as aiokafka's types read a file."""

    def __init__(self, frame: memoryview) -> None:
        self._frame = frame
        self._at = 0

    def read(self, size: int) -> bytes | memoryview:
        """Return the next bytes."""
        start, self._at = self._at, self._at + size
        part = self._frame[start : self._at]
        return part if size > _SMALL else bytes(part)
