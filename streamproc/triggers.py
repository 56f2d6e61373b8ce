"""Triggers: when the next micro-batch begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from streamproc.durations import Duration, format_ms, to_ms

__all__ = ["Asap", "Interval", "Once", "Trigger"]


@dataclass(frozen=True, slots=True, init=False)
class Interval:
    """A batch at every multiple of a period of the clock, with whatever has come since the last.

    Batches never overlap: when one takes longer than the period, the next begins at once, for the latest multiple that
    has passed, and is larger.

    Attributes:
        every_ms: The period in milliseconds.
    """

    every_ms: int

    def __init__(self, every: Duration = "500ms") -> None:
        object.__setattr__(self, "every_ms", to_ms(every, what="the trigger's interval"))

    def __str__(self) -> str:
        return f"every {format_ms(self.every_ms)}"


@dataclass(frozen=True, slots=True)
class Asap:
    """A batch as soon as there is a record, for the least latency."""

    def __str__(self) -> str:
        return "as soon as possible"


@dataclass(frozen=True, slots=True)
class Once:
    """All that is there now, in as many batches as the limits ask for, then stop: the pipeline as a batch job."""

    def __str__(self) -> str:
        return "once"


Trigger: TypeAlias = "Interval | Asap | Once"
