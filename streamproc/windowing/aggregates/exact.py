"""Sums without rounding: of floats as fractions of integers, rounded once when somebody wants to know; of Decimals.

A float is a fraction whose denominator is a power of two, so a sum of floats is one, too. Added up so, they come to the
same whatever the order and however they were cut into parts, and what was added can be taken out again. The standard
library's `statistics` does the same.

Decimals are added with as many digits as it takes, whatever the context of the thread says. So that these stay few
enough, a number must be one that decimal128, the largest format of IEEE 754, has an exponent for.
"""

from __future__ import annotations

from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation
from math import gcd
from typing import Any, TypeAlias

__all__ = [
    "FRACTION",
    "TO_28_DIGITS",
    "UNROUNDED",
    "Exact",
    "checked",
    "decimal",
    "exact",
    "minus",
    "over",
    "plus",
    "scaled",
]

UNROUNDED = Context(
    prec=MAX_PREC, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX, clamp=0, traps=[Inexact, InvalidOperation]
)
"""In it, Decimals are added, subtracted and multiplied exactly."""
TO_28_DIGITS = Context(
    prec=28, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX, clamp=0, traps=[InvalidOperation]
)
"""In it, Decimals are divided as in Python's own context."""

_LARGEST_EXPONENT = 6144

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


def checked(number: Decimal) -> Decimal:
    """Return a Decimal that can be added.

    Raises:
        ValueError: It is infinite, not a number, or so large or small that a sum would have too many digits.
    """
    if not number.is_finite() or abs(number.adjusted()) > _LARGEST_EXPONENT:
        raise ValueError(
            f"{number!r:.100} is no number that can be added: expected a finite one, not beyond 1E±{_LARGEST_EXPONENT}"
        )
    return number


def decimal(number: Any) -> Any:
    """Return what can be added to a Decimal: of an `Exact` of floats the Decimal that it is, else the number itself."""
    if type(number) is not FRACTION:
        return number
    top, bottom = number
    places = bottom.bit_length() - 1
    return UNROUNDED.scaleb(Decimal(top * 5**places), -places)
