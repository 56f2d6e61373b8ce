"""The nodes of windows: see `streamproc.dataflow.nodes`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Literal, TypeAlias

from streamproc.dataflow.nodes import Node
from streamproc.dataflow.policies import Function
from streamproc.windowing.aggregates import Aggregate
from streamproc.windowing.assigners import Assigner, Calendar, Count, Global, LookBack, Periodic, Session, Trailing
from streamproc.windowing.triggers import WindowTrigger

__all__ = [
    "AggregateWindow",
    "CountWindow",
    "PanedWindow",
    "Panes",
    "ResultTime",
    "RollingWindow",
    "SlicedWindow",
    "WindowForm",
]

Panes: TypeAlias = Literal["accumulating", "discarding", "retracting"]
ResultTime: TypeAlias = Literal["end", "earliest", "latest"]


class WindowForm(Enum):
    """What a window gives out."""

    RESULT = "result"
    """A `WindowResult`: the interval and the aggregate."""
    VALUE = "value"
    """The aggregate alone."""
    ELEMENTS = "elements"
    """Each element of the aggregate, which is a list."""


@dataclass(frozen=True, eq=False, kw_only=True)
class AggregateWindow(Node):
    """An aggregate of each window; the side output ``late`` has what came too late for all of its windows.

    Attributes:
        keyed: Whether each key has its own windows.
    """

    aggregate: Aggregate[Any, Any, Any]
    keyed: bool
    stateful: ClassVar[bool] = True


@dataclass(frozen=True, eq=False, kw_only=True)
class SlicedWindow(AggregateWindow):
    """An aggregate of each window when the watermark is at its end, merged from the slices that it is made of.

    Attributes:
        form: What is given out.
        pairs: Whether the elements given out are ``(key, value)`` pairs that make a keyed stream again.
        slice_ms: A bound on the width of slices, for aggregates that grow with the records: a slice that is written
            by one batch only is never read to be added to.
        allowed_lateness_ms: For how long after its end a window takes late records, and gives another result.
    """

    assigner: Periodic | Calendar
    form: WindowForm
    pairs: bool = False
    slice_ms: int | None = None
    allowed_lateness_ms: int = 0
    kind: ClassVar[str] = "window"

    def configuration(self) -> dict[str, str]:
        """Return windows and aggregate."""
        return window_configuration(self.assigner, self.aggregate.name, keyed=self.keyed)


@dataclass(frozen=True, eq=False, kw_only=True)
class PanedWindow(AggregateWindow):
    """An aggregate of each window whenever its trigger says so.

    Attributes:
        trigger: When results are given.
        allowed_lateness_ms: For how long after its end a window takes late records.
        panes: What a further result of a window is: of all its records, of those since the last, or of all with the
            last one taken back.
        result_time: The time of results: the last millisecond of their windows, or that of the earliest or the latest
            record.
    """

    assigner: Periodic | Calendar | Session | LookBack | Global | Assigner
    trigger: WindowTrigger
    allowed_lateness_ms: int
    panes: Panes
    result_time: ResultTime
    kind: ClassVar[str] = "window"

    def configuration(self) -> dict[str, str]:
        """Return windows, aggregate, trigger, and what results are; a `SlicedWindow` is told from it by the trigger."""
        configuration = window_configuration(self.assigner, self.aggregate.name, keyed=self.keyed)
        configuration["trigger"] = str(self.trigger)
        if self.panes != "accumulating":
            configuration["panes"] = self.panes
        if self.result_time != "end":
            configuration["result_time"] = self.result_time
        return configuration


@dataclass(frozen=True, eq=False, kw_only=True)
class CountWindow(AggregateWindow):
    """An aggregate of the last records of each key, at every so many of them."""

    assigner: Count
    kind: ClassVar[str] = "count_window"

    def configuration(self) -> dict[str, str]:
        """Return windows and aggregate."""
        return window_configuration(self.assigner, self.aggregate.name, keyed=self.keyed)


@dataclass(frozen=True, eq=False, kw_only=True)
class RollingWindow(Node):
    """A reduced value for each key and window, kept up to date: what enters is reduced in, what leaves is taken out.

    As in Spark's ``reduceByKeyAndWindow`` with an inverse function, a key that was seen once gives a result for every
    window, until ``keep`` says that it can go.

    Attributes:
        fn: Reduces two values; associative.
        inverse: Takes the second value out of the first.
        keep: A predicate of ``(key, value)``; None keeps all keys.
        keyed: Whether each key has its own value.
    """

    assigner: Trailing
    fn: Function
    inverse: Function
    keep: Function | None
    keyed: bool
    kind: ClassVar[str] = "rolling_window"
    stateful: ClassVar[bool] = True

    def configuration(self) -> dict[str, str]:
        """Return the windows."""
        return window_configuration(self.assigner, "rolling reduce", keyed=self.keyed)


def window_configuration(assigner: object, aggregate: str, *, keyed: bool) -> dict[str, str]:
    """Return windows, aggregate, and whose records are in a window, as text."""
    return {"window": str(assigner), "aggregate": aggregate, "records": "of each key" if keyed else "all"}
