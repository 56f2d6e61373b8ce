"""Aggregates of how numbers are distributed: quantiles, and counts between edges.

Quantiles are found in bins whose borders grow by a constant factor, so that any number in a bin is near its middle:
Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees", PVLDB 12,
2019. Counts of bins can be added and taken apart, so a result doesn't depend on how records were cut into batches, and
what leaves a sliding window leaves no trace. A number takes a bin of its own at worst; numbers from a thousandth to a
million take a thousand, at an error of 1 %.

A bin has a number, which grows with what is in it: 0 is that of zero.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import accumulate, pairwise
from math import ceil, exp, isnan, log, log1p
from numbers import Real
from typing import Any, TypeVar

from streamproc.errors import PipelineError
from streamproc.windowing.aggregates.aggregate import Aggregate, identity
from streamproc.windowing.aggregates.counts import add_counts, take_counts
from streamproc.windowing.aggregates.order import is_nan

__all__ = ["histogram", "quantile", "quantiles"]

V = TypeVar("V")

_LEAST = log(5e-324)
_MOST = log(sys.float_info.max)
"""The logarithms of the least and the largest of all positive floats."""
_LEAST_ERROR = 1e-6
"""Logarithms are not exact enough for a much smaller one."""


def quantile(q: float, by: Callable[[V], float] = identity, *, error: float = 0.01) -> Aggregate[V, Any, float]:
    """Find the number below which a part ``q`` of the others is, about: ``quantile(0.5)`` is the median.

    Of n numbers in order, the first being number 0, it is number ``q * (n - 1)``, rounded down. The result is off by
    ``error``, relative to that number, at most.

    Args:
        q: From 0 to 1.
        by: The number of a value; the value itself by default.
        error: From 0.000001 to below 1; half of it takes twice the memory.

    Raises:
        PipelineError: ``q`` or ``error`` is not within its limits.

    Example:
        >>> times = [float(number) for number in range(1, 101)]
        >>> [result] = run(times, lambda s: s.window(Tumbling("1s")).aggregate(quantile(0.95)))
        >>> 95 * 0.99 <= result.value <= 95 * 1.01
        True
    """
    return _quantiles([q], lambda found: found[0], by, error)


def quantiles(
    qs: Sequence[float], by: Callable[[V], float] = identity, *, error: float = 0.01
) -> Aggregate[V, Any, list[float]]:
    """Find several quantiles at once: see `quantile`. They are a list in the order of ``qs``.

    Example:
        >>> [result] = run([1, 2, 400], lambda s: s.window(Tumbling("1s")).aggregate(quantiles([0, 0.5, 1])))
        >>> [round(found) for found in result.value]
        [1, 2, 399]
    """
    return _quantiles(qs, identity, by, error)


def histogram(edges: Sequence[float], by: Callable[[V], float] = identity) -> Aggregate[V, Any, list[int]]:
    """Count how many numbers are below the first edge, from each edge to the next, and from the last one on.

    The result has one count more than there are edges. A number at an edge is above it.

    Args:
        edges: At least one, in order.
        by: The number of a value; the value itself by default.

    Raises:
        PipelineError: There are no edges, or they are not in order.

    Example:
        >>> run([5, 10, 99, 100], lambda s: s.window(Tumbling("1s")).aggregate(histogram([10, 100])))
        [WindowResult(start=0, end=1000, value=[1, 2, 1])]
    """
    borders = _numbers("histogram", edges)
    if not borders or any(map(isnan, borders)) or any(low >= high for low, high in pairwise(borders)):
        raise PipelineError(f"histogram({borders}): expected edges in order, each above the one before")

    def create(value: V) -> list[int]:
        return add([0] * (len(borders) + 1), value)

    def add(counts: list[int], value: V) -> list[int]:
        number = by(value)
        if is_nan(number):
            raise ValueError("a number that is not a number (nan) is between no edges")
        counts[bisect_right(borders, number)] += 1
        return counts

    def merge(counts: list[int], more: list[int]) -> list[int]:
        return [one + other for one, other in zip(counts, more, strict=True)]

    def inverse(counts: list[int], leaving: list[int]) -> list[int]:
        return [one - other for one, other in zip(counts, leaving, strict=True)]

    name = f"histogram({', '.join(map(str, borders))})"
    return Aggregate(name, create, add, merge, list, copy=list, inverse=inverse, by=by)


def _numbers(where: str, given: Any) -> list[float]:
    """Return numbers as a list.

    Raises:
        PipelineError: It is no list, or not all in it are numbers.
    """
    numbers: list[Any] = list(given) if hasattr(given, "__iter__") else [None]
    if not all(isinstance(number, Real | Decimal) for number in numbers):
        raise PipelineError(f"{where}: expected a list of numbers, got {given!r}")
    return numbers


def _quantiles(
    qs: Sequence[float], result: Callable[[list[float]], Any], by: Callable[[Any], float], error: float
) -> Aggregate[Any, Any, Any]:
    parts = _numbers("quantiles", qs)
    wrong = [q for q in parts if not 0 <= q <= 1]
    if wrong or not parts:
        raise PipelineError(f"quantiles {parts}: expected numbers from 0 to 1, got {wrong or 'none'}")
    if not isinstance(error, int | float) or not _LEAST_ERROR <= error < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PipelineError(
            f"quantile(error={error!r}): expected at least {_LEAST_ERROR} and less than 1, such as 0.01"
        )
    # A bin reaches from its border to the next: ``growth`` times as far from zero, as a logarithm.
    growth = log1p(error) - log1p(-error)
    below_all = 1 - ceil(_LEAST / growth)
    to_middle = log1p(-error)

    def create(value: Any) -> dict[int, int]:
        return add({}, value)

    def add(bins: dict[int, int], value: Any) -> dict[int, int]:
        number = float(by(value))
        if number > 0:
            place = ceil(log(number) / growth) + below_all
        elif number < 0:
            place = -ceil(log(-number) / growth) - below_all
        elif number == 0:
            place = 0
        else:
            raise ValueError("a number that is not a number (nan) has no place among others")
        bins[place] = bins.get(place, 0) + 1
        return bins

    def number_in(place: int) -> float:
        if not place:
            return 0.0
        size = exp(min((abs(place) - below_all) * growth + to_middle, _MOST))
        return size if place > 0 else -size

    def found(bins: dict[int, int]) -> Any:
        places = sorted(bins)
        through = list(accumulate(bins[place] for place in places))
        return result([number_in(places[bisect_right(through, int(q * (through[-1] - 1)))]) for q in parts])

    name = f"quantiles(error={error:g})"
    return Aggregate(name, create, add, add_counts, found, copy=dict, inverse=take_counts, by=by)
