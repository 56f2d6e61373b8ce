"""Window assigners: the definitions of windows, as users write them.

Those of one size at regular distances, and those of the calendar, are the same for all keys. Sessions and the windows
of `LookBack` follow from the records of each key, those of `Count` from their number.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streamproc.arguments import check_flag
from streamproc.durations import Duration, format_ms, to_ms
from streamproc.errors import PipelineError
from streamproc.windowing.windows import Window

__all__ = [
    "Assigner",
    "Calendar",
    "CalendarUnit",
    "Count",
    "Global",
    "LookBack",
    "Periodic",
    "Session",
    "Sliding",
    "Trailing",
    "Tumbling",
    "WindowAssigner",
]

CalendarUnit: TypeAlias = Literal["day", "week", "month"]


class Periodic(Protocol):
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

    They start at the multiples of their size since the epoch, and ``offset`` later.

    Example:
        >>> Tumbling("1d", offset="6h")
        Tumbling(size_ms=86400000, offset_ms=21600000)
    """

    size_ms: int
    offset_ms: int

    def __init__(self, size: Duration, *, offset: Duration = "0s") -> None:
        object.__setattr__(self, "size_ms", to_ms(size, what="the window's size"))
        object.__setattr__(self, "offset_ms", to_ms(offset, what="the window's offset", zero=True) % self.size_ms)

    @property
    def slide_ms(self) -> int:
        """The distance between the starts of two neighbouring windows: their size."""
        return self.size_ms

    def __str__(self) -> str:
        return f"tumbling {format_ms(self.size_ms)}" + _offset(self.offset_ms)


@dataclass(frozen=True, slots=True, init=False)
class Sliding:
    """Windows of one size, a new one at every slide; a record belongs to ``size / slide`` of them.

    They start at the multiples of the slide since the epoch, and ``offset`` later.

    Example:
        >>> Sliding("1m", every="10s")
        Sliding(size_ms=60000, slide_ms=10000, offset_ms=0)
    """

    size_ms: int
    slide_ms: int
    offset_ms: int

    def __init__(self, size: Duration, every: Duration, *, offset: Duration = "0s") -> None:
        size_ms = to_ms(size, what="the window's size")
        slide_ms = to_ms(every, what="the window's slide")
        if slide_ms > size_ms:
            raise PipelineError(
                f"windows of {format_ms(size_ms)} every {format_ms(slide_ms)} leave gaps in which records are lost: "
                f"choose a slide of at most the size"
            )
        object.__setattr__(self, "size_ms", size_ms)
        object.__setattr__(self, "slide_ms", slide_ms)
        object.__setattr__(self, "offset_ms", to_ms(offset, what="the window's offset", zero=True) % slide_ms)

    def __str__(self) -> str:
        return f"sliding {format_ms(self.size_ms)} every {format_ms(self.slide_ms)}" + _offset(self.offset_ms)


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


@dataclass(frozen=True, slots=True, init=False)
class Calendar:
    """Days, weeks or months of a time zone: a day has 23 hours where daylight saving begins, and 25 where it ends.

    Args:
        unit: ``"day"``, ``"week"`` or ``"month"``.
        zone: The time zone: its name, such as ``"Europe/Berlin"``, or a `ZoneInfo` that has one.
        week_starts: The first day of a week.

    Example:
        >>> Calendar("month", "Europe/Berlin")
        Calendar(unit='month', zone='Europe/Berlin', week_starts='monday')
    """

    unit: CalendarUnit
    zone: str
    week_starts: Literal["monday", "sunday"]

    def __init__(
        self, unit: CalendarUnit, zone: str | ZoneInfo = "UTC", *, week_starts: Literal["monday", "sunday"] = "monday"
    ) -> None:
        if unit not in ("day", "week", "month"):
            raise PipelineError(f'Calendar({unit!r}): expected "day", "week" or "month"')
        if week_starts not in ("monday", "sunday"):
            raise PipelineError(f'Calendar(week_starts={week_starts!r}): expected "monday" or "sunday"')
        name: Any = zone.key if isinstance(zone, ZoneInfo) else zone
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
            raise PipelineError(
                f"Calendar: there is no time zone {zone!r} on this machine: expected a name such as "
                f'"Europe/Berlin"; where no zones are installed at all, `pip install tzdata` brings them'
            ) from error
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "zone", name)
        object.__setattr__(self, "week_starts", week_starts)

    def __str__(self) -> str:
        start = f" from {self.week_starts}" if self.unit == "week" else ""
        return f"each {self.unit}{start} in {self.zone}"


@dataclass(frozen=True, slots=True, init=False)
class Session:
    """Periods of activity of each key, which end when nothing comes for the time of the gap.

    A session starts with its first record and ends a gap behind its last one. Two records that are closer than the gap
    are in one session; late ones may join two that were apart.

    Args:
        gap: How long a key is silent between two sessions.
        touching: Whether records that are exactly one gap apart are in one session, as in Flink and Kafka Streams; by
            default they are not, as in Beam. Sessions then end a millisecond later.
        at_most: Cuts a session at the first multiple of this time, since the epoch, that lies at least so long behind
            its start, and then at each further one: so one lasts less than twice as long. What goes on is another
            session, which starts at the cut. None for any length.

    Example:
        >>> Session("30m", at_most="4h")
        Session(gap_ms=1800000, at_most_ms=14400000)
    """

    gap_ms: int
    at_most_ms: int | None

    def __init__(self, gap: Duration, *, touching: bool = False, at_most: Duration | None = None) -> None:
        check_flag("the session's touching", touching)
        gap_ms = to_ms(gap, what="the session's gap") + touching
        at_most_ms = None if at_most is None else to_ms(at_most, what="the session's maximum")
        if at_most_ms is not None and at_most_ms < gap_ms:
            raise PipelineError(
                f"sessions of at most {format_ms(at_most_ms)} with a gap of {format_ms(gap_ms)}: expected a maximum of "
                f"at least the gap"
            )
        object.__setattr__(self, "gap_ms", gap_ms)
        object.__setattr__(self, "at_most_ms", at_most_ms)

    def __str__(self) -> str:
        most = "" if self.at_most_ms is None else f" of at most {format_ms(self.at_most_ms)}"
        return f"sessions{most} with gaps of {format_ms(self.gap_ms)}"


@dataclass(frozen=True, slots=True, init=False)
class LookBack:
    """A window for each timestamp at which a key has a record: it ends with that record and reaches back by its size.

    So it holds the records with ``timestamp - size < t <= timestamp``. As Flink's OVER windows and the left windows of
    Kafka Streams' SlidingWindows; records with the same timestamp share one.

    Example:
        >>> LookBack("10m")
        LookBack(size_ms=600000)
    """

    size_ms: int

    def __init__(self, size: Duration) -> None:
        object.__setattr__(self, "size_ms", to_ms(size, what="the window's size"))

    def __str__(self) -> str:
        return f"looking back {format_ms(self.size_ms)} from each record"


@dataclass(frozen=True, slots=True)
class Count:
    """The last ``n`` records of each key, in the order in which they come, at every so many of them.

    By default windows don't overlap. As with Flink's ``countWindow``, the first ones hold less where ``every`` is less
    than ``n``. When a bounded input ends, so does the last window, with what there is. The ``start`` of a result is the
    earliest timestamp of the window's records, its ``end`` a millisecond behind the latest.

    Example:
        >>> Count(100, every=10)
        Count(n=100, every=10)
    """

    n: int
    every: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", self.every or self.n)
        if {type(self.n), type(self.every)} != {int} or not 1 <= self.every <= self.n:
            raise PipelineError(f"Count({self.n!r}, every={self.every!r}): expected 1 <= every <= n, as integers")

    def __str__(self) -> str:
        return f"{self.n} records, every {self.every}"


@dataclass(frozen=True, slots=True)
class Global:
    """One window for all of a key's records; it ends with the input, and otherwise gives what its trigger says.

    It reaches from the beginning of time to its end: the ``start`` and ``end`` of its results are ``-(1 << 62)`` and
    ``1 << 62``, and their time is that of the latest record.

    Example:
        >>> Global()
        Global()
    """

    def __str__(self) -> str:
        return "all time"


class Assigner(ABC):
    """Windows of one's own: each timestamp belongs to some windows.

    ``str()`` of it is a part of the plan: a restart with another text is refused, as the state would be of others.

    Example:
        class Shifts(Assigner):
            def assign(self, timestamp):
                start = timestamp - timestamp % SHIFT
                yield Window(start, start + SHIFT)
    """

    @abstractmethod
    def assign(self, timestamp: int) -> Iterable[Window]:
        """Return the windows that hold a timestamp: the same ones each time, and each with that in it."""

    def __str__(self) -> str:
        return type(self).__name__


WindowAssigner: TypeAlias = Periodic | Calendar | Session | LookBack | Count | Global | Assigner
"""What ``window`` takes."""


def _offset(offset_ms: int) -> str:
    return f" at {format_ms(offset_ms)}" if offset_ms else ""
