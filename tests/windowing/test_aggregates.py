"""Aggregates are what they are by definition, whatever the parts that they were merged from."""

from __future__ import annotations

import math
import subprocess
import sys
from decimal import ROUND_UP, Decimal, localcontext
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc import (
    Aggregate,
    PipelineError,
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
    sum_of,
    top_k,
    variance_of,
)
from streamproc.values import decode_value, encode_value
from streamproc.windowing import several
from streamproc.windowing.aggregates import identity
from tests.windowing.definitions import CASES, UNDOABLE, Item, Timed

numbers = st.floats(-1e100, 1e100, allow_subnormal=False) | st.integers(-5, 5).map(float) | st.sampled_from([0.1, 0.7])
integers = st.integers(-5, 5) | st.integers(-(1 << 200), 1 << 200)
words = st.text("abc", max_size=3)
times = st.integers(0, 8)


@st.composite
def lists(draw: st.DrawFn, least: int = 1) -> list[Timed]:
    """Return items in the order in which they came, numbered."""
    rows = draw(st.lists(st.tuples(times, numbers, integers, words), min_size=least, max_size=20))
    return [Timed(time, Item(number, integer, word, at)) for at, (time, number, integer, word) in enumerate(rows)]


def cut(items: list[Timed], places: set[int]) -> list[list[Timed]]:
    """Return the parts of a list, none of them empty."""
    borders = [0, *sorted(place for place in places if 0 < place < len(items)), len(items)]
    return [items[start:end] for start, end in pairwise(borders)]


@pytest.mark.parametrize("name", CASES)
@given(items=lists(), places=st.sets(st.integers(1, 19)))
def test_parts_in_the_order_in_which_they_came_give_what_the_whole_gives(
    name: str, items: list[Timed], places: set[int]
) -> None:
    case = CASES[name]
    parts = [case.total(part) for part in cut(items, places)]
    result = case.result(case.merged(parts))
    assert case.is_near(result, case.of(items))
    assert repr(result) == repr(case.result(case.total(items)))  # to the last digit, also where it is about


@pytest.mark.parametrize("name", [name for name in CASES if name != "collect" and not name.startswith("several")])
@given(items=lists(), width=st.integers(1, 9))
def test_parts_in_the_order_of_their_times_give_what_the_whole_gives(name: str, items: list[Timed], width: int) -> None:
    case = CASES[name]
    slices: dict[int, list[Timed]] = {}
    for timed in items:
        slices.setdefault(timed.time // width, []).append(timed)
    merged = case.merged([case.total(slices[start]) for start in sorted(slices)])
    assert case.is_near(case.result(merged), case.of(items))


@pytest.mark.parametrize("name", CASES)
@given(items=lists(least=2), at=st.integers(1, 19))
def test_merging_changes_only_what_was_copied(name: str, items: list[Timed], at: int) -> None:
    case = CASES[name]
    parts = [case.total(part) for part in cut(items, {at % len(items)})]
    before = [repr(part) for part in parts]
    case.merged(parts)
    case.result(case.aggregate.copy(parts[0]))
    assert [repr(part) for part in parts] == before


@pytest.mark.parametrize("name", UNDOABLE)
@given(items=lists(least=2), more=lists(), at=st.integers(1, 19))
def test_what_was_merged_can_be_taken_out_without_a_trace(
    name: str, items: list[Timed], more: list[Timed], at: int
) -> None:
    case = UNDOABLE[name]
    leaving, staying = (case.total(part) for part in cut(items, {1 + at % (len(items) - 1)}))
    before = repr(leaving)
    assert case.aggregate.inverse
    rest = case.aggregate.inverse(case.merged([leaving, staying]), leaving)
    # What comes later is added to what is left.
    rest = case.merged([rest, case.total(more)])
    whole = items[1 + at % (len(items) - 1) :] + more
    assert case.is_near(case.result(rest), case.of(whole))
    assert repr(leaving) == before


def test_all_that_add_up_can_be_undone() -> None:
    assert set(CASES) - set(UNDOABLE) == {
        "least", "most", "first", "last", "top", "collect", "reduce", "distinct count, about", "several",
    }  # fmt: skip


@given(items=lists(least=2), at=st.integers(1, 19))
def test_accumulators_are_read_back_as_they_were(items: list[Timed], at: int) -> None:
    for case in CASES.values():
        early, late = (case.total(part) for part in cut(items, {1 + at % (len(items) - 1)}))
        read = decode_value(encode_value(early))
        assert repr(read) == repr(early) or isinstance(read, dict)
        assert case.is_near(case.result(case.merged([read, late])), case.of(items))


def test_another_process_goes_on_with_accumulators_and_gives_results_that_this_one_reads() -> None:
    items = [Timed(at % 5, Item(at / 7, at * at, f"word {at % 40}", at)) for at in range(100)]
    state = {name: case.total(items[:60]) for name, case in CASES.items()}
    command = [sys.executable, "-m", "tests.windowing.definitions"]
    given = encode_value((state, items[60:]))
    results: dict[str, Any] = decode_value(
        subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True).stdout
    )
    for name, case in CASES.items():
        assert case.is_near(results[name], case.of(items)), name
        assert results[name] == case.result(case.total(items)), name


def test_the_approximate_count_is_off_by_no_more_than_it_says() -> None:
    case: Aggregate[int, Any, int] = distinct_count(approximate=True)
    errors: list[float] = []
    registers: Any = None
    for start in range(0, 40_000_000, 1_000_000):
        registers = case.create(start)
        for number in range(1, 20_001):
            registers = case.add(registers, start + number % 20_000)
            if number in {100, 1_000, 5_000, 20_000}:
                errors.append(case.result(registers) / min(number + 1, 20_000) - 1)
    assert len(errors) == 160
    assert math.sqrt(sum(error**2 for error in errors) / len(errors)) <= 0.016
    assert max(map(abs, errors)) <= 0.06
    assert len(encode_value(registers)) <= 4_100


@pytest.mark.parametrize("sizes", [(3_000, 9), (9, 3_000), (3_000, 3_000), (900, 900), (20, 20)])
def test_the_approximate_count_of_parts_is_that_of_the_whole(sizes: tuple[int, int]) -> None:
    case: Aggregate[int, Any, int] = distinct_count(approximate=True)

    def total(numbers: range) -> Any:
        registers = case.create(numbers[0])
        for number in numbers:
            registers = case.add(registers, number)
        return registers

    for start in range(0, 1_000_000, 50_000):
        one, other = range(start, start + sizes[0]), range(start + sizes[0] - 5, start + sum(sizes))
        whole = total(range(start, start + sum(sizes)))
        merged = case.merge(case.copy(total(one)), total(other))
        assert merged == whole  # in the same form, too: bytes as soon as there are many


def test_the_approximate_count_refuses_what_has_no_order() -> None:
    case: Aggregate[Any, Any, int] = distinct_count(approximate=True)
    for value in (frozenset("ab"), ("c", frozenset("ab")), [[frozenset("ab")]]):
        with pytest.raises(TypeError, match=r"of a frozenset, which has no order"):
            case.create(value)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False), min_size=1))
def test_a_quantile_is_off_by_no_more_than_it_says_for_any_number(values: list[float]) -> None:
    case: Aggregate[float, Any, list[float]] = quantiles([0, 0.5, 1], error=0.02)
    bins = case.create(values[0])
    for value in values[1:]:
        bins = case.add(bins, value)
    ordered = sorted(values)
    for found, value in zip(case.result(bins), (ordered[0], ordered[(len(values) - 1) // 2], ordered[-1]), strict=True):
        assert abs(found - value) <= 0.0200001 * abs(value)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "name",
    ["sum of floats", "mean", "variance", "quantile", "sum of Decimals", "mean of Decimals", "variance of Decimals"],
)
def test_a_number_that_is_none_fails_and_changes_nothing(name: str, odd: float) -> None:
    case = CASES[name]
    good, bad = Item(1.0, 1, "a", 0), Item(odd, 1, "a", 1)
    total = case.aggregate.add(case.aggregate.create(good), good)
    with pytest.raises((ValueError, OverflowError)):
        case.aggregate.add(total, bad)
    with pytest.raises((ValueError, OverflowError)):
        case.aggregate.create(bad)
    assert case.is_near(case.result(total), case.of([Timed(0, good), Timed(0, good)]))


@pytest.mark.parametrize("chosen", [first(len), last(len)])
def test_a_record_that_loses_fails_as_the_winner_would(chosen: Aggregate[Any, Any, int]) -> None:
    kept = chosen.create((5, "kept"))
    for time in (3, 7):
        with pytest.raises(TypeError):
            chosen.add(kept, (time, None))


CHOOSING: dict[str, Aggregate[Any, Any, Any]] = {
    "min": min_of(identity),
    "max": max_of(identity),
    "top_k": top_k(2),
    "distinct": distinct(identity),
    "distinct_count": distinct_count(),
}


@pytest.mark.parametrize("chosen", CHOOSING.values(), ids=list(CHOOSING))
def test_what_has_no_place_in_an_order_or_differs_from_itself_fails_and_changes_nothing(chosen: Any) -> None:
    good, bad = ((0, 1.0), (0, float("nan"))) if chosen.timed else (1.0, float("nan"))
    total = chosen.create(good)
    before = chosen.copy(total)
    with pytest.raises(ValueError, match="nan"):
        chosen.add(total, bad)
    with pytest.raises(ValueError, match="nan"):
        chosen.create(bad)
    assert total == before


VALUE: Any = identity


@pytest.mark.parametrize("precision", [3, 28, 60])
def test_decimals_are_added_exactly_whatever_the_context(precision: int) -> None:
    with localcontext(prec=precision, rounding=ROUND_UP):
        assert total_of(sum_of(VALUE), "0.10", "0.20") == "0.30"
        assert (
            total_of(sum_of(VALUE), "1E+20", "0.00000000000000000001") == "100000000000000000000.00000000000000000001"
        )
        assert total_of(mean_of(VALUE), "1", "0", "0") == "0.3333333333333333333333333333"
        assert total_of(variance_of(VALUE), "100000000000000000001", "100000000000000000003") == "2.0"


def total_of(aggregate: Aggregate[Any, Any, Any], first_number: str, *others: str) -> str:
    """Return what an aggregate of Decimals comes to, as text."""
    total = aggregate.create(Decimal(first_number))
    for number in others:
        total = aggregate.add(total, Decimal(number))
    return str(aggregate.result(total))


@pytest.mark.parametrize("far", ["1E+6145", "-1E-6145", "sNaN"])
def test_a_decimal_that_would_need_too_many_digits_fails(far: str) -> None:
    for aggregate in (sum_of(VALUE), mean_of(VALUE), variance_of(VALUE)):
        with pytest.raises(ValueError, match="no number that can be added: expected a finite one, not beyond 1E±6144"):
            total_of(aggregate, "1", far)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: top_k(0), "top_k: k is 0: expected a whole number of at least 1"),
        (lambda: quantile(95), r"expected numbers from 0 to 1, got \[95\]"),
        (lambda: quantiles([]), "expected numbers from 0 to 1, got none"),
        (lambda: quantile(0.5, error=0), r"quantile\(error=0\): expected at least 1e-06 and less than 1"),
        (lambda: histogram([]), "expected edges in order"),
        (lambda: histogram([2, 1]), r"histogram\(\[2, 1\]\): expected edges in order"),
        (lambda: histogram([0, float("nan")]), "expected edges in order"),
        (several, "or several by name, got none"),
    ],
)
def test_wrong_use_is_refused_at_once(wrong: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        wrong()
