"""Aggregates that add up: how many, how much, the mean, the variance.

Sums are exact. Integers are added as integers; floats as fractions (see `exact`) that are rounded once, for the result;
Decimals with all of their digits. So neither the order of records nor how they were cut into batches changes the last
digit of a sum, and what leaves a sliding window is taken out without a trace: all of these have an inverse. A sum with
a float among the integers is a float, one with a Decimal among these a Decimal, and stays so in a sliding window that
those have left, with as many places. Other things that can be added are added as Python does it.

A number that is infinite or not a number can't be added: it is a record on which the function fails.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import lcm, nan
from operator import add as plain_sum
from operator import sub
from typing import Any, TypeAlias, TypeVar

from streamproc.arguments import check_flag
from streamproc.windowing.aggregates.aggregate import Aggregate, identity
from streamproc.windowing.aggregates.exact import (
    FRACTION,
    TO_28_DIGITS,
    UNROUNDED,
    checked,
    decimal,
    exact,
    minus,
    over,
    plus,
    scaled,
)

__all__ = ["count", "mean_of", "sum_of", "variance_of"]

V = TypeVar("V")
N = TypeVar("N", int, float, Decimal)
M = TypeVar("M", float, Decimal)

Moments: TypeAlias = tuple[int, int, int, int]
"""How many numbers, their sum, that of their squares, and the denominator of the first and, squared, of the second."""


def count() -> Aggregate[Any, Any, int]:
    """Count the values.

    Example:
        >>> run(["a", "b"], lambda s: s.window(Tumbling("1s")).aggregate(count()))
        [WindowResult(start=0, end=1000, value=2)]
    """
    return Aggregate("count", _one, _one_more, plain_sum, copy=identity, inverse=sub)


def sum_of(by: Callable[[V], N]) -> Aggregate[V, Any, N]:
    """Add up a number of each value, without rounding on the way.

    Example:
        >>> run([0.1] * 10, lambda s: s.window(Tumbling("1s")).aggregate(sum_of(lambda x: x)))
        [WindowResult(start=0, end=1000, value=1.0)]
    """

    def create(value: V) -> Any:
        return _total(by(value))

    def add(total: Any, value: V) -> Any:
        number: Any = by(value)
        return total + number if type(total) is int and type(number) is int else _more(total, number)

    return Aggregate("sum", create, add, _plus, _value, copy=identity, inverse=_minus, by=by)


def mean_of(by: Callable[[V], M]) -> Aggregate[V, Any, M]:
    """Average a number of all values; it is rounded once. That of Decimals is one, of 28 digits.

    Example:
        >>> run([1, 2, 6], lambda s: s.window(Tumbling("1s")).aggregate(mean_of(lambda x: x)))
        [WindowResult(start=0, end=1000, value=3.0)]
    """

    def create(value: V) -> tuple[Any, int]:
        return _total(by(value)), 1

    def add(so_far: tuple[Any, int], value: V) -> tuple[Any, int]:
        return _more(so_far[0], by(value)), so_far[1] + 1

    def merge(one: tuple[Any, int], other: tuple[Any, int]) -> tuple[Any, int]:
        return _plus(one[0], other[0]), one[1] + other[1]

    def inverse(whole: tuple[Any, int], leaving: tuple[Any, int]) -> tuple[Any, int]:
        return _minus(whole[0], leaving[0]), whole[1] - leaving[1]

    def result(so_far: tuple[Any, int]) -> Any:
        total, number = so_far
        if isinstance(total, Decimal):
            return TO_28_DIGITS.divide(total, number)
        return over(total, number) if type(total) is FRACTION else total / number

    return Aggregate("mean", create, add, merge, result, copy=identity, inverse=inverse, by=by)


def variance_of(by: Callable[[V], float], *, population: bool = False) -> Aggregate[V, Any, float]:
    """Tell how far a number of all values is spread: the variance, rounded once. Its root is the standard deviation.

    Args:
        by: The number of a value.
        population: Whether the values are all that there are, and not a sample of more; then it is the mean of the
            squared distances from the mean. That of a sample of one value is ``nan``.

    Example:
        >>> run([1, 2, 3], lambda s: s.window(Tumbling("1s")).aggregate(variance_of(lambda x: x)))
        [WindowResult(start=0, end=1000, value=1.0)]
    """
    check_flag("variance_of: population", population)

    def create(value: V) -> Moments:
        return _moments(by(value))

    def add(so_far: Moments, value: V) -> Moments:
        number, total, squares, below = so_far
        one: Any = by(value)
        # Behind a Decimal the denominator is no power of two.
        top = scaled(one, below) if isinstance(one, float) and not below & (below - 1) else None
        if top is None:
            return _merged(so_far, _moments(one))
        return number + 1, total + top, squares + top * top, below

    def result(so_far: Moments) -> float:
        number, total, squares, below = so_far
        divisor = number if population else number - 1
        return (number * squares - total * total) / (number * divisor * below * below) if divisor else nan

    return Aggregate("variance", create, add, _merged, result, copy=identity, inverse=_without, by=by)


def _one(_value: object) -> int:
    return 1


def _one_more(number: int, _value: object) -> int:
    return number + 1


def _total(number: Any) -> Any:
    """Return the first total: a fraction for a float, else the number, which is no bool."""
    if isinstance(number, float):
        return exact(number)
    if isinstance(number, Decimal):
        return checked(number)
    return int(number) if number is True or number is False else number


def _more(total: Any, number: Any) -> Any:
    """Return the sum of a total and a number."""
    if type(total) is FRACTION and isinstance(number, float):
        top = scaled(number, total[1])
        if top is not None:
            return total[0] + top, total[1]
    if type(total) is int and type(number) is int:
        return total + number
    return _plus(total, _total(number))


def _plus(total: Any, more: Any) -> Any:
    """Return the sum of two totals."""
    if isinstance(total, Decimal) or isinstance(more, Decimal):
        return UNROUNDED.add(decimal(total), decimal(more))
    if type(total) is FRACTION or type(more) is FRACTION:
        return plus(exact(total), exact(more))
    return total + more


def _minus(total: Any, leaving: Any) -> Any:
    """Return a total without another one that is a part of it."""
    if isinstance(total, Decimal):
        return UNROUNDED.subtract(total, decimal(leaving))
    if type(total) is FRACTION:
        return minus(total, exact(leaving))
    return total - leaving


def _value(total: Any) -> Any:
    return over(total) if type(total) is FRACTION else total


def _moments(number: Any) -> Moments:
    top, bottom = checked(number).as_integer_ratio() if isinstance(number, Decimal) else exact(number)
    return 1, top, top * top, bottom


def _merged(one: Moments, other: Moments) -> Moments:
    number, total, squares, below = one
    more_numbers, more, more_squares, bottom = other
    together = lcm(below, bottom)
    left, right = together // below, together // bottom
    return (
        number + more_numbers,
        total * left + more * right,
        squares * left * left + more_squares * right * right,
        together,
    )


def _without(one: Moments, other: Moments) -> Moments:
    number, total, squares, below = other
    return _merged(one, (-number, -total, -squares, below))
