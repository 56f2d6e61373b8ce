"""``running``: the aggregate of all values of a key so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamproc import (
    Aggregate,
    App,
    Asap,
    Interval,
    KeyedStream,
    OperatorError,
    PipelineError,
    Stream,
    Tumbling,
    collect,
    count,
    mean_of,
    sum_of,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver, run
from tests.windowing.ticks import output


def test_each_key_that_has_new_values_gives_its_new_result() -> None:
    batches = [["a", "b", "a"], [], ["b"], ["a", "c"]]
    assert output(batches, lambda s: s.key_by(lambda letter: letter).running(count())) == [
        [("a", 2), ("b", 1)],
        [],
        [("b", 2)],
        [("a", 3), ("c", 1)],
    ]


def test_accumulators_stay_apart_from_results() -> None:
    def build(numbers: Stream[int]) -> KeyedStream[int, float]:
        return numbers.key_by(lambda n: n % 2).running(mean_of(float))

    assert output([[1, 2], [3], [5, 4]], build) == [[(1, 1.0), (0, 2.0)], [(1, 2.0)], [(1, 3.0), (0, 3.0)]]


async def test_a_result_stays_as_it_was_given_and_survives_a_restart() -> None:
    source, sink = MemorySource[str](), MemorySink[Any]()
    seen: list[Any] = []
    app = App("running", trigger=Asap())
    app.source(source).key_by(lambda _: "k").running(collect(), name="all").peek(seen.append).to(sink)
    async with Driver(app) as driver:
        for letter in "abc":
            source.send([letter])
            await driver.settle()
            if letter == "b":
                await driver.stop()
                await driver.restart()
    assert seen == sink.values == [("k", ["a"]), ("k", ["a", "b"]), ("k", ["a", "b", "c"])]


def test_in_event_time_results_are_in_batch_time() -> None:
    def build(times: Stream[int]) -> KeyedStream[str, tuple[int, list[int]]]:
        totals = times.event_time(lambda n: n, idle_after=None).key_by(lambda _: "k").running(count())
        windows = totals.window(Tumbling("2s")).aggregate(collect())
        return windows.map_values(lambda result: (result.start, result.value))

    assert output([[500], [100], [900], []], build) == [[], [("k", (0, [1, 2]))], [], [("k", (2_000, [3]))]]


def test_behind_a_window_there_is_a_result_for_each() -> None:
    def build(times: Stream[int]) -> KeyedStream[str, int]:
        windows = times.event_time(lambda n: n).window(Tumbling("10ms")).aggregate(count())
        return windows.key_by(lambda _: "k").map_values(lambda result: result.value).running(sum_of(int))

    assert run([1, 2, 12, 31], build) == [("k", 2), ("k", 3), ("k", 4)]


def test_a_value_that_fails_is_left_out() -> None:
    inverse = Aggregate[int, float, float](
        "inverse", lambda n: 1 / n, lambda total, n: total + 1 / n, lambda a, b: a + b
    )

    def build(on_error: Any) -> Callable[[Stream[int]], KeyedStream[str, float]]:
        return lambda s: s.key_by(lambda _: "k").running(inverse, on_error=on_error)

    assert run([[1, 0], [2, 0, 4], [0]], build("skip")) == [("k", 1.0), ("k", 1.75)]
    with pytest.raises(OperatorError, match=r"position: source-1 \[0\] at 1"):
        run([1, 0], build("fail"))


def test_a_key_that_state_cannot_have_fails_its_record() -> None:
    found = run([["a"], 1, 1], lambda s: s.key_by(lambda key: key).running(count(), on_error="skip"))
    assert found == [(1, 2)]
    with pytest.raises(OperatorError, match=r"make it a tuple(.|\n)*position: source-1 \[0\] at 1"):
        run([1, ["a"]], lambda s: s.key_by(lambda key: key).running(count()))


def test_a_merge_that_fails_leaves_what_was_before() -> None:
    def merge(a: int, b: int) -> int:
        if b < 0:
            raise ValueError(b)
        return a + b

    total = Aggregate[int, int, int]("total", int, lambda a, b: a + b, merge)
    found = run([[1], [-5], [2]], lambda s: s.key_by(lambda _: "k").running(total, on_error="skip"))
    assert found == [("k", 1), ("k", 1), ("k", 3)]


def test_an_aggregate_is_asked_for() -> None:
    unfit: Any = sum
    with pytest.raises(PipelineError, match=r"running: expected an aggregate such as count\(\)"):
        App("wrong", trigger=Interval("1s")).source(MemorySource[int]()).key_by(str).running(unfit)
