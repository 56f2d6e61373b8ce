"""`StdinReader`: reads a descriptor ahead of the batches, through the journal.

A journal entry is the lines that one read of 64 KiB completed, as they were; only the last of a stream may lack its
line break. The position of partition ``"journal"`` is the number of the next entry to take. Batches end
between entries, so only the first entry of a batch can pass a limit.

The descriptor is read in a thread, because a file, unlike a pipe, can't be waited for in an event loop, and because
making a terminal non-blocking would change it for all programs that share it. The thread waits for input and for a
wake-up at once, so that it can be stopped.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections import deque
from collections.abc import Mapping

from streamproc.batch import Segment
from streamproc.errors import SourceError
from streamproc.io.source import Journal, Limits, Position, SourceBatch, SourceContext, SourceReader

__all__ = ["StdinReader"]

_PARTITION = "journal"
_ENTRY = 64 << 10


class StdinReader(SourceReader):
    """Reads lines from a descriptor.

    Args:
        context: What the engine gives.
        descriptor: What to read; it is not closed.
        skip_blank: Whether an empty line is no record.
        max_record_bytes: The longest line that is not an error.
        max_buffered_bytes: Above how much, read and not yet taken, to stop reading.
    """

    def __init__(
        self,
        context: SourceContext,
        descriptor: int,
        *,
        skip_blank: bool,
        max_record_bytes: int,
        max_buffered_bytes: int,
    ) -> None:
        self._context = context
        self._descriptor = descriptor
        self._skip_blank = skip_blank
        self._max_record_bytes = max_record_bytes
        self._max_buffered_bytes = max_buffered_bytes
        self._entries: deque[tuple[int, bytes]] = deque()
        self._buffered = 0
        self._next: int = 1
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._wake: tuple[int, int] | None = None
        self._owner: asyncio.Task[None] | None = None

    async def start(self, positions: Mapping[str, Position]) -> None:
        """Take up what the journal holds behind the committed position, then begin to read."""
        position = positions.get(_PARTITION, 1)
        if not isinstance(position, int):
            raise SourceError(
                f"source {self._context.name!r}: the committed position {position!r} is not the number of a journal "
                "entry: the state is of another kind of source. Use another name or another state directory"
            )
        journal = self._context.journal()
        self._next = position
        for number, entry in journal.read(position - 1):
            self._add(number, entry)
        if self._context.shard != 0:
            self._end()
            return
        self._wake = os.pipe()
        # Owned: `take` raises its error, and `close` ends it.
        self._owner = asyncio.create_task(self._read(journal), name=f"stdin source {self._context.name}")
        self._owner.add_done_callback(lambda _: self._end())

    async def take(self, limits: Limits) -> SourceBatch:
        """Return the lines of whole journal entries."""
        if self._owner is not None and self._owner.done() and not self._entries:
            self._owner.result()
        values: list[bytes] = []
        segments: list[Segment] = []
        size = 0
        positions: dict[str, Position | None] = {}
        while self._entries:
            number, entry = self._entries[0]
            if values and size + len(entry) > limits.bytes:
                break
            lines = self._lines(entry)
            if values and len(values) + len(lines) > limits.records:
                break
            self._entries.popleft()
            self._buffered -= len(entry)
            size += len(entry)
            values += lines
            if lines:
                segments.append(Segment(_PARTITION, len(lines), f"entry {number}"))
            positions[_PARTITION] = number + 1
        if 2 * self._buffered <= self._max_buffered_bytes:
            self._room.set()
        if not self._entries and not self._ended:
            self._ready.clear()
        return SourceBatch(values, segments, positions, more=bool(self._entries))

    async def wait(self) -> None:
        """Return once there are lines, or the input has ended."""
        await self._ready.wait()

    @property
    def bounded(self) -> bool:
        """Whether no later run will find more once all was read: the end of standard input is the end."""
        return True

    @property
    def finished(self) -> bool:
        """Whether the input has ended and all lines were taken."""
        failed = self._owner is not None and self._owner.done() and self._owner.exception() is not None
        return self._ended and not self._entries and not failed

    async def bound(self) -> None:
        """Do nothing: standard input ends by itself."""

    async def close(self) -> None:
        """Stop reading."""
        if self._wake is None:
            return
        reading, writing = self._wake
        self._wake = None
        os.write(writing, b"\0")
        self._room.set()
        if self._owner is not None:
            # Its failure is for `take` to raise, not for `close`.
            await asyncio.wait([self._owner])
            if not self._owner.cancelled():
                self._owner.exception()
        os.close(reading)
        os.close(writing)

    async def _read(self, journal: Journal) -> None:
        assert self._wake is not None
        wake = self._wake[0]
        loop = asyncio.get_running_loop()
        tail = bytearray()
        while True:
            try:
                data = await loop.run_in_executor(None, _read_some, self._descriptor, wake)
            except OSError as error:
                raise SourceError(
                    f"source {self._context.name!r}: descriptor {self._descriptor} can't be read: {error.strerror}"
                ) from error
            if data is None:
                return
            if not data:
                if tail:
                    self._receive(journal, bytes(tail))
                return
            end = data.rfind(b"\n") + 1
            if end:
                self._check(len(tail) + data.find(b"\n"))
                self._receive(journal, b"".join((tail, data[:end])))
                tail = bytearray(data[end:])
            else:
                tail += data
            self._check(len(tail))
            if self._buffered > self._max_buffered_bytes:
                self._room.clear()
                await self._room.wait()

    def _receive(self, journal: Journal, lines: bytes) -> None:
        """Make lines durable, then count them as received."""
        number = journal.append([lines])
        self._context.step("journaled")
        self._add(number, lines)

    def _add(self, number: int, entry: bytes) -> None:
        if number != self._next:
            raise SourceError(
                f"source {self._context.name!r}: the journal goes on with entry {number}, expected {self._next}: what "
                "was received is missing. Restore the state directory from a backup, or start with a new one"
            )
        self._next += 1
        self._entries.append((number, entry))
        self._buffered += len(entry)
        self._ready.set()

    def _lines(self, entry: bytes) -> list[bytes]:
        lines = entry.removesuffix(b"\n").split(b"\n")
        if b"\r" in entry:
            lines = [line.removesuffix(b"\r") for line in lines]
        return [line for line in lines if line] if self._skip_blank else lines

    def _check(self, length: int) -> None:
        if length > self._max_record_bytes:
            raise SourceError(
                f"source {self._context.name!r}: a line behind journal entry {self._next - 1} is longer than "
                f"{self._max_record_bytes} bytes: raise max_record_bytes, or check that the input is lines"
            )

    def _end(self) -> None:
        self._ended = True
        self._ready.set()


def _read_some(descriptor: int, wake: int) -> bytes | None:
    """Return the next bytes, none at the end of the input; None if the wake-up came first."""
    readable, _, _ = select.select([descriptor, wake], [], [])
    return None if wake in readable else os.read(descriptor, _ENTRY)
