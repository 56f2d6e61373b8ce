"""Sums of floats without rounding: fractions of integers, rounded once when somebody wants to know.

A float is a fraction whose denominator is a power of two, so a sum of floats is one, too. Added up so, they come to the
same whatever the order and however they were cut into parts, and what was added can be taken out again. The standard
library's `statistics` does the same.
"""

from __future__ import annotations

from math import gcd
from typing import Any, TypeAlias

__all__ = ["FRACTION", "Exact", "exact", "minus", "over", "plus", "scaled"]

Exact: TypeAlias = tuple[int, int]
"""Numerator and denominator, which is a power of two; not always in lowest terms."""

FRACTION: Any = tuple
"""The type of an `Exact`, of which a type checker doesn't know more: else it would ask what is in the tuple."""


def exact(number: Any) -> Exact:
    """Return a number as a fraction; one that is neither integer nor float as the float that is nearest.

    Raises:
        ValueError: It is infinite, or not a number.
    """
    if type(number) is FRACTION:
        return number  # type: ignore[no-any-return]
    real = number if isinstance(number, int | float) else float(number)
    try:
        return real.as_integer_ratio()
    except (OverflowError, ValueError):
        raise ValueError(f"{number!r} is no number that can be added: expected a finite one") from None


def scaled(number: float, denominator: int) -> int | None:
    """Return the numerator that a float has with a denominator, a power of two; None if it isn't known so fast."""
    try:
        # Exact: it changes nothing but the exponent.
        product = number * denominator
        numerator = int(product)
    except (OverflowError, ValueError):
        return None
    return numerator if numerator == product else None


def plus(one: Exact, other: Exact) -> Exact:
    """Return a sum."""
    (top, bottom), (more, below) = one, other
    if bottom < below:
        return top * (below // bottom) + more, below
    return top + more * (bottom // below), bottom


def minus(one: Exact, other: Exact) -> Exact:
    """Return a difference, in lowest terms: what has left is not to be seen in it."""
    top, bottom = plus(one, (-other[0], other[1]))
    common = gcd(top, bottom)
    return top // common, bottom // common


def over(number: Exact, count: int = 1) -> float:
    """Return a fraction, divided by a count, rounded to the nearest float."""
    return number[0] / (number[1] * count)
