"""`TimerQueue`: timers in the order in which they ring, while those that ring set and clear others."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from streamproc.state.keys import encode_prefix

__all__ = ["TimerPlace", "TimerQueue", "TimerRow", "place_of"]

TimerRow: TypeAlias = tuple[int, Any, str]
"""A timer: its time, its key, its name."""
TimerPlace: TypeAlias = tuple[int, bytes]
"""The same, as what is compared and ordered."""


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
        self._heap = [(place_of(row), row) for row in due]
        self._waiting = {place for place, _ in self._heap}
        self._cleared: set[TimerPlace] = set()
        self._through = through
        self._now = due[0][0]

    def __iter__(self) -> Iterator[TimerRow]:
        while self._heap:
            place, row = heapq.heappop(self._heap)
            # It may have been cleared, and it may be here twice if it was set again after that.
            if place in self._waiting:
                self._waiting.remove(place)
                self._now = row[0]
                yield row

    def add(self, row: TimerRow) -> None:
        """Learn that a timer was set."""
        when, place = row[0], place_of(row)
        # One of the time of the ringing one has its turn if it was to have it before it was cleared.
        if place not in self._waiting and (
            self._now < when <= self._through or (when == self._now and place in self._cleared)
        ):
            self._waiting.add(place)
            heapq.heappush(self._heap, (place, row))
        self._cleared.discard(place)

    def remove(self, row: TimerRow) -> None:
        """Learn that a timer was cleared."""
        place = place_of(row)
        if place in self._waiting:
            self._waiting.remove(place)
            self._cleared.add(place)


def place_of(row: TimerRow) -> TimerPlace:
    """Return what tells a timer apart from all others: its key alone doesn't, as 1, 1.0 and True are equal."""
    when, key, name = row
    return when, encode_prefix(key, name)
