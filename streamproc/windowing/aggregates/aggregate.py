"""Aggregates: how many values become one, a record at a time and in parts that can be merged.

The accumulator of an aggregate is kept in state, so it must be of a type that `streamproc.values` can write. ``add``
and ``merge`` may change their first argument in place: the engine gives them none that it still needs, but a copy. That
is for accumulators only: a function for `reducing` gets the user's records, and must leave both as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

__all__ = ["Aggregate", "collect", "count", "max_of", "mean_of", "min_of", "reducing", "sum_of"]

V = TypeVar("V")
A = TypeVar("A")
R = TypeVar("R")
N = TypeVar("N", int, float)


def identity(value: Any) -> Any:
    """Return the value itself: the first accumulator, or the result, where nothing has to be done."""
    return value


@dataclass(frozen=True)
class Aggregate(Generic[V, A, R]):
    """How values of ``V`` become an accumulator ``A``, and that a result ``R``.

    Attributes:
        name: For names and explanations.
        create: Makes the accumulator of one value.
        add: Adds a value to an accumulator and returns it.
        merge: Merges two accumulators of neighbouring records, earlier one first; must be associative.
        result: Makes the result of an accumulator.
        copy: Makes a copy of an accumulator for ``merge`` to change; the identity where accumulators never change.

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


def reducing(fn: Callable[[V, V], V]) -> Aggregate[V, V, V]:
    """Reduce values with an associative function of two of them, earlier one first."""
    return Aggregate("reduce", identity, fn, fn, copy=identity)


def _one(_value: object) -> int:
    return 1


def _one_more(number: int, _value: object) -> int:
    return number + 1


def _sum(a: N, b: N) -> N:
    return a + b


def count() -> Aggregate[Any, int, int]:
    """Count the values."""
    return Aggregate("count", _one, _one_more, _sum)


def sum_of(by: Callable[[V], N]) -> Aggregate[V, N, N]:
    """Add up a number of each value."""

    def add(total: N, value: V) -> N:
        return total + by(value)

    return Aggregate("sum", by, add, _sum)


def min_of(by: Callable[[V], N]) -> Aggregate[V, N, N]:
    """Keep the smallest number of all values."""

    def add(least: N, value: V) -> N:
        return min(least, by(value))

    return Aggregate("min", by, add, min)


def max_of(by: Callable[[V], N]) -> Aggregate[V, N, N]:
    """Keep the largest number of all values."""

    def add(most: N, value: V) -> N:
        return max(most, by(value))

    return Aggregate("max", by, add, max)


def mean_of(by: Callable[[V], float]) -> Aggregate[V, tuple[float, int], float]:
    """Average a number of all values."""

    def create(value: V) -> tuple[float, int]:
        return by(value), 1

    def add(so_far: tuple[float, int], value: V) -> tuple[float, int]:
        return so_far[0] + by(value), so_far[1] + 1

    def merge(a: tuple[float, int], b: tuple[float, int]) -> tuple[float, int]:
        return a[0] + b[0], a[1] + b[1]

    def result(so_far: tuple[float, int]) -> float:
        return so_far[0] / so_far[1]

    return Aggregate("mean", create, add, merge, result)


def collect() -> Aggregate[V, list[V], list[V]]:
    """Collect the values into a list, in their order."""

    def create(value: V) -> list[V]:
        return [value]

    def add(values: list[V], value: V) -> list[V]:
        values.append(value)
        return values

    def merge(values: list[V], more: list[V]) -> list[V]:
        values += more
        return values

    return Aggregate("collect", create, add, merge, copy=list)
