"""Aggregates of the values themselves: all of them, those that differ, and how many differ."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, overload

from streamproc.arguments import check_flag
from streamproc.windowing.aggregates import hyperloglog
from streamproc.windowing.aggregates.aggregate import Aggregate, identity
from streamproc.windowing.aggregates.counts import add_counts, take_counts
from streamproc.windowing.aggregates.order import is_nan

__all__ = ["collect", "distinct", "distinct_count"]

V = TypeVar("V")
H = TypeVar("H", bound=Hashable)


def collect() -> Aggregate[V, Any, list[V]]:
    """Collect the values into a list, in their order.

    Example:
        >>> run(["a", "b"], lambda s: s.window(Tumbling("1s")).aggregate(collect()))
        [WindowResult(start=0, end=1000, value=['a', 'b'])]
    """

    def create(value: V) -> list[V]:
        return [value]

    def add(values: list[V], value: V) -> list[V]:
        values.append(value)
        return values

    def merge(values: list[V], more: list[V]) -> list[V]:
        values += more
        return values

    return Aggregate("collect", create, add, merge, copy=list, grows=True)


@overload
def distinct() -> Aggregate[V, Any, set[V]]: ...
@overload
def distinct(by: Callable[[V], H]) -> Aggregate[V, Any, set[H]]: ...
def distinct(by: Callable[[Any], Any] = identity) -> Aggregate[Any, Any, Any]:
    """Collect the values that differ into a set. On what is not a number (nan), the function fails.

    Args:
        by: What to take of a value, which must be hashable; the value itself by default.

    Example:
        >>> [result] = run(["a", "b", "a"], lambda s: s.window(Tumbling("1s")).aggregate(distinct()))
        >>> sorted(result.value)
        ['a', 'b']
    """
    return _counting(set, by)


def distinct_count(by: Callable[[V], Any] = identity, *, approximate: bool = False) -> Aggregate[V, Any, int]:
    """Count the values that differ: exactly, which keeps each of them, or about, in 4 KB at most.

    The approximate count is off by 1.6 % in the root mean square, for any number of values; it is almost always exact
    for the first few dozen. It tells values apart by how `streamproc.values` writes them: 1 and 1.0 are two. Sets and
    dicts, which have no order, can't be counted so.

    Args:
        by: What to take of a value, which must be hashable; the value itself by default.
        approximate: Whether to count about.

    Example:
        >>> run(["a", "b", "a"], lambda s: s.window(Tumbling("1s")).aggregate(distinct_count()))
        [WindowResult(start=0, end=1000, value=2)]
    """
    check_flag("distinct_count: approximate", approximate)
    if not approximate:
        return _counting(len, by)

    def create(value: V) -> hyperloglog.Registers:
        return hyperloglog.add({}, by(value))

    def add(registers: hyperloglog.Registers, value: V) -> hyperloglog.Registers:
        return hyperloglog.add(registers, by(value))

    name = "distinct(approximate)"
    return Aggregate(name, create, add, hyperloglog.merge, hyperloglog.estimate, copy=hyperloglog.copy, by=by)


def _counting(result: Callable[[dict[Any, int]], Any], by: Callable[[Any], Any]) -> Aggregate[Any, Any, Any]:
    """Return an aggregate that knows how often each value is there: so it knows when the last one leaves."""

    def create(value: Any) -> dict[Any, int]:
        return add({}, value)

    def add(counts: dict[Any, int], value: Any) -> dict[Any, int]:
        item = by(value)
        if is_nan(item):
            raise ValueError(f"{item!r} differs from itself: how many differ can't be told")
        counts[item] = counts.get(item, 0) + 1
        return counts

    return Aggregate("distinct", create, add, add_counts, result, copy=dict, inverse=take_counts, by=by)
