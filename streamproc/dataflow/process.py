"""`KeyedProcess`: a user's own operator with named state, timers and side outputs.

State variables and side outputs are declared as class attributes and reached through the context, which knows the
current key:

    class Sessions(KeyedProcess[str, Click, int]):
        clicks = Value(int, default=0, ttl="1d")

        def process(self, context, click):
            n = context.value(self.clicks)
            n.set(n.get() + 1)
            context.set_timer(context.time + 30_000)
            return ()

        def on_timer(self, context, timer):
            yield context.value(self.clicks).take()
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from streamproc.dataflow.variables import List, ListState, Map, MapState, Output, TimeKind, Value, ValueState

__all__ = ["KeyedProcess", "ProcessContext", "Timer"]

K = TypeVar("K")
V = TypeVar("V")
U = TypeVar("U")
S = TypeVar("S")
M = TypeVar("M")
T = TypeVar("T")
K_co = TypeVar("K_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer that has come due.

    Attributes:
        time: When it was set for, in epoch milliseconds.
        name: The name it was set with.
        kind: ``"processing"`` for one that was set by `ProcessContext.set_timer`, ``"event"`` for one by
            `ProcessContext.set_event_timer`.
    """

    time: int
    name: str
    kind: TimeKind = "processing"


class ProcessContext(Protocol[K_co]):
    """What a `KeyedProcess` reaches the engine through; belongs to one key, and only to the call it was passed to."""

    @property
    def key(self) -> K_co:
        """The current key."""
        ...

    @property
    def time(self) -> int:
        """The batch's trigger time in epoch milliseconds: the processing time."""
        ...

    @property
    def timestamp(self) -> int:
        """The record's event time, or the batch's own time; for a timer when it was due. In epoch milliseconds."""
        ...

    @property
    def watermark(self) -> int:
        """How far event time has come, in epoch milliseconds: a record with an earlier timestamp is late.

        For records it is the watermark that the batch before has left, a large negative number before the first one;
        for event-time timers that of this batch. Once all input has ended it is larger than any time.
        """
        ...

    def value(self, variable: Value[S], /) -> ValueState[S]:
        """Return the current key's value of a variable."""
        ...

    def list(self, variable: List[S], /) -> ListState[S]:
        """Return the current key's list of a variable."""
        ...

    def map(self, variable: Map[M, S], /) -> MapState[M, S]:
        """Return the current key's map of a variable."""
        ...

    def output(self, output: Output[T], value: T, /) -> None:
        """Give an element to a side output, under the current key."""
        ...

    def set_timer(self, when: int, /, name: str = "") -> None:
        """Have ``on_timer`` called for this key once the trigger time is ``when``; the same again changes nothing."""
        ...

    def clear_timer(self, when: int, /, name: str = "") -> None:
        """Remove a timer; one that is not set is no error."""
        ...

    def set_event_timer(self, when: int, /, name: str = "") -> None:
        """Have ``on_timer`` called for this key once the watermark is ``when``; the same again changes nothing."""
        ...

    def clear_event_timer(self, when: int, /, name: str = "") -> None:
        """Remove an event-time timer; one that is not set is no error."""
        ...


class KeyedProcess(ABC, Generic[K, V, U]):
    """An operator of one's own on a keyed stream: from ``V`` values under ``K`` keys to ``U`` results.

    A call that raises, where the error policy goes on, yields no result, and what it did to variables, timers and side
    outputs is taken back.

    In each batch come first the records, then the timers that are due by the trigger time, then those that are due by
    the watermark, each kind in the order of time.

    Processing-time timers ring as long as there are batches: those set for later than the end of a bounded input never
    do. Event-time timers all ring then, since the end of the input is the end of time: the last one that was set before
    is where time stops.

    Results have the time of their record, or that for which their timer was set; where that had passed when it was set,
    those of an event-time timer have the watermark, so that they aren't late for windows behind.

    All that must survive a restart belongs in state variables: attributes of the object itself don't.
    """

    @abstractmethod
    def process(self, context: ProcessContext[K], value: V, /) -> Iterable[U]:
        """Take one record and return its results, possibly none."""

    def on_timer(self, context: ProcessContext[K], timer: Timer, /) -> Iterable[U]:
        """Take a timer that has come due and return its results; the timer is gone."""
        raise NotImplementedError(f"{type(self).__name__} sets timers but has no on_timer method")
