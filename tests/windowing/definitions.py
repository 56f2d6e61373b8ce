"""What aggregates are by definition: of a whole list, in plain Python and the standard library.

As a program, ``python -m tests.windowing.definitions``, it is a process that goes on with accumulators of another one.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from math import floor, isnan, nan
from typing import Any, NamedTuple

from streamproc import (
    Aggregate,
    collect,
    count,
    distinct,
    distinct_count,
    first,
    histogram,
    last,
    max_of,
    mean_of,
    min_of,
    quantile,
    quantiles,
    reducing,
    sum_of,
    top_k,
    variance_of,
)
from streamproc.values import decode_value, encode_value
from streamproc.windowing import several

EDGES = [-100, 0, 0.5, 7, 1e6]
QUANTILES = [0.0, 0.3, 0.5, 0.95, 1.0]


class Item(NamedTuple):
    """A value to aggregate: a number, an integer, a word, and its number in the input."""

    number: float
    integer: int
    word: str
    at: int


class Timed(NamedTuple):
    """An item and its timestamp."""

    time: int
    item: Item


@dataclass(frozen=True)
class Case:
    """An aggregate, and what it is by definition of all that came, in that order."""

    aggregate: Aggregate[Any, Any, Any]
    of: Callable[[Sequence[Timed]], Any]
    is_near: Callable[[Any, Any], bool] = lambda found, expected: bool(found == expected)

    def total(self, items: Sequence[Timed]) -> Any:
        """Return the accumulator of items."""
        rows: list[Any] = list(items) if self.aggregate.timed else [timed.item for timed in items]
        accumulator = self.aggregate.create(rows[0])
        for row in rows[1:]:
            accumulator = self.aggregate.add(accumulator, row)
        return accumulator

    def merged(self, parts: Sequence[Any]) -> Any:
        """Return accumulators merged, as the engine does it: it gives away copies."""
        copied = [self.aggregate.copy(part) for part in parts]
        accumulator = copied[0]
        for part in copied[1:]:
            accumulator = self.aggregate.merge(accumulator, part)
        return accumulator

    def result(self, accumulator: Any) -> Any:
        """Return the result of an accumulator."""
        return self.aggregate.result(accumulator)


def number_of(item: Item) -> float:
    return item.number


def integer_of(item: Item) -> int:
    return item.integer


def decimal_of(item: Item) -> Any:
    return Decimal(item.number)


def word_of(item: Item) -> str:
    return item.word


def numbers(items: Sequence[Timed]) -> list[float]:
    return [item.number for _, item in items]


def integers(items: Sequence[Timed]) -> list[int]:
    return [item.integer for _, item in items]


def variance(items: Sequence[Timed]) -> float:
    return statistics.variance(numbers(items)) if len(items) > 1 else nan


def same_fraction(found: Any, expected: Fraction) -> bool:
    return isinstance(found, Decimal) and Fraction(found) == expected


def mean_to_28_digits(items: Sequence[Timed]) -> Decimal:
    with localcontext() as context:
        context.prec = 2_000
        total = sum(map(Decimal, numbers(items)), Decimal(0))
        context.prec = 28
        return total / len(items)


def between(items: Sequence[Timed]) -> list[int]:
    borders = [-float("inf"), *EDGES, float("inf")]
    return [sum(low <= number < high for number in numbers(items)) for low, high in pairwise(borders)]


def at_rank(items: Sequence[Timed], q: float) -> float:
    return sorted(numbers(items))[floor(q * (len(items) - 1))]


def within(error: float) -> Callable[[Any, Any], bool]:
    def is_near(found: Any, expected: Any) -> bool:
        return bool(abs(found - expected) <= error * (1 + 1e-9) * abs(expected))

    return is_near


def same_or_nan(found: float, expected: float) -> bool:
    return found == expected or (isnan(found) and isnan(expected))


def top_first(items: Sequence[Timed]) -> list[Timed]:
    """Return items as `top_k` has them: by word, largest first, then by time, then as they came."""
    return sorted(sorted(items, key=lambda timed: timed.time), key=lambda timed: timed.item.word, reverse=True)


CASES: dict[str, Case] = {
    "count": Case(count(), len),
    "sum of integers": Case(sum_of(integer_of), lambda items: sum(integers(items))),
    "sum of floats": Case(sum_of(number_of), lambda items: float(sum(map(Fraction, numbers(items))))),
    "sum of both": Case(
        sum_of(lambda item: item.number if item.integer % 2 else item.integer),
        lambda items: sum(Fraction(item.number) if item.integer % 2 else item.integer for _, item in items),
        # Where all floats have been taken out again, it is a float still.
        lambda found, expected: bool(found == (float(expected) if isinstance(found, float) else expected)),
    ),
    "sum of truths": Case(
        sum_of(lambda item: item.number > 0),
        lambda items: sum(n > 0 for n in numbers(items)),
        lambda found, expected: type(found) is int and found == expected,
    ),
    "sum of Decimals": Case(sum_of(decimal_of), lambda items: sum(map(Fraction, numbers(items))), same_fraction),
    "sum of all kinds": Case(
        sum_of(lambda item: (item.integer, item.number, decimal_of(item))[item.integer % 3]),
        lambda items: sum(Fraction(item.number) if item.integer % 3 else item.integer for _, item in items),
        lambda found, expected: bool(found == (float(expected) if isinstance(found, float) else expected)),
    ),
    "least": Case(min_of(number_of), lambda items: min(numbers(items))),
    "most": Case(max_of(number_of), lambda items: max(numbers(items))),
    "mean": Case(mean_of(number_of), lambda items: statistics.mean(numbers(items))),
    "mean of integers": Case(mean_of(integer_of), lambda items: float(statistics.mean(map(Fraction, integers(items))))),
    "mean of Decimals": Case(mean_of(decimal_of), mean_to_28_digits),
    "variance of Decimals": Case(
        variance_of(decimal_of, population=True),
        lambda items: float(statistics.pvariance([Fraction(number) for number in numbers(items)])),
    ),
    "variance": Case(variance_of(number_of), variance, same_or_nan),
    "variance of all": Case(
        variance_of(number_of, population=True), lambda items: statistics.pvariance(numbers(items))
    ),
    "first": Case(first(), lambda items: min(items, key=lambda timed: timed.time).item),
    "last": Case(last(word_of), lambda items: max(reversed(items), key=lambda timed: timed.time).item.word),
    "top": Case(top_k(3, by=word_of), lambda items: [timed.item for timed in top_first(items)][:3]),
    "collect": Case(collect(), lambda items: [timed.item for timed in items]),
    "reduce": Case(
        reducing(lambda a, b: a if a.at < b.at else b), lambda items: min(items, key=lambda timed: timed.item.at).item
    ),
    "distinct": Case(distinct(word_of), lambda items: {timed.item.word for timed in items}),
    "distinct count": Case(distinct_count(word_of), lambda items: len({timed.item.word for timed in items})),
    "distinct count, about": Case(
        distinct_count(word_of, approximate=True),
        lambda items: len({timed.item.word for timed in items}),
        lambda found, expected: abs(found - expected) <= 1,  # of a few values
    ),
    "quantile": Case(quantile(0.75, number_of), lambda items: at_rank(items, 0.75), within(0.01)),
    "quantiles": Case(
        quantiles(QUANTILES, number_of, error=0.001),
        lambda items: [at_rank(items, q) for q in QUANTILES],
        lambda found, expected: all(map(within(0.001), found, expected)),
    ),
    "histogram": Case(histogram(EDGES, number_of), between),
}
PARTS = {name.replace(" ", "_").replace(",", ""): case for name, case in CASES.items()}
CASES["several"] = Case(
    several(**{name: case.aggregate for name, case in PARTS.items()}),
    lambda items: {name: case.of(items) for name, case in PARTS.items()},
    lambda found, expected: all(case.is_near(getattr(found, name), expected[name]) for name, case in PARTS.items()),
)
UNDOABLE = {name: case for name, case in CASES.items() if case.aggregate.inverse is not None}
CASES["several that can be undone"] = UNDOABLE["several that can be undone"] = Case(
    several(n=count(), total=sum_of(number_of), words=distinct(word_of), spread=variance_of(number_of)),
    lambda items: (len(items), CASES["sum of floats"].of(items), CASES["distinct"].of(items), variance(items)),
    lambda found, expected: (
        (found.n, found.total, found.words) == expected[:3] and same_or_nan(found.spread, expected[3])
    ),
)


def main() -> None:
    """Read what is left of each aggregate, go on with it, and write the results."""
    state, items = decode_value(sys.stdin.buffer.read())
    found = {name: case.result(case.merged([state[name], case.total(items)])) for name, case in CASES.items()}
    sys.stdout.buffer.write(encode_value(found))


if __name__ == "__main__":
    main()
