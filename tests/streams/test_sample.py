"""``sample``: a fraction of the elements, by chance or by a key."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc import App, OperatorError, PipelineError
from streamproc.connectors.memory import MemorySource
from streamproc.testing import run


def test_by_a_key_all_elements_of_it_pass_or_none_and_always_the_same() -> None:
    numbers = list(range(3_000))

    def by(n: int) -> str:
        return f"user-{n % 1_000}"

    passed = run(numbers, lambda s: s.sample(0.3, by=by))
    keys = {by(n) for n in passed}
    assert [n for n in numbers if by(n) in keys] == passed
    assert 250 < len(keys) < 350
    # Another run, other batches, other elements in between: the same keys.
    again = run([numbers[1_000:1_500], numbers[500:1_000]], lambda s: s.sample(0.3, by=by))
    assert {by(n) for n in again} == keys
    more = run(numbers, lambda s: s.sample(0.6, by=by))
    assert keys < {by(n) for n in more}, "a larger sample holds the smaller one"
    other = run(numbers, lambda s: s.sample(0.3, by=by, seed=7))
    assert {by(n) for n in other} != keys
    assert len({by(n) for n in other} & keys) < 150


def test_by_chance_elements_are_drawn_one_by_one() -> None:
    numbers = list(range(2_000))
    first = run(numbers, lambda s: s.sample(0.25, seed=1))
    assert 400 < len(first) < 600
    assert run(numbers, lambda s: s.sample(0.25, seed=1)) == first
    assert run(numbers, lambda s: s.sample(0.25, seed=2)) != first
    assert run(numbers, lambda s: s.sample(0.25)) != run(numbers, lambda s: s.sample(0.25))


@pytest.mark.parametrize("by", [None, str])
def test_all_and_nothing_are_fractions_too(by: Any) -> None:
    assert run([1, 2, 3], lambda s: s.sample(1, by=by)) == [1, 2, 3]
    assert run([1, 2, 3], lambda s: s.sample(0, by=by)) == []


def test_the_elements_of_a_keyed_stream_are_pairs() -> None:
    keyed = run(list(range(100)), lambda s: s.key_by(lambda n: n % 10).sample(0.5, by=lambda pair: pair[0]))
    keys = {key for key, _ in keyed}
    assert 0 < len(keys) < 10
    assert keyed == [(n % 10, n) for n in range(100) if n % 10 in keys]


def test_a_key_that_is_none_fails_its_record() -> None:
    assert run([["a"], 1], lambda s: s.sample(1.0, by=lambda value: value, on_error="skip")) == [1]
    with pytest.raises(OperatorError, match=r"operator 'few' failed on a record: EncodeError: .* make it a tuple"):
        run([["a"], 1], lambda s: s.sample(1.0, by=lambda value: value, name="few"))


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), "half"])
def test_a_fraction_is_between_none_and_all(fraction: Any) -> None:
    with pytest.raises(PipelineError, match="expected a number from 0 to 1"):
        App("wrong").source(MemorySource[int]()).sample(fraction)
