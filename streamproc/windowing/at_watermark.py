"""`AtWatermark`: the usual trigger, with early and late ones around it. See `streamproc.windowing.triggers`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamproc.windowing.triggers import AfterCount, WindowTrigger, check_trigger

__all__ = ["AtWatermark"]


@dataclass(frozen=True, slots=True, init=False)
class AtWatermark(WindowTrigger):
    """When the watermark is at the window's end: the usual trigger.

    Args:
        early: Gives results before that, each time it is ready; none by default.
        late: Gives results behind that, each time it is ready and late records have come; with each batch of late
            records by default. It matters only with an allowed lateness.

    Example:
        >>> str(AtWatermark(early=AfterDelay("10s")))
        'early after 10s, at the watermark, late after 1 records'
    """

    early: WindowTrigger | None
    late: WindowTrigger

    def __init__(self, *, early: WindowTrigger | None = None, late: WindowTrigger | None = None) -> None:
        for trigger in (early, late):
            if trigger is not None:
                check_trigger("AtWatermark", trigger)
        object.__setattr__(self, "early", early)
        object.__setattr__(self, "late", AfterCount(1) if late is None else late)

    def begin(self) -> list[Any] | None:
        """Return nothing: what early and late triggers remember at the beginning."""
        return None

    def on_records(self, memory: list[Any] | None, count: int, now: int, *, passed: bool) -> list[Any] | None:
        """Tell the early or the late trigger."""
        if not passed and self.early is None:
            return memory
        given, early, late = memory or self._beginning()
        if passed:
            return [given, early, self.late.on_records(late, count, now, passed=passed)]
        assert self.early is not None
        return [given, self.early.on_records(early, count, now, passed=passed), late]

    def is_ready(self, memory: list[Any] | None, now: int, *, passed: bool) -> bool:
        """Ask the trigger whose turn it is."""
        given, early, late = memory or self._beginning()
        if not passed:
            return self.early is not None and self.early.is_ready(early, now, passed=passed)
        return not given or self.late.is_ready(late, now, passed=passed)

    def on_result(self, memory: list[Any] | None, now: int, *, passed: bool) -> tuple[list[Any] | None, bool]:
        """Go on, and begin early and late triggers anew."""
        return ([True, *self._beginning()[1:]] if passed else None), False

    def merge(self, memories: Sequence[list[Any] | None], *, passed: bool) -> list[Any] | None:
        """Return whether any was given; it will be again if the watermark is not there any more."""
        if not any(memories):
            return None
        given, early, late = zip(*(memory or self._beginning() for memory in memories), strict=True)
        return [
            passed and any(given),
            None if self.early is None else self.early.merge(early, passed=passed),
            self.late.merge(late, passed=passed),
        ]

    def due(self, memory: list[Any] | None, now: int) -> int | None:
        """Return when the early or the late trigger is ready."""
        if memory is None:
            return None
        given, early, late = memory
        if given:
            return self.late.due(late, now)
        return None if self.early is None else self.early.due(early, now)

    def _beginning(self) -> list[Any]:
        """Return that nothing was given at the end, and what early and late triggers remember."""
        return [False, None if self.early is None else self.early.begin(), self.late.begin()]

    def __str__(self) -> str:
        early = "" if self.early is None else f"early {self.early}, "
        return f"{early}at the watermark, late {self.late}"
