"""Aggregates that choose: the smallest and the largest, the first and the last, the largest few.

What is not a number (nan) has no place in an order: which number is the smallest would depend on how records were cut
into batches. It is a record on which the function fails.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Protocol, TypeAlias, TypeVar, overload

from streamproc.arguments import check_count
from streamproc.windowing.aggregates.aggregate import Aggregate, identity

__all__ = ["first", "is_nan", "last", "max_of", "min_of", "rank", "top_k"]

V = TypeVar("V")
R = TypeVar("R")
C = TypeVar("C", bound="Comparable")

Entry: TypeAlias = tuple[Any, int, Any]
"""A value of `top_k`: what it is ordered by, minus its timestamp, and the value."""

_place = itemgetter(0, 1)


class Comparable(Protocol):
    """What has an order: numbers, text, times, tuples."""

    def __lt__(self, other: Any, /) -> bool: ...
    def __le__(self, other: Any, /) -> bool: ...
    def __gt__(self, other: Any, /) -> bool: ...
    def __ge__(self, other: Any, /) -> bool: ...


def is_nan(value: object) -> bool:
    """Return whether something differs from itself: what `math.isnan` says of a float, for a value of any type."""
    return value != value  # noqa: PLR0124


def rank(found: R) -> R:
    """Return what something is ordered by.

    Raises:
        ValueError: It is not a number.
    """
    if is_nan(found):
        raise ValueError(f"{found!r} is neither smaller nor larger than others")
    return found


def min_of(by: Callable[[V], C]) -> Aggregate[V, Any, C]:
    """Keep the smallest of what a function takes of all values: numbers, text, times, or whatever else has an order.

    Example:
        >>> run([3, 1, 2], lambda s: s.window(Tumbling("1s")).aggregate(min_of(lambda x: x)))
        [WindowResult(start=0, end=1000, value=1)]
    """

    def create(value: V) -> C:
        return rank(by(value))

    def add(least: C, value: V) -> C:
        number = by(value)
        return least if number >= least else number if number < least else rank(number)

    return Aggregate("min", create, add, min, copy=identity, by=by)


def max_of(by: Callable[[V], C]) -> Aggregate[V, Any, C]:
    """Keep the largest of what a function takes of all values: numbers, text, times, or whatever else has an order.

    Example:
        >>> run([1, 3, 2], lambda s: s.window(Tumbling("1s")).aggregate(max_of(lambda x: x)))
        [WindowResult(start=0, end=1000, value=3)]
    """

    def create(value: V) -> C:
        return rank(by(value))

    def add(most: C, value: V) -> C:
        number = by(value)
        return most if number <= most else number if number > most else rank(number)

    return Aggregate("max", create, add, max, copy=identity, by=by)


@overload
def first() -> Aggregate[V, Any, V]: ...
@overload
def first(by: Callable[[V], R]) -> Aggregate[V, Any, R]: ...
def first(by: Callable[[Any], Any] = identity) -> Aggregate[Any, Any, Any]:
    """Keep the value with the earliest timestamp; of several with that, the one that came first.

    Args:
        by: What to keep of the value; all of it by default.

    Example:
        >>> def earliest(times):
        ...     return times.event_time(lambda t: t).window(Tumbling("10ms")).aggregate(first())
        >>> run([5, 3, 4], earliest)
        [WindowResult(start=0, end=10, value=3)]
    """

    def create(record: tuple[int, Any]) -> tuple[int, Any]:
        return record[0], by(record[1])

    def add(kept: tuple[int, Any], record: tuple[int, Any]) -> tuple[int, Any]:
        return merge(kept, create(record))

    def merge(kept: tuple[int, Any], other: tuple[int, Any]) -> tuple[int, Any]:
        return other if other[0] < kept[0] else kept

    return Aggregate("first", create, add, merge, itemgetter(1), copy=identity, timed=True, by=by)


@overload
def last() -> Aggregate[V, Any, V]: ...
@overload
def last(by: Callable[[V], R]) -> Aggregate[V, Any, R]: ...
def last(by: Callable[[Any], Any] = identity) -> Aggregate[Any, Any, Any]:
    """Keep the value with the latest timestamp; of several with that, the one that came last.

    Args:
        by: What to keep of the value; all of it by default.

    Example:
        >>> def latest(times):
        ...     return times.event_time(lambda t: t).window(Tumbling("10ms")).aggregate(last())
        >>> run([3, 5, 4], latest)
        [WindowResult(start=0, end=10, value=5)]
    """

    def create(record: tuple[int, Any]) -> tuple[int, Any]:
        return record[0], by(record[1])

    def add(kept: tuple[int, Any], record: tuple[int, Any]) -> tuple[int, Any]:
        return merge(kept, create(record))

    def merge(kept: tuple[int, Any], other: tuple[int, Any]) -> tuple[int, Any]:
        return kept if other[0] < kept[0] else other

    return Aggregate("last", create, add, merge, itemgetter(1), copy=identity, timed=True, by=by)


def top_k(k: int, by: Callable[[V], Any] = identity) -> Aggregate[V, Any, list[V]]:
    """Keep the ``k`` largest values, in a list, the largest first.

    Of equal ones those with earlier timestamps are first, and of those with one timestamp the ones that came first.

    Args:
        k: How many at most.
        by: What values are ordered by; the value itself by default.

    Raises:
        PipelineError: ``k`` is less than 1.

    Example:
        >>> run(["a", "ccc", "bb"], lambda s: s.window(Tumbling("1s")).aggregate(top_k(2, by=len)))
        [WindowResult(start=0, end=1000, value=['ccc', 'bb'])]
    """
    check_count("top_k: k", k)

    def create(record: tuple[int, V]) -> list[Entry]:
        return [(rank(by(record[1])), -record[0], record[1])]

    # Entries are in order, the largest last: then what goes is the first, and an equal one that comes later is put
    # before those that are there.
    def add(entries: list[Entry], record: tuple[int, V]) -> list[Entry]:
        place = rank(by(record[1])), -record[0]
        if len(entries) == k:
            if place <= entries[0][:2]:
                return entries
            at = bisect_left(entries, place, key=_place)
            entries.insert(at, (*place, record[1]))
            del entries[0]
        else:
            entries.insert(bisect_left(entries, place, key=_place), (*place, record[1]))
        return entries

    def merge(entries: list[Entry], others: list[Entry]) -> list[Entry]:
        return sorted(others + entries, key=_place)[-k:]

    def result(entries: list[Entry]) -> list[V]:
        return [value for _, _, value in reversed(entries)]

    return Aggregate(f"top_k({k})", create, add, merge, result, copy=list, timed=True, by=by)
