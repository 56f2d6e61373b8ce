"""`MemoryQueue`: the lists of records behind a `MemorySource`.

Records are numbered from zero through all lists. They are kept when they were read, so that a reader that is started
after a crash finds them again at the committed position.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from streamproc.errors import SourceError

__all__ = ["MemoryQueue", "QueuedList", "Waiters"]

T = TypeVar("T")


@dataclass(frozen=True)
class QueuedList(Generic[T]):
    """One list of records, as it was sent or the rest of it.

    Attributes:
        values: The records.
        timestamps: Their times in epoch milliseconds, if they were sent along.
    """

    values: list[T]
    timestamps: list[int] | None


class Waiters:
    """Those who wait for something to be sent."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    async def changed(self) -> None:
        """Return at the next `wake`."""
        # A future for each waiter, as an `asyncio.Event` would bind the queue to the first loop that waits.
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)

    def wake(self) -> None:
        """Let all who wait go on."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)


class MemoryQueue(Generic[T]):
    """Lists of records in the order in which they were sent. For use by one event loop at a time.

    Args:
        waiters: Who is woken at each ``send`` and ``close``.
    """

    def __init__(self, waiters: Waiters) -> None:
        self._lists: list[QueuedList[T]] = []
        self._starts: list[int] = []
        self._waiters = waiters
        self.size = 0
        """How many records were sent: the position behind the last."""
        self.closed = False
        """Whether no more will be sent."""

    def send(self, items: Iterable[T], timestamps: Iterable[int] | None = None) -> None:
        """Append a list of records.

        Raises:
            SourceError: The queue is closed, or there is not one timestamp a record.
        """
        queued = QueuedList(list(items), None if timestamps is None else list(timestamps))
        if self.closed:
            raise SourceError(f"{len(queued.values)} records were sent after close(): send them before it")
        if queued.timestamps is not None and len(queued.timestamps) != len(queued.values):
            raise SourceError(f"{len(queued.values)} records were sent with {len(queued.timestamps)} timestamps")
        self._starts.append(self.size)
        self._lists.append(queued)
        self.size += len(queued.values)
        self._waiters.wake()

    def close(self) -> None:
        """Say that no more records will come. May be called twice."""
        self.closed = True
        self._waiters.wake()

    def read(self, position: int) -> QueuedList[T]:
        """Return the rest of the list that holds the record at a position below ``size``."""
        # The last list that starts there: those before it are empty.
        index = bisect_right(self._starts, position) - 1
        found, skip = self._lists[index], position - self._starts[index]
        if not skip:
            return found
        return QueuedList(found.values[skip:], None if found.timestamps is None else found.timestamps[skip:])
