"""`VirtualClock`: time that moves only when a test says so."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

from streamproc.durations import Duration, to_ms

__all__ = ["VirtualClock"]


class VirtualClock:
    """A `Clock` for tests: nobody waits, and every run sees the same times.

    Moving the time wakes the sleepers that are due, the earliest first; their tasks run when the caller next awaits
    something. All of them then see the time that was moved to. To let each see its own, move to `next_wakeup`, let the
    tasks run, and repeat.

    Args:
        start: The time at first, in epoch milliseconds.

    Example:
        >>> clock = VirtualClock(start=1_000)
        >>> clock.advance("1m30s")
        >>> clock.now()
        91000
    """

    def __init__(self, start: int = 0) -> None:
        self._now = start
        self._order = count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now(self) -> int:
        """Return the virtual time in epoch milliseconds."""
        return self._now

    def monotonic(self) -> float:
        """Return the virtual time in seconds: what is measured takes only the time that the test lets pass."""
        return self._now / 1000

    async def sleep_until(self, when: int) -> None:
        """Return once the time was moved to ``when`` or beyond; at once if it is there already."""
        if when <= self._now:
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when, next(self._order), woken))
        await woken

    def next_wakeup(self) -> int | None:
        """Return the time for which the earliest sleeper waits, in epoch milliseconds; None if nobody sleeps."""
        while self._sleepers and self._sleepers[0][-1].cancelled():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def advance_to(self, when: int) -> None:
        """Move the time to ``when``, in epoch milliseconds, and wake who waits for it.

        Raises:
            ValueError: That would be back in time.
        """
        if when < self._now:
            raise ValueError(f"the clock can't go back from {self._now} to {when}: it only advances")
        self._now = when
        while (wakeup := self.next_wakeup()) is not None and wakeup <= when:
            _, _, woken = heapq.heappop(self._sleepers)
            woken.set_result(None)

    def advance(self, duration: Duration) -> None:
        """Move the time on by a duration and wake who waits for it."""
        self.advance_to(self._now + to_ms(duration, what="the time to advance", zero=True))
