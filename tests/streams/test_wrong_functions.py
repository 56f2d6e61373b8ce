"""Where only plain functions can be used, an ``async def`` and what is no function are refused at once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any

import pytest

from streamproc import (
    AfterCount,
    Aggregate,
    AnyOf,
    App,
    Assigner,
    Interval,
    KeyedProcess,
    PipelineError,
    Tumbling,
    Window,
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
from streamproc.connectors.memory import MemorySource
from streamproc.windowing import WindowTrigger


def numbers() -> Any:
    """Return a stream; any method can be called in any way."""
    return App("wrong", trigger=Interval("500ms")).source(MemorySource[int]())


def keyed() -> Any:
    return numbers().key_by(str)


def process(of: Any, on_timer: Any) -> KeyedProcess[Any, Any, Any]:
    """Return a process whose methods are whatever is given."""

    class Given(KeyedProcess[Any, Any, Any]):
        def process(self, context: object, value: object) -> Iterable[object]:
            return ()

    given: Any = Given()
    given.process, given.on_timer = of, on_timer
    return given  # type: ignore[no-any-return]


def assigner(assign: Any) -> Assigner:
    class Given(Assigner):
        def assign(self, timestamp: int) -> Iterable[Window]:
            return ()

    given: Any = Given()
    given.assign = assign
    return given  # type: ignore[no-any-return]


def trigger(is_ready: Any) -> WindowTrigger:
    class Given(AfterCount):
        __slots__ = ("is_ready",)

    given = Given(1)
    object.__setattr__(given, "is_ready", is_ready)
    return given


TAKES_A_FUNCTION: list[tuple[str, Callable[[Any], object]]] = [
    ("the aggregate 'sum': by", sum_of),
    ("the aggregate 'mean': by", mean_of),
    ("the aggregate 'variance': by", variance_of),
    ("the aggregate 'min': by", min_of),
    ("the aggregate 'max': by", max_of),
    ("the aggregate 'first': by", first),
    ("the aggregate 'last': by", last),
    ("the aggregate 'distinct': by", distinct),
    ("the aggregate 'distinct': by", distinct_count),
    ("the aggregate 'distinct(approximate)': by", lambda fn: distinct_count(fn, approximate=True)),
    ("the aggregate 'top_k(3)': by", lambda fn: top_k(3, by=fn)),
    ("the aggregate 'quantiles(error=0.01)': by", lambda fn: quantile(0.5, fn)),
    ("the aggregate 'quantiles(error=0.01)': by", lambda fn: quantiles([0.5], fn)),
    ("the aggregate 'histogram(10)': by", lambda fn: histogram([10], fn)),
    ("the aggregate 'own': create", lambda fn: Aggregate("own", fn, max, max)),
    ("the aggregate 'own': add", lambda fn: Aggregate("own", abs, fn, max)),
    ("the aggregate 'own': merge", lambda fn: Aggregate("own", abs, max, fn)),
    ("the aggregate 'own': result", lambda fn: Aggregate("own", abs, max, max, fn)),
    ("the aggregate 'own': inverse", lambda fn: Aggregate("own", abs, max, max, inverse=fn)),
    ("the aggregate 'combine_by_key': merge", lambda fn: keyed().combine_by_key(abs, max, fn)),
    ("reduce: fn", lambda fn: numbers().reduce(fn)),
    ("reduce: fn", lambda fn: keyed().reduce_by_key(fn)),
    ("reduce: fn", lambda fn: numbers().window(Tumbling("1s")).reduce(fn)),
    ("reduce: fn", lambda fn: numbers().reduce_by_window(fn, "1s")),
    ("reduce_by_window-1: fn", lambda fn: numbers().reduce_by_window(fn, "1s", inverse=min)),
    ("reduce_by_window-1: inverse", lambda fn: numbers().reduce_by_window(max, "1s", inverse=fn)),
    ("reduce_by_key_and_window-1: keep", lambda fn: keyed().reduce_by_key_and_window(max, "1s", inverse=min, keep=fn)),
    ("event_time-1: fn", lambda fn: numbers().event_time(fn)),
    ("update_state_by_key-1: fn", lambda fn: keyed().update_state_by_key(fn)),
    ("map_with_state-1: fn", lambda fn: keyed().map_with_state(fn)),
    ("deduplicate-1: by", lambda fn: numbers().deduplicate(by=fn, within="1s")),
    ("sample-1: by", lambda fn: numbers().sample(0.5, by=fn)),
    ("top_k-1: by", lambda fn: numbers().top_k(3, by=fn)),
    ("process-1: process", lambda fn: keyed().process(process(fn, print))),
    ("process-1: on_timer", lambda fn: keyed().process(process(print, fn))),
    ("window: assign of Given", lambda fn: numbers().window(assigner(fn))),
    ("window: is_ready of Given", lambda fn: numbers().window(Tumbling("1s"), trigger=trigger(fn))),
    ("AnyOf: is_ready of Given", lambda fn: AnyOf(trigger(fn))),
]


async def awaited(*_: object) -> int:
    return 1


async def awaited_again_and_again(*_: object) -> AsyncIterator[int]:
    yield 1


class Awaited:
    async def __call__(self, *_: object) -> int:
        return 1


@pytest.mark.parametrize(("what", "build"), TAKES_A_FUNCTION)
@pytest.mark.parametrize("fn", [awaited, partial(awaited, 1), Awaited(), Awaited().__call__, awaited_again_and_again])
def test_what_has_to_be_awaited_is_refused(what: str, build: Callable[[Any], object], fn: Any) -> None:
    expected = f"{what} is {fn!r}: expected a plain function, no async def: await in a map() before"
    with pytest.raises(PipelineError, match=re.escape(expected)):
        build(fn)


@pytest.mark.parametrize(("what", "build"), TAKES_A_FUNCTION)
@pytest.mark.parametrize("fn", [7, "price"])
def test_what_is_no_function_is_refused(what: str, build: Callable[[Any], object], fn: Any) -> None:
    with pytest.raises(PipelineError, match=re.escape(f"{what} is {fn!r}: expected a plain function, no async def")):
        build(fn)


@pytest.mark.parametrize("operator", ["map", "filter", "flat_map", "key_by", "peek", "branch", "transform"])
def test_operators_that_can_await_refuse_what_is_no_function(operator: str) -> None:
    with pytest.raises(PipelineError, match="-1: expected a function, got 7"):
        getattr(numbers(), operator)(7)
    getattr(numbers(), operator)(awaited)


def test_each_predicate_of_a_split_must_be_a_function() -> None:
    with pytest.raises(PipelineError, match="split-1: expected a function, got 7"):
        numbers().split({"even": awaited, "odd": 7})
