"""``top_k``: the largest elements so far, or of each window."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc import (
    App,
    Asap,
    OperatorError,
    PipelineError,
    Stream,
    Tumbling,
    WindowResult,
    WindowResults,
    count,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver, run
from tests.windowing.ticks import output


def test_the_list_is_given_when_it_changes() -> None:
    batches = [[5, 3], [1], [9, 4, 7], [], [7], [8]]
    assert output(batches, lambda s: s.top_k(3)) == [[[5, 3]], [[5, 3, 1]], [[9, 7, 5]], [], [[9, 7, 7]], [[9, 8, 7]]]


def test_of_equal_elements_those_that_came_first_count() -> None:
    batches = [["bb", "a"], ["cc", "dd", "e"], ["fff"]]
    assert output(batches, lambda s: s.top_k(2, by=len)) == [[["bb", "a"]], [["bb", "cc"]], [["fff", "bb"]]]


def test_what_has_no_place_in_an_order_fails() -> None:
    nan = float("nan")
    for batches in ([[2.0, nan, 1.0]], [[2.0], [nan], [1.0]], [[2.0], [nan, 1.0]]):
        with pytest.raises(OperatorError, match="nan is neither smaller nor larger"):
            run(batches, lambda s: s.top_k(2))
        assert run(batches, lambda s: s.top_k(2, on_error="skip"))[-1] == [2.0, 1.0]


async def test_it_goes_on_behind_a_restart_also_with_another_k() -> None:
    source, disk = MemorySource[int](), None
    given: list[Any] = []
    for k, numbers in ((3, [5, 1, 7]), (3, [6]), (2, [2]), (2, [9])):
        sink = MemorySink[list[int]]()
        app = App("top", trigger=Asap())
        app.source(source).top_k(k, name="top").to(sink)
        source.send(numbers)
        async with Driver(app, disk=disk) as driver:
            await driver.settle()
        disk = driver.disk
        given.append(sink.values)
    assert given == [[[7, 5, 1]], [[7, 6, 5]], [], [[9, 7]]]


def test_what_is_given_can_be_changed_by_who_gets_it() -> None:
    found = output([[3], [1], [2]], lambda s: s.top_k(2).map(lambda largest: [largest.pop(), len(largest)]))
    assert found == [[[3, 0]], [[1, 1]], [[2, 1]]]


def test_behind_a_window_each_has_a_list_of_its_own() -> None:
    def loudest(words: Stream[tuple[int, str]]) -> Stream[list[tuple[str, int, int]]]:
        timed = words.event_time(lambda pair: pair[0]).key_by(lambda pair: pair[1])
        counts = timed.window(Tumbling("10ms")).aggregate(count())
        return counts.top_k(2, by=lambda pair: pair[1].value).map(
            lambda largest: [(word, result.start, result.value) for word, result in largest]
        )

    words = [(1, "a"), (2, "b"), (3, "b"), (4, "c"), (4, "c"), (5, "c"), (11, "a"), (35, "d")]
    expected = [[("c", 0, 3), ("b", 0, 2)], [("a", 10, 1)], [("d", 30, 1)]]
    assert run(words, loudest) == expected
    assert run([[word] for word in words], loudest) == expected


def test_lists_of_windows_have_the_time_of_their_windows() -> None:
    def build(times: Stream[int]) -> WindowResults[list[WindowResult[int]], int]:
        totals = times.event_time(lambda n: n).window(Tumbling("10ms")).aggregate(count())
        return totals.top_k(1, by=lambda result: result.value).window(Tumbling("20ms")).aggregate(count())

    assert [(result.start, result.value) for result in run([1, 12, 25, 61], build)] == [(0, 2), (20, 1), (60, 1)]


def test_elements_that_cannot_be_compared_are_failed_ones() -> None:
    elements = [3, "x", None, 5, 4]
    assert run(elements, lambda s: s.top_k(2, on_error="skip")) == [[5, 4]]
    with pytest.raises(OperatorError, match=r"position: source-1 \[0\] at 1"):
        run(elements, lambda s: s.top_k(2))
    assert run([1, 0, 2], lambda s: s.top_k(2, by=lambda n: 1 // n, on_error="skip")) == [[1, 2]]


@pytest.mark.parametrize("k", [0, -1, 2.0, "3"])
def test_k_is_a_number_of_elements(k: Any) -> None:
    with pytest.raises(PipelineError, match="expected a whole number of at least 1"):
        App("wrong").source(MemorySource[int]()).top_k(k)
