"""`TimerQueue`: timers in the order in which they ring, while those that ring set and clear others."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from streamproc.state.keys import encode_prefix

__all__ = ["TimerQueue", "TimerRow"]

TimerRow: TypeAlias = tuple[int, Any, str]
"""A timer: its time, its key, its name."""


class TimerQueue:
    """Gives timers by time, then key, then name; to be told while it does which others are set and cleared.

    A timer that is set for a time between that of the ringing one and the limit has its turn when its time comes. One
    that is set for no later time than that of the ringing one hasn't: so each queue comes to an end.

    Args:
        due: The timers that are due at first, in order; at least one.
        through: The limit: up to which time others may join in.

    Example:
        >>> queue = TimerQueue([(1, "a", ""), (4, "a", "")], through=5)
        >>> for when, key, name in queue:
        ...     print(when)
        ...     queue.add((when + 2, key, name))
        1
        3
        4
        5
    """

    def __init__(self, due: Sequence[TimerRow], *, through: int) -> None:
        self._heap = [(_order(row), row) for row in due]
        self._waiting = set(due)
        self._cleared: set[TimerRow] = set()
        self._through = through
        self._now = due[0][0]

    def __iter__(self) -> Iterator[TimerRow]:
        while self._heap:
            _, row = heapq.heappop(self._heap)
            # It may have been cleared, and it may be here twice if it was set again after that.
            if row in self._waiting:
                self._waiting.remove(row)
                self._now = row[0]
                yield row

    def add(self, row: TimerRow) -> None:
        """Learn that a timer was set."""
        if row in self._cleared or (self._now < row[0] <= self._through and row not in self._waiting):
            self._cleared.discard(row)
            self._waiting.add(row)
            heapq.heappush(self._heap, (_order(row), row))

    def remove(self, row: TimerRow) -> None:
        """Learn that a timer was cleared."""
        if row in self._waiting:
            self._waiting.remove(row)
            self._cleared.add(row)


def _order(row: TimerRow) -> tuple[int, bytes]:
    when, key, name = row
    return when, encode_prefix(key, name)
