"""Slices: the shortest intervals that no border of a window divides.

All windows of one periodic definition are unions of slices. A record is added to its one slice, whatever the size and
the slide; a window's result is merged from its slices when the watermark passes its end. (Li et al., "No pane, no
gain", SIGMOD Record 34, 2005.) Calendar windows don't overlap: each is a slice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import gcd
from zoneinfo import ZoneInfo

from streamproc.windowing.assigners import Calendar, Periodic
from streamproc.windowing.windows import Window

__all__ = ["CalendarSlices", "PeriodicSlices", "Slices", "slices_of"]

_YEAR_10000 = 253_402_300_800_000
"""The end of all times that records can have."""


class Slices(ABC):
    """The arithmetic of which slice, which windows, and what is due. Windows end one after the other."""

    @abstractmethod
    def start(self, timestamp: int) -> int:
        """Return the start of the slice that holds a timestamp."""

    @abstractmethod
    def starts(self, timestamps: Sequence[int]) -> list[int]:
        """Return the start of the slice of each timestamp."""

    @abstractmethod
    def in_window(self, slice_start: int) -> bool:
        """Return whether any window holds a slice: between windows with a slide above their size there are others."""

    @abstractmethod
    def last_end(self, slice_start: int) -> int:
        """Return the end of the last window that holds a slice: once the watermark is there, the slice can go."""

    @abstractmethod
    def window(self, end: int) -> Window:
        """Return the window that ends at a time at which one does."""

    @abstractmethod
    def ends_of(self, slice_start: int, after: int, through: int) -> Iterator[int]:
        """Yield, in order, the ends in ``(after, through]`` of the windows that hold a slice."""

    def ends(self, slice_starts: Sequence[int], after: int, through: int) -> Iterator[int]:
        """Yield, in order, the ends in ``(after, through]`` of the windows that hold at least one of some slices.

        Args:
            slice_starts: The slices that hold records, in order.
            after: Windows that end here or before are left out.
            through: Windows that end behind this are left out.
        """
        last = after
        for start in slice_starts:
            for end in self.ends_of(start, last, through):
                yield end
                last = end


@dataclass(frozen=True, slots=True)
class PeriodicSlices(Slices):
    """The slices of windows of one size at regular distances.

    Attributes:
        size: The length of a window.
        slide: The distance between windows.
        offset: Where windows start: at the multiples of the slide, and so much later.
        width: The length of a slice; slices start at its multiples.
    """

    size: int
    slide: int
    offset: int
    width: int

    @classmethod
    def of(cls, assigner: Periodic, *, at_most: int | None = None) -> PeriodicSlices:
        """Return the slices of an assigner.

        Args:
            assigner: The windows.
            at_most: How long a slice may be; what divides this also divides the slices.
        """
        size, slide, offset = assigner.size_ms, assigner.slide_ms, assigner.offset_ms
        return cls(size, slide, offset, gcd(size, slide, offset, at_most or 0))

    def start(self, timestamp: int) -> int:
        """Return the start of the slice that holds a timestamp."""
        return timestamp - timestamp % self.width

    def starts(self, timestamps: Sequence[int]) -> list[int]:
        """Return the start of the slice of each timestamp."""
        width = self.width
        return [timestamp - timestamp % width for timestamp in timestamps]

    def in_window(self, slice_start: int) -> bool:
        """Return whether any window holds a slice."""
        return (slice_start - self.offset) % self.slide < self.size

    def last_end(self, slice_start: int) -> int:
        """Return the end of the last window that holds a slice."""
        return slice_start - (slice_start - self.offset) % self.slide + self.size

    def window(self, end: int) -> Window:
        """Return the window that ends at a time at which one does."""
        return Window(end - self.size, end)

    def ends_of(self, slice_start: int, after: int, through: int) -> Iterator[int]:
        """Yield, in order, the ends in ``(after, through]`` of the windows that hold a slice."""
        first = max(self.first_end(slice_start), self.end_after(after))
        return iter(range(first, min(self.last_end(slice_start), through) + 1, self.slide))

    def ends(self, slice_starts: Sequence[int], after: int, through: int) -> Iterator[int]:
        """Yield, in order, the ends in ``(after, through]`` of the windows that hold at least one of some slices."""
        end = self.end_after(after)
        while end <= through:
            first = bisect_left(slice_starts, end - self.size)
            if first == len(slice_starts):
                return
            if slice_starts[first] < end:
                yield end
                end += self.slide
            else:
                end = max(end + self.slide, self.first_end(slice_starts[first]))

    def first_end(self, slice_start: int) -> int:
        """Return the end of the first window that holds a slice."""
        return self.end_after(slice_start + self.width - 1)

    def end_after(self, time: int) -> int:
        """Return the first end of a window behind a time."""
        return self.end_by(time) + self.slide

    def end_by(self, time: int) -> int:
        """Return the last end of a window at or before a time."""
        return time - (time - self.offset - self.size) % self.slide


class CalendarSlices(Slices):
    """Days, weeks or months of a time zone."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._zone = ZoneInfo(calendar.zone)
        self._holding = lru_cache(1024)(self._find)
        self._last = Window(0, 0)

    def start(self, timestamp: int) -> int:
        """Return the start of the window that holds a timestamp."""
        if not self._last.start <= timestamp < self._last.end:
            self._last = self._window_of(timestamp)
        return self._last.start

    def _window_of(self, timestamp: int) -> Window:
        utc = datetime.fromtimestamp(timestamp // 1000, UTC)
        try:
            local = utc.astimezone(self._zone)
        except OverflowError:  # The last hours of the year 9999.
            local = utc
        window = self._holding(local.year, local.month, local.day)
        # Where clocks are set back across midnight, a day begins, is interrupted by the end of the one before, and goes
        # on: all of that belongs to it.
        return self._window_behind(window) if timestamp >= window.end else window

    def _window_behind(self, window: Window) -> Window:
        """Return the window that begins where another ends."""
        first = datetime.fromtimestamp(window.end // 1000, UTC).astimezone(self._zone)
        return self._holding(first.year, first.month, first.day)

    def starts(self, timestamps: Sequence[int]) -> list[int]:
        """Return the start of the window of each timestamp."""
        return list(map(self.start, timestamps))

    def in_window(self, slice_start: int) -> bool:
        """Return true: there are no gaps."""
        return True

    def last_end(self, slice_start: int) -> int:
        """Return the end of a window."""
        self.start(slice_start)
        return self._last.end

    def window(self, end: int) -> Window:
        """Return the window that ends at a time at which one does."""
        self.start(end - 1)
        return self._last

    def ends_of(self, slice_start: int, after: int, through: int) -> Iterator[int]:
        """Yield the end of a window if it is in ``(after, through]``."""
        end = self.last_end(slice_start)
        if after < end <= through:
            yield end

    def _find(self, year: int, month: int, day: int) -> Window:
        """Return the window that holds a day."""
        start, days = datetime(year, month, day, tzinfo=self._zone), 1
        match self._calendar.unit:
            case "week":
                weekday = start.weekday() if self._calendar.week_starts == "monday" else (start.weekday() + 1) % 7
                start, days = start - timedelta(days=weekday), 7
            case "month":
                start, days = start.replace(day=1), 31
            case _:
                pass
        # Arithmetic on local times keeps midnight at midnight; only then are they placed on the line of time.
        try:
            end = start + timedelta(days=days)
        except OverflowError:
            return Window(_epoch_ms(start), _YEAR_10000)
        return Window(_epoch_ms(start), _epoch_ms(end.replace(day=1) if self._calendar.unit == "month" else end))


def slices_of(assigner: Periodic | Calendar, *, at_most: int | None = None) -> Slices:
    """Return the slices of windows that are the same for all keys.

    Args:
        assigner: The windows.
        at_most: How long a slice may be, where windows are periodic.
    """
    return CalendarSlices(assigner) if isinstance(assigner, Calendar) else PeriodicSlices.of(assigner, at_most=at_most)


def _epoch_ms(local: datetime) -> int:
    return round(local.timestamp()) * 1000
