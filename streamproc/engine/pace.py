"""When the next batch begins, and what its trigger time is: decided from times, without reading any clock."""

from __future__ import annotations

from streamproc.triggers import Interval, Trigger

__all__ = ["Pace"]


class Pace:
    """Paces the batches of one shard. Trigger times never go back, and from commit to commit they grow.

    Args:
        trigger: When batches begin.
        last: The trigger time of the last committed batch; None before the first.
        now: The time at the start.
    """

    def __init__(self, trigger: Trigger, last: int | None, now: int) -> None:
        self._every = trigger.every_ms if isinstance(trigger, Interval) else None
        # Before the first batch, the next multiple may be this very moment: a job that crashed in its first batch
        # begins it again at the same trigger time.
        self._last = now - 1 if last is None else last
        self._since = self._last
        """When the last batch began by the clock: earlier than its trigger time only if the clock was set back."""

    def due(self, now: int, *, data: bool, backlog: bool, timer: int | None) -> int | None:
        """Return when the next batch is to begin: now or later, in epoch milliseconds; None as soon as there is data.

        Args:
            now: The time.
            data: Whether a source has records.
            backlog: Whether the last batch left records behind because of its limits.
            timer: When an operator has something to do without records.
        """
        if backlog:
            return now
        if self._every is not None:
            # A clock that was set back since then has the interval counted anew, once.
            self._since = min(self._since, now)
            return self._next_multiple(self._every)
        if data:
            return now
        return None if timer is None else max(now, timer)

    def begin(self, now: int) -> int:
        """Begin a batch, and return its trigger time."""
        time = now
        if self._every is not None and now >= self._next_multiple(self._every):
            time = now - now % self._every
        self._since = time
        self._last = max(time, self._last + 1)
        return self._last

    def nothing_committed(self) -> None:
        """Learn that the last batch had nothing to commit: the next may have the same trigger time, but none before."""
        self._last -= 1

    def _next_multiple(self, every: int) -> int:
        """Return the first multiple of the interval behind the last batch."""
        return self._since - self._since % every + every
