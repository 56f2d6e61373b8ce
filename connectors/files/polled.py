"""`PolledReader`: the asyncio side of reading files.

What is read, in which order and from where on is decided by a `Feed`, a plain object that does its file work in the
calling thread. The reader calls it in a worker thread, polls it by the clock while there is nothing to read, and cuts
what it gives to the limits of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from streamproc.batch import Segment
from streamproc.eventtime.clock import Clock
from streamproc.io.source import Limits, Position, SourceBatch, SourceReader

from .one_at_a_time import OneAtATime
from .record_buffer import Taken

__all__ = ["EmptyFeed", "Feed", "PolledReader"]


class Feed(Protocol):
    """Records of one file after the other. ``start`` and ``fill`` may block; the others don't."""

    def ready(self) -> bool:
        """Return whether ``take`` would return a record."""
        ...

    def finished(self) -> bool:
        """Return whether the input has ended and everything was taken."""
        ...

    def start(self, positions: Mapping[str, Position]) -> None:
        """Open the input at the committed positions."""
        ...

    def fill(self) -> None:
        """Read on until something is ``ready``, the input has ended, or there is nothing more now."""
        ...

    def take(self, records: int, size: int, *, at_least_one: bool) -> Taken:
        """Hand out records that are ready; see `RecordBuffer.take`."""
        ...

    def moved(self) -> Mapping[str, Position | None]:
        """Return the positions that have changed since the last call."""
        ...

    def bound(self) -> None:
        """Treat what is here now as the end of the input."""
        ...

    def progress(self) -> tuple[int, int] | None:
        """Return how many bytes were read and how many there are, as on disk; None if that isn't known."""
        ...

    def close(self) -> None:
        """Close all files."""
        ...


class EmptyFeed:
    """What a shard reads that has no part of the input.

    Args:
        finished: Whether the input has an end.
    """

    def __init__(self, *, finished: bool) -> None:
        self._finished = finished

    def ready(self) -> bool:
        """Return False."""
        return False

    def finished(self) -> bool:
        """Return whether the input has an end."""
        return self._finished

    def start(self, positions: Mapping[str, Position]) -> None:
        """Do nothing."""

    def fill(self) -> None:
        """Do nothing."""

    def take(self, records: int, size: int, *, at_least_one: bool) -> Taken:
        """Return nothing."""
        return Taken([], [], 0, 0)

    def moved(self) -> Mapping[str, Position | None]:
        """Return nothing."""
        return {}

    def bound(self) -> None:
        """End."""
        self._finished = True

    def progress(self) -> tuple[int, int] | None:
        """Return nothing."""
        return None

    def close(self) -> None:
        """Do nothing."""


class PolledReader(SourceReader):
    """Reads a `Feed`.

    Args:
        feed: What to read.
        clock: Tells when to look for more.
        poll_interval: How often to look, in milliseconds.
        bounded: Whether the input ends for good where the feed is finished.
    """

    def __init__(self, feed: Feed, clock: Clock, poll_interval: int, *, bounded: bool = False) -> None:
        self._feed = feed
        self._clock = clock
        self._poll_interval = poll_interval
        self._bounded = bounded
        self._files = OneAtATime()
        self._progress: tuple[int, int] | None = None

    async def start(self, positions: Mapping[str, Position]) -> None:
        """Open the input and go to the committed positions."""
        await self._files.run(self._feed.start, positions)
        self._progress = self._feed.progress()

    async def take(self, limits: Limits) -> SourceBatch:
        """Return records that are here now, up to the limits."""
        await self._files.idle()
        feed = self._feed
        values: list[bytes] = []
        segments: list[Segment] = []
        records, size = limits.records, limits.bytes
        while records > 0 and (size > 0 or not values):
            if not feed.ready():
                await self._files.run(feed.fill)
                if not feed.ready():
                    break
            taken = feed.take(records, size, at_least_one=not values)
            if not taken.records:
                size = 0
                break
            values += taken.values
            segments += taken.segments
            records -= taken.records
            size -= taken.size
        self._progress = feed.progress()
        return SourceBatch(values, segments, feed.moved(), more=min(records, size) <= 0 and not feed.finished())

    async def wait(self) -> None:
        """Return once there is a record to take, or the input has ended."""
        while True:
            await self._files.idle()
            if self._feed.ready() or self._feed.finished():
                return
            await self._files.run(self._feed.fill)
            if self._feed.ready() or self._feed.finished():
                return
            await self._clock.sleep_until(self._clock.now() + self._poll_interval)

    @property
    def finished(self) -> bool:
        """Whether the input has ended and every record of it was taken."""
        return self._feed.finished()

    @property
    def bounded(self) -> bool:
        """Whether no later run will find more once all was read."""
        return self._bounded

    async def bound(self) -> None:
        """Treat what is here now as the end of the input."""
        await self._files.run(self._feed.bound)

    def progress(self) -> tuple[int, int] | None:
        """Return how many bytes were read when ``take`` was last called, and how many there were, for a progress bar.

        Bytes are those on disk, where files may be compressed. None where nothing is known yet.
        """
        return self._progress

    async def close(self) -> None:
        """Close all files."""
        await self._files.settle()
        self._feed.close()
