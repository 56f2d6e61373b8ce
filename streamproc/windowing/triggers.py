"""Window triggers: when a window gives what it has, more than once if it is to.

A trigger is asked once a batch for each window with new records, whose watermark has passed its end, or whose time has
come. Definitions are frozen; what a trigger remembers of a window is a value that state can hold, and the methods say
what becomes of it. They do no I/O and read no clock. The rules are those of Beam's triggers, with two differences: all
that happens within a batch counts as happening at once, and triggers that are not repeated end a window only if they
are not within `AtWatermark`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamproc.arguments import check_plain
from streamproc.durations import Duration, format_ms, to_ms
from streamproc.errors import PipelineError

__all__ = [
    "AfterCount",
    "AfterDelay",
    "AllOf",
    "AnyOf",
    "OnClose",
    "OnUpdate",
    "Repeated",
    "WindowTrigger",
    "check_trigger",
]


class WindowTrigger(ABC):
    """When a window gives a result."""

    @abstractmethod
    def begin(self) -> Any:
        """Return what is remembered of a new window."""

    @abstractmethod
    def on_records(self, memory: Any, count: int, now: int, *, passed: bool) -> Any:
        """Learn that records have come, and return what is remembered then.

        Args:
            memory: What is remembered.
            count: How many.
            now: The time of the batch.
            passed: Whether the watermark was at the window's end before them.
        """

    @abstractmethod
    def is_ready(self, memory: Any, now: int, *, passed: bool) -> bool:
        """Return whether the window gives a result.

        Args:
            memory: What is remembered.
            now: The time of the batch.
            passed: Whether the watermark is at the window's end.
        """

    @abstractmethod
    def on_result(self, memory: Any, now: int, *, passed: bool) -> tuple[Any, bool]:
        """Learn that a result was given; return what is remembered then, and whether the trigger has finished."""

    @abstractmethod
    def merge(self, memories: Sequence[Any], *, passed: bool) -> Any:
        """Return what is remembered of a session that several became.

        Args:
            memories: What is remembered of each.
            passed: Whether the watermark is at the end of what they became.
        """

    def due(self, memory: Any, now: int) -> int | None:
        """Return the time, behind now, at which it may become ready without further records; None for never."""
        return None


def check_trigger(where: str, trigger: object) -> None:
    """Refuse what is no trigger, or one that would have to be awaited.

    Raises:
        PipelineError: It is none.
    """
    if not isinstance(trigger, WindowTrigger):
        raise PipelineError(
            f'{where}: {trigger!r} is no trigger: expected AfterCount(100), AfterDelay("10s") or another'
        )
    for method in ("begin", "on_records", "is_ready", "on_result", "merge", "due"):
        check_plain(f"{where}: {method} of {type(trigger).__name__}", getattr(trigger, method))


@dataclass(frozen=True, slots=True)
class AfterCount(WindowTrigger):
    """Once so many records have come.

    Example:
        >>> AfterCount(100)
        AfterCount(n=100)
    """

    n: int

    def __post_init__(self) -> None:
        if type(self.n) is not int or self.n < 1:
            raise PipelineError(f"AfterCount({self.n!r}): expected at least 1 record, as an integer")

    def begin(self) -> int:
        """Return no records."""
        return 0

    def on_records(self, memory: int, count: int, now: int, *, passed: bool) -> int:
        """Return how many there are now."""
        return memory + count

    def is_ready(self, memory: int, now: int, *, passed: bool) -> bool:
        """Return whether there are enough."""
        return memory >= self.n

    def on_result(self, memory: int, now: int, *, passed: bool) -> tuple[int, bool]:
        """Finish."""
        return 0, True

    def merge(self, memories: Sequence[int], *, passed: bool) -> int:
        """Return how many there are in all."""
        return sum(memories)

    def __str__(self) -> str:
        return f"after {self.n} records"


@dataclass(frozen=True, slots=True, init=False)
class AfterDelay(WindowTrigger):
    """Once so much processing time has passed since the first record of what is to be given.

    It is looked at once a batch: so results come up to a batch interval later.

    Example:
        >>> AfterDelay("10s")
        AfterDelay(delay_ms=10000)
    """

    delay_ms: int

    def __init__(self, delay: Duration) -> None:
        object.__setattr__(self, "delay_ms", to_ms(delay, what="the delay of AfterDelay"))

    def begin(self) -> int | None:
        """Return no time."""
        return None

    def on_records(self, memory: int | None, count: int, now: int, *, passed: bool) -> int | None:
        """Return the time of the first."""
        return now if memory is None else memory

    def is_ready(self, memory: int | None, now: int, *, passed: bool) -> bool:
        """Return whether the time has passed."""
        return memory is not None and now >= memory + self.delay_ms

    def on_result(self, memory: int | None, now: int, *, passed: bool) -> tuple[int | None, bool]:
        """Finish."""
        return None, True

    def merge(self, memories: Sequence[int | None], *, passed: bool) -> int | None:
        """Return the time of the first of all."""
        return min((memory for memory in memories if memory is not None), default=None)

    def due(self, memory: int | None, now: int) -> int | None:
        """Return when the time has passed."""
        return None if memory is None or memory + self.delay_ms <= now else memory + self.delay_ms

    def __str__(self) -> str:
        return f"after {format_ms(self.delay_ms)}"


@dataclass(frozen=True, slots=True)
class _Combination(WindowTrigger):
    triggers: tuple[WindowTrigger, ...]

    def __init__(self, *triggers: WindowTrigger) -> None:
        if not triggers:
            raise PipelineError(f"{type(self).__name__}() needs at least one trigger")
        for trigger in triggers:
            check_trigger(type(self).__name__, trigger)
        object.__setattr__(self, "triggers", triggers)

    def begin(self) -> list[Any]:
        """Return what each remembers."""
        return [trigger.begin() for trigger in self.triggers]

    def on_records(self, memory: list[Any], count: int, now: int, *, passed: bool) -> list[Any]:
        """Return what each remembers."""
        return [
            trigger.on_records(own, count, now, passed=passed)
            for trigger, own in zip(self.triggers, memory, strict=True)
        ]

    def on_result(self, memory: list[Any], now: int, *, passed: bool) -> tuple[list[Any], bool]:
        """Finish."""
        return self.begin(), True

    def due(self, memory: list[Any], now: int) -> int | None:
        """Return the next time at which any of them may become ready: then all are asked again."""
        times = (trigger.due(own, now) for trigger, own in zip(self.triggers, memory, strict=True))
        return min((time for time in times if time is not None), default=None)

    def merge(self, memories: Sequence[list[Any]], *, passed: bool) -> list[Any]:
        """Return what each remembers."""
        return [
            trigger.merge(own, passed=passed)
            for trigger, own in zip(self.triggers, zip(*memories, strict=True), strict=True)
        ]


@dataclass(frozen=True, slots=True, init=False)
class AnyOf(_Combination):
    """Once one of several triggers is ready.

    Example:
        >>> str(AnyOf(AfterCount(100), AfterDelay("10s")))
        'after 100 records or after 10s'
    """

    def is_ready(self, memory: list[Any], now: int, *, passed: bool) -> bool:
        """Return whether one is."""
        return any(
            trigger.is_ready(own, now, passed=passed) for trigger, own in zip(self.triggers, memory, strict=True)
        )

    def __str__(self) -> str:
        return " or ".join(map(str, self.triggers))


@dataclass(frozen=True, slots=True, init=False)
class AllOf(_Combination):
    """Once all of several triggers are ready.

    Example:
        >>> str(AllOf(AfterCount(100), AfterDelay("10s")))
        'after 100 records and after 10s'
    """

    def is_ready(self, memory: list[Any], now: int, *, passed: bool) -> bool:
        """Return whether all are."""
        return all(
            trigger.is_ready(own, now, passed=passed) for trigger, own in zip(self.triggers, memory, strict=True)
        )

    def __str__(self) -> str:
        return " and ".join(map(str, self.triggers))


@dataclass(frozen=True, slots=True)
class Repeated(WindowTrigger):
    """Again and again, each time a trigger is ready.

    Example:
        >>> str(Repeated(AfterCount(100)))
        'again and again after 100 records'
    """

    trigger: WindowTrigger

    def __post_init__(self) -> None:
        check_trigger("Repeated", self.trigger)

    def begin(self) -> Any:
        """Return what the trigger remembers."""
        return self.trigger.begin()

    def on_records(self, memory: Any, count: int, now: int, *, passed: bool) -> Any:
        """Return what the trigger remembers."""
        return self.trigger.on_records(memory, count, now, passed=passed)

    def is_ready(self, memory: Any, now: int, *, passed: bool) -> bool:
        """Return whether the trigger is."""
        return self.trigger.is_ready(memory, now, passed=passed)

    def on_result(self, memory: Any, now: int, *, passed: bool) -> tuple[Any, bool]:
        """Begin anew once the trigger has finished."""
        remembered, finished = self.trigger.on_result(memory, now, passed=passed)
        return (self.trigger.begin() if finished else remembered), False

    def merge(self, memories: Sequence[Any], *, passed: bool) -> Any:
        """Return what the trigger remembers."""
        return self.trigger.merge(memories, passed=passed)

    def due(self, memory: Any, now: int) -> int | None:
        """Return when the trigger is ready."""
        return self.trigger.due(memory, now)

    def __str__(self) -> str:
        return f"again and again {self.trigger}"


@dataclass(frozen=True, slots=True)
class OnUpdate(Repeated):
    """With each batch that brings records.

    Example:
        >>> str(OnUpdate())
        'with each update'
    """

    trigger: WindowTrigger = AfterCount(1)

    def __str__(self) -> str:
        return "with each update"


@dataclass(frozen=True, slots=True)
class OnClose(WindowTrigger):
    """When the window closes: once, when the watermark is at its end and the allowed lateness is over.

    Example:
        >>> str(OnClose())
        'at the close'
    """

    def begin(self) -> None:
        """Return nothing."""

    def on_records(self, memory: None, count: int, now: int, *, passed: bool) -> None:
        """Do nothing."""

    def is_ready(self, memory: None, now: int, *, passed: bool) -> bool:
        """Return false: a window that closes gives what it has not given yet."""
        return False

    def on_result(self, memory: None, now: int, *, passed: bool) -> tuple[None, bool]:
        """Do nothing."""
        return None, False

    def merge(self, memories: Sequence[None], *, passed: bool) -> None:
        """Return nothing."""

    def __str__(self) -> str:
        return "at the close"
