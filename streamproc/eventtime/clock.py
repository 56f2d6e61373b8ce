"""The clock: the only module of streamproc that reads the time.

Everything else takes a `Clock`, so that the real engine runs in tests under a virtual one. Times are integer
milliseconds since the epoch; `Clock.monotonic` is for measuring how long something took.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "SystemClock", "as_utc"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_utc(ms: int) -> str:
    """Return epoch milliseconds as people read them.

    Raises:
        OverflowError: No date is so far away.

    Example:
        >>> as_utc(1_700_000_000_123)
        '2023-11-14T22:13:20.123Z'
    """
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Clock(Protocol):
    """Tells the time and waits for it."""

    def now(self) -> int:
        """Return the time in epoch milliseconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, never going back."""
        ...

    async def sleep_until(self, when: int) -> None:
        """Return once `now` is at least ``when``; at once if it is already."""
        ...


class SystemClock:
    """The computer's clock."""

    def now(self) -> int:
        """Return the time in epoch milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, never going back."""
        return time.monotonic()

    async def sleep_until(self, when: int) -> None:
        """Return once `now` is at least ``when``; at once if it is already."""
        while (missing := when - self.now()) > 0:
            # The loop's timer and the wall clock can disagree by a little, and the wall clock can be set back.
            await asyncio.sleep(missing / 1000)
