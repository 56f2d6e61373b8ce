"""Windows: which intervals of time a record belongs to.

A window ``[start, end)`` holds the records with ``start <= timestamp < end``, in epoch milliseconds. All windows of one
definition are unions of *slices*: the shortest intervals that no window border divides. A record is added to its one
slice, whatever the size and the slide; a window's result is merged from its slices when the watermark passes its end.
(Li et al., "No pane, no gain", SIGMOD Record 34, 2005.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Generic, Protocol, TypeVar

import msgspec

from streamproc.durations import Duration, format_ms, to_ms
from streamproc.errors import PipelineError

__all__ = ["Sliding", "Trailing", "Tumbling", "Window", "WindowAssigner", "WindowResult"]

R = TypeVar("R")


class Window(msgspec.Struct, frozen=True, gc=False, order=True):
    """An interval of time ``[start, end)`` in epoch milliseconds."""

    start: int
    end: int


class WindowResult(msgspec.Struct, Generic[R], frozen=True, gc=False):
    """What a window gives for one key: its interval ``[start, end)`` in epoch milliseconds, and the aggregate."""

    start: int
    end: int
    value: R


class WindowAssigner(Protocol):
    """Windows of one size at regular distances."""

    @property
    def size_ms(self) -> int:
        """The length of a window."""
        ...

    @property
    def slide_ms(self) -> int:
        """The distance between the starts of two neighbouring windows."""
        ...

    @property
    def offset_ms(self) -> int:
        """The start of the first window that does not start before the epoch."""
        ...


@dataclass(frozen=True, slots=True, init=False)
class Tumbling:
    """Windows of one size, one after the other, without gap or overlap.

    Example:
        >>> Tumbling("10s")
        Tumbling(size_ms=10000)
    """

    size_ms: int

    def __init__(self, size: Duration) -> None:
        object.__setattr__(self, "size_ms", to_ms(size, what="the window's size"))

    @property
    def slide_ms(self) -> int:
        """The distance between the starts of two neighbouring windows: their size."""
        return self.size_ms

    @property
    def offset_ms(self) -> int:
        """Zero: windows start at the multiples of their size."""
        return 0

    def __str__(self) -> str:
        return f"tumbling {format_ms(self.size_ms)}"


@dataclass(frozen=True, slots=True, init=False)
class Sliding:
    """Windows of one size, a new one at every slide; a record belongs to ``size / slide`` of them.

    Example:
        >>> Sliding("1m", every="10s")
        Sliding(size_ms=60000, slide_ms=10000)
    """

    size_ms: int
    slide_ms: int

    def __init__(self, size: Duration, every: Duration) -> None:
        size_ms = to_ms(size, what="the window's size")
        slide_ms = to_ms(every, what="the window's slide")
        if slide_ms > size_ms:
            raise PipelineError(
                f"windows of {format_ms(size_ms)} every {format_ms(slide_ms)} leave gaps in which records are lost: "
                f"choose a slide of at most the size"
            )
        object.__setattr__(self, "size_ms", size_ms)
        object.__setattr__(self, "slide_ms", slide_ms)

    @property
    def offset_ms(self) -> int:
        """Zero: windows start at the multiples of the slide."""
        return 0

    def __str__(self) -> str:
        return f"sliding {format_ms(self.size_ms)} every {format_ms(self.slide_ms)}"


@dataclass(frozen=True, slots=True, init=False)
class Trailing:
    """The windows of DStreams: one ends at each multiple of the slide and reaches back by its length.

    With a slide above the length they are samples, and what comes between them is in none; both as in Spark.

    Example:
        >>> Trailing("3s", every="2s")
        Trailing(size_ms=3000, slide_ms=2000)
    """

    size_ms: int
    slide_ms: int

    def __init__(self, size: Duration, every: Duration) -> None:
        object.__setattr__(self, "size_ms", to_ms(size, what="the window's length"))
        object.__setattr__(self, "slide_ms", to_ms(every, what="the window's slide"))

    @property
    def offset_ms(self) -> int:
        """The start of a window that ends at a multiple of the slide."""
        return -self.size_ms % self.slide_ms

    def __str__(self) -> str:
        return f"trailing {format_ms(self.size_ms)} every {format_ms(self.slide_ms)}"


@dataclass(frozen=True, slots=True)
class Slices:
    """The slices of an assigner: the arithmetic of which slice, which windows, and what is due.

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
    def of(cls, assigner: WindowAssigner, *, at_most: int | None = None) -> Slices:
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

    def in_window(self, slice_start: int) -> bool:
        """Return whether any window holds a slice: between windows with a slide above their size there are others."""
        return (slice_start - self.offset) % self.slide < self.size

    def last_end(self, slice_start: int) -> int:
        """Return the end of the last window that holds a slice: once the watermark is there, the slice can go."""
        return slice_start - (slice_start - self.offset) % self.slide + self.size

    def first_end(self, slice_start: int) -> int:
        """Return the end of the first window that holds a slice."""
        return self.end_after(slice_start + self.width - 1)

    def end_after(self, time: int) -> int:
        """Return the first end of a window behind a time."""
        return self.end_by(time) + self.slide

    def end_by(self, time: int) -> int:
        """Return the last end of a window at or before a time."""
        return time - (time - self.offset - self.size) % self.slide

    def ends(self, slice_starts: Sequence[int], after: int, through: int) -> Iterator[int]:
        """Yield, in order, the ends in ``(after, through]`` of the windows that hold at least one of some slices.

        Args:
            slice_starts: The slices that hold records, in order.
            after: Windows that end here or before have been given already.
            through: The watermark.
        """
        last = after
        for start in slice_starts:
            first = max(self.first_end(start), self.end_after(last))
            for end in range(first, min(self.last_end(start), through) + 1, self.slide):
                yield end
                last = end
