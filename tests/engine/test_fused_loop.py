"""The written loop does what its steps do one after the other, and finds the record that failed."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.dataflow.nodes import Step, StepKind
from streamproc.engine.operators.fused_code import FailedAt, write_loop

STEPS: dict[StepKind, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    # What to do with a value, and with a pair.
    StepKind.MAP: (lambda v: v + 1, lambda kv: kv[1] + 1),
    StepKind.FILTER: (lambda v: v % 3 > 0, lambda kv: kv[1] % 3 > 0),
    StepKind.FLAT_MAP: (lambda v: range(v % 4), lambda kv: range(kv[1] % 4)),
    StepKind.KEY_BY: (lambda v: v % 2, lambda kv: kv[0] + 10),
    StepKind.PEEK: (lambda v: None, lambda kv: None),
    StepKind.MAP_VALUES: (lambda v: v * 2, lambda v: v * 2),
    StepKind.FLAT_MAP_VALUES: (lambda v: [v, v + 1], lambda v: [v, v + 1]),
}

Row = tuple[Any, Any, int, int]


def chain_of(kinds: list[StepKind], *, keyed: bool) -> list[Step]:
    """Return a chain of steps; after a `key_by` values are pairs only where the input was keyed."""
    steps: list[Step] = []
    for number, kind in enumerate(kinds):
        fn = STEPS[kind][keyed]
        steps.append(Step(name=f"s{number}", step=kind, fn=fn, keyed=keyed))
        if kind in {StepKind.MAP, StepKind.FLAT_MAP}:
            keyed = False
        elif kind is StepKind.KEY_BY:
            keyed = True
    return steps


def slowly(steps: list[Step], rows: list[Row]) -> list[Row]:
    """Apply steps one after the other to (key, value, timestamp, origin), by definition."""
    for step in steps:
        after: list[Row] = []
        for key, value, t, o in rows:
            element = (key, value) if step.keyed else value
            match step.step:
                case StepKind.MAP:
                    after.append((None, step.fn(element), t, o))
                case StepKind.FILTER:
                    after += [(key, value, t, o)] if step.fn(element) else []
                case StepKind.FLAT_MAP:
                    after += [(None, item, t, o) for item in step.fn(element)]
                case StepKind.KEY_BY:
                    after.append((step.fn(element), element, t, o))
                case StepKind.PEEK:
                    after.append((key, value, t, o))
                case StepKind.MAP_VALUES:
                    after.append((key, step.fn(value), t, o))
                case StepKind.FLAT_MAP_VALUES:
                    after += [(key, item, t, o) for item in step.fn(value)]
        rows = after
    return rows


@given(
    st.lists(st.sampled_from([kind for kind in StepKind if kind is not StepKind.KEY_BY]), max_size=3),
    st.booleans(),
    st.lists(st.sampled_from([kind for kind in StepKind if kind is not StepKind.KEY_BY]), max_size=3),
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(0, 50), max_size=8),
)
def test_any_chain_gives_what_its_steps_give(
    before: list[StepKind],
    key_by: bool,
    after: list[StepKind],
    timed: bool,
    traced: bool,
    values: list[int],
) -> None:
    steps = chain_of([*before, *([StepKind.KEY_BY] if key_by else []), *after], keyed=False)
    loop = write_loop(steps, keyed=False, timed=timed, traced=traced)
    times, origins = [v * 100 for v in values], list(range(len(values)))

    found = loop.run(values, None, times, origins, never, *(step.fn for step in steps))

    rows = slowly(steps, [(None, v, t, o) for v, t, o in zip(values, times, origins, strict=True)])
    assert found[0] == [value for _, value, _, _ in rows]
    assert found[1] == ([key for key, _, _, _ in rows] if key_by and not dropped(after) else None)
    assert found[2] == ([t for _, _, t, _ in rows] if timed else None)
    assert found[3] == ([o for _, _, _, o in rows] if traced else None)


def dropped(kinds: list[StepKind]) -> bool:
    return any(kind in {StepKind.MAP, StepKind.FLAT_MAP} for kind in kinds)


def never(error: Exception, _rows: Iterator[Any]) -> None:
    raise error


def tenth(value: int) -> int:
    return 10 // value


def test_a_keyed_input_is_given_to_functions_as_pairs() -> None:
    steps = chain_of([StepKind.FILTER, StepKind.MAP_VALUES, StepKind.MAP], keyed=True)
    loop = write_loop(steps, keyed=True, timed=False, traced=False)
    assert loop.run([1, 3, 5], ["a", "b", "c"], None, None, never, *(step.fn for step in steps)) == (
        [3, 11],
        None,
        None,
        None,
    )


def test_a_failure_is_placed_and_the_other_records_go_on() -> None:
    def spread(value: int) -> list[int]:
        return [value, 0, value + 1]

    steps = [
        Step(name="tenth", step=StepKind.MAP, fn=tenth),
        Step(name="spread", step=StepKind.FLAT_MAP, fn=spread),
        Step(name="again", step=StepKind.MAP, fn=tenth),
    ]
    loop = write_loop(steps, keyed=False, timed=False, traced=False)
    values = [1, 0, 5]
    failed: list[FailedAt] = []

    def note(error: Exception, rows: Iterator[Any]) -> None:
        failed.append(loop.at(error, rows, len(values)))

    out, *_ = loop.run(values, None, None, None, note, *(step.fn for step in steps))

    assert out == [1, 0, 5, 3]
    assert failed == [FailedAt(2, 0, 0), FailedAt(0, 1, 0), FailedAt(2, 2, 0)]


def test_the_code_of_the_loop_is_seen_in_tracebacks() -> None:
    steps = [Step(name="tenth", step=StepKind.MAP, fn=tenth)]
    loop = write_loop(steps, keyed=False, timed=False, traced=False)
    with pytest.raises(ZeroDivisionError) as caught:
        loop.run([0], None, None, None, never, steps[0].fn)
    assert "v1 = f0(v0)" in "".join(traceback.format_exception(caught.value))
