"""`Aggregate`: how many values become one, a record at a time and in parts that can be merged.

The accumulator of an aggregate is kept in state, so it must be of a type that `streamproc.values` can write: plain
values, records, or a class of its own that is `streamproc.values.Opaque`. ``add``, ``merge`` and ``inverse`` may change
their first argument in place: the engine gives them none that it still needs, but a copy. That is for accumulators
only: a function for `reducing` gets the user's records, and must leave both as they are.

How the input is cut into batches must not show in a result. So accumulators are merged in the order in which their
records came, or of their times, and an aggregate for which the order among those matters asks for them: ``timed``.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict, TypeVar, Unpack, overload

from streamproc.arguments import check_plain

__all__ = ["Aggregate", "identity", "reducing"]

V = TypeVar("V")
A = TypeVar("A")
R = TypeVar("R")


def identity(value: Any) -> Any:
    """Return the value itself: the first accumulator, or the result, where nothing has to be done."""
    return value


if TYPE_CHECKING:

    class _Options(TypedDict, Generic[A], total=False):
        """What an `Aggregate` can be given by name."""

        copy: Callable[[A], A]
        inverse: Callable[[A, A], A] | None
        grows: bool
        by: Callable[..., Any] | None


@dataclass(frozen=True)
class Aggregate(Generic[V, A, R]):
    """How values of ``V`` become an accumulator ``A``, and that a result ``R``.

    Attributes:
        name: For explanations. State of an aggregate with another name is refused, so it should say whatever the
            accumulator depends on.
        create: Makes the accumulator of one value.
        add: Adds a value to an accumulator and returns it. Where it raises, it has not changed it.
        merge: Merges two accumulators of neighbouring records, earlier one first; must be associative.
        result: Makes the result of an accumulator.
        copy: Makes a copy of an accumulator for ``merge`` to change; the identity where accumulators never change.
        inverse: Takes the accumulator of what has left out of a total, ``inverse(total, leaving)``, and returns what
            the rest alone would have come to, exactly. With it, a sliding window costs the same however long it is. The
            rest is never empty. None where there is no such function.
        timed: Whether ``create`` and ``add`` get ``(timestamp, value)`` instead of the value; timestamps are epoch
            milliseconds.
        grows: Whether an accumulator grows with its values. Then those of a sliding window's slices are merged for
            each window, instead of many being kept merged.
        by: The user's function that ``create`` and ``add`` call, for errors to name it.

    Example:
        >>> longest = Aggregate("longest", create=len, add=lambda n, s: max(n, len(s)), merge=max, result=str)
        >>> longest.result(longest.add(longest.create("a"), "bcd"))
        '3'
    """

    name: str
    create: Callable[[V], A]
    add: Callable[[A, V], A]
    merge: Callable[[A, A], A]
    result: Callable[[A], R] = identity
    copy: Callable[[A], A] = deepcopy
    inverse: Callable[[A, A], A] | None = None
    timed: bool = False
    grows: bool = False
    by: Callable[..., Any] | None = None

    if TYPE_CHECKING:
        # Without a result function the result is the accumulator; ``timed`` adds the timestamp. The type of ``self``
        # has variables of the class, which pyright advises against: with others neither it nor mypy would go by what
        # the caller declares.

        @overload
        def __init__(
            self: Aggregate[V, A, A],  # pyright: ignore[reportInvalidTypeVarUse]
            name: str,
            create: Callable[[V], A],
            add: Callable[[A, V], A],
            merge: Callable[[A, A], A],
            *,
            timed: Literal[False] = ...,
            **options: Unpack[_Options[A]],
        ) -> None: ...
        @overload
        def __init__(
            self,
            name: str,
            create: Callable[[V], A],
            add: Callable[[A, V], A],
            merge: Callable[[A, A], A],
            result: Callable[[A], R],
            *,
            timed: Literal[False] = ...,
            **options: Unpack[_Options[A]],
        ) -> None: ...
        @overload
        def __init__(
            self: Aggregate[V, A, A],  # pyright: ignore[reportInvalidTypeVarUse]
            name: str,
            create: Callable[[tuple[int, V]], A],
            add: Callable[[A, tuple[int, V]], A],
            merge: Callable[[A, A], A],
            *,
            timed: Literal[True],
            **options: Unpack[_Options[A]],
        ) -> None: ...
        @overload
        def __init__(
            self,
            name: str,
            create: Callable[[tuple[int, V]], A],
            add: Callable[[A, tuple[int, V]], A],
            merge: Callable[[A, A], A],
            result: Callable[[A], R],
            *,
            timed: Literal[True],
            **options: Unpack[_Options[A]],
        ) -> None: ...
        def __init__(self, *_: Any, **__: Any) -> None: ...

    def __post_init__(self) -> None:
        for what in ("by", "create", "add", "merge", "result", "copy", "inverse"):
            fn = getattr(self, what)
            if fn is not None or what not in {"by", "inverse"}:
                check_plain(f"the aggregate {self.name!r}: {what}", fn)


def reducing(fn: Callable[[V, V], V]) -> Aggregate[V, Any, V]:
    """Reduce values with an associative function of two of them, earlier one first.

    Example:
        >>> joined = reducing(lambda a, b: a + b)
        >>> joined.add(joined.create("a"), "b")
        'ab'
    """
    check_plain("reduce: fn", fn)
    return Aggregate("reduce", identity, fn, fn, copy=identity, by=fn)
