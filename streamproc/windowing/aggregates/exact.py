"""Sums of numbers without rounding: fractions of integers, rounded once when somebody wants to know.

Floats are fractions whose denominator is a power of two, so their sum is one, too. Added up so, they come to the same
whatever the order and however they were cut into parts, and what was added can be taken out again. The standard
library's `statistics` does the same.
"""

from __future__ import annotations

from math import gcd, lcm
from typing import Any, TypeAlias

__all__ = ["FRACTION", "Exact", "exact", "minus", "over", "plus", "reduced"]

Exact: TypeAlias = tuple[int, int]
"""Numerator and denominator, not always in lowest terms."""

FRACTION: Any = tuple
"""The type of an `Exact`, of which a type checker doesn't know more: else it would ask what is in the tuple."""


def exact(number: Any) -> Exact:
    """Return a number as a fraction.

    Raises:
        ValueError: It is not a number.
        OverflowError: It is infinite.
    """
    found: Exact = number if type(number) is FRACTION else number.as_integer_ratio()
    return found


def plus(one: Exact, other: Exact) -> Exact:
    """Return a sum."""
    (top, bottom), (more, below) = one, other
    if bottom == below:
        return top + more, bottom
    together = lcm(bottom, below)
    return top * (together // bottom) + more * (together // below), together


def minus(one: Exact, other: Exact) -> Exact:
    """Return a difference, in lowest terms: what has left is not to be seen in it."""
    return reduced(plus(one, (-other[0], other[1])))


def reduced(number: Exact) -> Exact:
    """Return a fraction in lowest terms."""
    top, bottom = number
    common = gcd(top, bottom)
    return top // common, bottom // common


def over(number: Exact, count: int = 1) -> float:
    """Return a fraction, divided by a count, rounded to the nearest float."""
    return number[0] / (number[1] * count)
