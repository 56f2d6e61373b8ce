"""`KeyedProcess`: a user's own operator with named state and timers.

State variables are declared as class attributes and reached through the context, which knows the current key:

    class Sessions(KeyedProcess[str, Click, int]):
        clicks = Value(int, default=0)

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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from streamproc.errors import PipelineError

__all__ = [
    "KeyedProcess",
    "List",
    "ListState",
    "Map",
    "MapState",
    "ProcessContext",
    "Timer",
    "Value",
    "ValueState",
    "Variable",
]

K = TypeVar("K")
V = TypeVar("V")
U = TypeVar("U")
S = TypeVar("S")
M = TypeVar("M")
K_co = TypeVar("K_co", covariant=True)


class Variable:
    """A declared state variable; its name is that of the class attribute."""

    name: str = ""
    kind: str = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name


class Value(Variable, Generic[S]):
    """Declares one value a key.

    Args:
        type: The type of the value, for type checkers and for ``streamproc plan``.
        default: What ``get`` returns while nothing is set, a copy each time. None counts as nothing.
    """

    def __init__(self, type: type[S], *, default: S) -> None:
        self.kind = f"value of {getattr(type, '__name__', type)}"
        self.default = default


class List(Variable, Generic[S]):
    """Declares a list a key, for appending; an append costs the same however long the list is."""

    def __init__(self, type: type[S]) -> None:
        self.kind = f"list of {getattr(type, '__name__', type)}"


class Map(Variable, Generic[M, S]):
    """Declares a map a key; each entry is read and written alone."""

    def __init__(self, key: type[M], value: type[S]) -> None:
        self.kind = f"map of {getattr(key, '__name__', key)} to {getattr(value, '__name__', value)}"


class ValueState(Protocol[S]):
    """The value of the current key."""

    def get(self) -> S:
        """Return the value, or the default. What is changed in it is kept only if it is `set` again."""
        ...

    def set(self, value: S, /) -> None:
        """Replace the value."""
        ...

    def clear(self) -> None:
        """Remove the value: the default again, and no room taken."""
        ...

    def take(self) -> S:
        """Return the value and remove it."""
        ...


class ListState(Protocol[S]):
    """The list of the current key."""

    def append(self, item: S, /) -> None:
        """Add an item at the end."""
        ...

    def __iter__(self) -> Iterator[S]: ...

    def __len__(self) -> int: ...

    def clear(self) -> None:
        """Remove all items."""
        ...


class MapState(Protocol[M, S]):
    """The map of the current key."""

    def get(self, key: M, /) -> S | None:
        """Return an entry's value, or None."""
        ...

    def put(self, key: M, value: S, /) -> None:
        """Set an entry."""
        ...

    def remove(self, key: M, /) -> None:
        """Remove an entry; one that is not there is no error."""
        ...

    def items(self) -> Iterator[tuple[M, S]]:
        """Yield the entries, ordered by their keys."""
        ...

    def clear(self) -> None:
        """Remove all entries."""
        ...


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer that has come due.

    Attributes:
        time: When it was set for, in epoch milliseconds.
        name: The name it was set with.
    """

    time: int
    name: str


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

    def value(self, variable: Value[S], /) -> ValueState[S]:
        """Return the current key's value of a variable."""
        ...

    def list(self, variable: List[S], /) -> ListState[S]:
        """Return the current key's list of a variable."""
        ...

    def map(self, variable: Map[M, S], /) -> MapState[M, S]:
        """Return the current key's map of a variable."""
        ...

    def set_timer(self, when: int, /, name: str = "") -> None:
        """Have ``on_timer`` called for this key once the trigger time is ``when``; the same again changes nothing."""
        ...

    def clear_timer(self, when: int, /, name: str = "") -> None:
        """Remove a timer; one that is not set is no error."""
        ...


class KeyedProcess(ABC, Generic[K, V, U]):
    """An operator of one's own on a keyed stream: from ``V`` values under ``K`` keys to ``U`` results.

    A call that raises, where the error policy goes on, yields no result, and what it did to variables and timers is
    taken back; only what it changed inside of a value that ``get`` returned stays changed.

    Timers ring as long as there are batches: those set for later than the end of a bounded input never do.

    All that must survive a restart belongs in state variables: attributes of the object itself don't.
    """

    @abstractmethod
    def process(self, context: ProcessContext[K], value: V, /) -> Iterable[U]:
        """Take one record and return its results, possibly none."""

    def on_timer(self, context: ProcessContext[K], timer: Timer, /) -> Iterable[U]:
        """Take a timer that has come due and return its results; the timer is gone."""
        raise NotImplementedError(f"{type(self).__name__} sets timers but has no on_timer method")


def variables_of(function: KeyedProcess[Any, Any, Any]) -> dict[str, Variable]:
    """Return the declared state variables of a process by name.

    Raises:
        PipelineError: Two attributes share one declaration.
    """
    found: dict[str, Variable] = {}
    for cls in reversed(type(function).__mro__):
        for attribute, declared in vars(cls).items():
            if isinstance(declared, Variable):
                if declared.name != attribute:
                    raise PipelineError(
                        f"{cls.__name__}.{attribute} is the same declaration as {cls.__name__}.{declared.name}: "
                        f"declare each state variable on its own"
                    )
                found[attribute] = declared
    return found
