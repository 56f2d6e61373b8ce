"""What a `KeyedProcess` declares as class attributes: state variables, side outputs; and how variables are used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    NoReturn,
    Protocol,
    TypeAlias,
    TypedDict,
    TypeVar,
    Unpack,
    get_args,
    overload,
)

from streamproc.durations import Duration, to_ms
from streamproc.errors import PipelineError, UnknownAttributeError

__all__ = [
    "Declared",
    "List",
    "ListState",
    "Map",
    "MapState",
    "Output",
    "Renewal",
    "TimeKind",
    "TimeToLive",
    "Value",
    "ValueState",
    "Variable",
    "declared_in",
]

S = TypeVar("S")
M = TypeVar("M")
T = TypeVar("T")
D = TypeVar("D", bound="Declared")

TimeKind: TypeAlias = Literal["processing", "event"]
"""Which time is meant: that of the batch, or that of the records."""
Renewal: TypeAlias = Literal["write", "read"]
"""What makes state live on: writing it only, or reading it too."""


@dataclass(frozen=True, slots=True)
class TimeToLive:
    """For how long state is kept that nobody uses.

    Attributes:
        ms: How long, in milliseconds.
        by: By which time.
        renew: What counts as use.
    """

    ms: int
    by: TimeKind
    renew: Renewal

    @classmethod
    def of(cls, ttl: Duration | None, by: TimeKind, renew: Renewal) -> TimeToLive | None:
        """Return what a user has said, checked.

        Raises:
            PipelineError: It is no duration, or an option is wrong.
        """
        if by not in get_args(TimeKind):
            raise PipelineError(f'a state variable has ttl_by={by!r}: expected "processing" or "event"')
        if renew not in get_args(Renewal):
            raise PipelineError(f'a state variable has renew={renew!r}: expected "write" or "read"')
        return None if ttl is None else cls(to_ms(ttl, what="the ttl of a state variable"), by, renew)


class Declared:
    """What is declared as a class attribute, whose name it has."""

    name: str = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name


class Variable(Declared):
    """A declared state variable.

    All kinds can be given a time to live:

    * ``ttl``: after how long without use it is gone, as if it had been removed; by default it stays;
    * ``ttl_by``: ``"processing"`` counts by the trigger time of batches, ``"event"`` by the time of records and the
      watermark;
    * ``renew``: ``"write"`` begins the time anew at each write, ``"read"`` at each read too.
    """

    ttl: TimeToLive | None = None
    _kind: str = ""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(name)
            kind = type(self).__name__
            raise UnknownAttributeError(
                f"the state variable {self.name} has no {name!r}: {kind}(…) only declares it; what the current key has "
                f"is context.{kind.lower()}(self.{self.name})"
            )

    @property
    def kind(self) -> str:
        """What it holds, in words: part of the configuration that a restart must fit."""
        return self._kind if self.ttl is None else f"{self._kind}, expires by {self.ttl.by} time"


if TYPE_CHECKING:

    class _Options(TypedDict, total=False):
        ttl: Duration | None
        ttl_by: TimeKind
        renew: Renewal


class Value(Variable, Generic[S]):
    """Declares one value a key.

    Args:
        type: The type of the value, for type checkers and for ``streamproc plan``. Type checkers don't take in a union:
            what may be None is ``Value(int, default=None)``; another one is declared, as in
            ``x: Value[int | str] = Value(int | str, default=0)``.
        default: What ``get`` returns while nothing is set, a copy each time. None counts as nothing.
        ttl: After how long without use the value is gone. For this and the following see `Variable`.
        ttl_by: By which time.
        renew: What counts as use.
    """

    @overload
    def __init__(self, type: type[S], *, default: S, **options: Unpack[_Options]) -> None: ...
    @overload
    def __init__(self: Value[Any], type: UnionType, *, default: Any, **options: Unpack[_Options]) -> None: ...
    def __init__(
        self,
        type: type[S] | UnionType,
        *,
        default: S,
        ttl: Duration | None = None,
        ttl_by: TimeKind = "processing",
        renew: Renewal = "write",
    ) -> None:
        self._kind = f"value of {_name_of(type)}"
        self.default = default
        self.ttl = TimeToLive.of(ttl, ttl_by, renew)


class List(Variable, Generic[S]):
    """Declares a list a key, for appending; an append costs the same however long the list is.

    Args:
        type: The type of the items, for type checkers and for ``streamproc plan``; for a union see `Value`.
        ttl: After how long without use the whole list is gone. For this and the following see `Variable`.
        ttl_by: By which time.
        renew: What counts as use.
    """

    def __init__(
        self,
        type: type[S] | UnionType,
        *,
        ttl: Duration | None = None,
        ttl_by: TimeKind = "processing",
        renew: Renewal = "write",
    ) -> None:
        self._kind = f"list of {_name_of(type)}"
        self.ttl = TimeToLive.of(ttl, ttl_by, renew)


class Map(Variable, Generic[M, S]):
    """Declares a map a key; each entry is read and written alone.

    Args:
        key: The type of the entries' keys, for type checkers and for ``streamproc plan``.
        value: That of their values; for a union see `Value`.
        ttl: After how long without use an entry is gone, each by itself. For this and the following see `Variable`.
        ttl_by: By which time.
        renew: What counts as use.
    """

    def __init__(
        self,
        key: type[M],
        value: type[S] | UnionType,
        *,
        ttl: Duration | None = None,
        ttl_by: TimeKind = "processing",
        renew: Renewal = "write",
    ) -> None:
        self._kind = f"map of {_name_of(key)} to {_name_of(value)}"
        self.ttl = TimeToLive.of(ttl, ttl_by, renew)


class Output(Declared, Generic[T]):
    """Declares a side output: results beside those that are yielded, of a type of their own.

    Args:
        type: The type of its elements, for type checkers; for a union see `Value`.
    """

    def __init__(self, type: type[T] | UnionType) -> None:
        self.type = type


class ValueState(Protocol[S]):
    """The value of the current key."""

    def get(self) -> S:
        """Return a copy of the value, or of the default: what is changed in it is kept if it is `set` again."""
        ...

    def set(self, value: S, /) -> None:
        """Replace the value; None removes it."""
        ...

    def clear(self) -> None:
        """Remove the value: the default again, and no room taken."""
        ...

    def take(self) -> S:
        """Return the value and remove it."""
        ...


class ListState(Protocol[S]):
    """The list of the current key; items are handed out as copies."""

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
        """Return a copy of an entry's value, or None."""
        ...

    def put(self, key: M, value: S, /) -> None:
        """Set an entry; None removes it."""
        ...

    def remove(self, key: M, /) -> None:
        """Remove an entry; one that is not there is no error."""
        ...

    def items(self) -> Iterator[tuple[M, S]]:
        """Yield the entries, ordered by their keys; values are copies."""
        ...

    def clear(self) -> None:
        """Remove all entries."""
        ...


def declared_in(owner: type, kind: type[D]) -> dict[str, D]:
    """Return what a class and its bases declare of a kind, by name.

    Raises:
        PipelineError: Two attributes share one declaration.
    """
    found: dict[str, D] = {}
    for cls in reversed(owner.__mro__):
        for attribute, declared in vars(cls).items():
            if isinstance(declared, kind):
                if declared.name != attribute:
                    raise PipelineError(
                        f"{cls.__name__}.{attribute} is the same declaration as {cls.__name__}.{declared.name}: "
                        f"declare each {'output' if isinstance(declared, Output) else 'state variable'} on its own"
                    )
                found[attribute] = declared
            elif attribute in found:
                # A subclass has something else under the name.
                del found[attribute]
    return found


def _name_of(type: Any) -> str:
    return str(getattr(type, "__name__", type))
