"""The rules of Spark's DStream windows, one by one: leading and trailing partial windows, slides, inverses, filters.

Where streamproc differs on purpose, a test says so.
"""

from __future__ import annotations

import operator
from typing import Any

import pytest

from streamproc import (
    App,
    Asap,
    Interval,
    KeyedStream,
    PipelineError,
    Sliding,
    Stream,
    Tumbling,
    WindowResult,
    count,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from streamproc.windowing import WindowAssigner
from tests.windowing.ticks import output

Pair = tuple[str, int]


def pairs(stream: Stream[Pair]) -> KeyedStream[str, int]:
    return stream.key_by(lambda pair: pair[0]).map_values(lambda pair: pair[1])


def test_the_first_windows_reach_back_to_before_the_start() -> None:
    assert output([["a"], ["b"], ["c"]], lambda s: s.window("2s", "1s")) == [["a"], ["a", "b"], ["b", "c"]]


def test_the_last_windows_come_out_as_long_as_they_hold_records() -> None:
    assert output([["a"], [], [], []], lambda s: s.window("3s", "1s")) == [["a"], ["a"], ["a"], []]


def test_a_slide_of_the_length_gives_each_element_once() -> None:
    assert output([[1], [2], [3], [4]], lambda s: s.window("2s", "2s")) == [[], [1, 2], [], [3, 4]]


def test_a_larger_slide_gives_windows_at_its_multiples_only() -> None:
    found = output([[1], [2], [3], [4], [5], []], lambda s: s.window("4s", "2s"))
    assert found == [[], [1, 2], [], [1, 2, 3, 4], [], [3, 4, 5]]


def test_windows_end_at_multiples_of_the_slide_whatever_their_length() -> None:
    found = output([[1], [2], [3], [4], [5], [6]], lambda s: s.window("3s", "2s"))
    assert found == [[], [1, 2], [], [2, 3, 4], [], [4, 5, 6]]


def test_a_slide_above_the_length_leaves_elements_out() -> None:
    found = output([[1], [2], [3], [4], [5], [6], [7]], lambda s: s.window("2s", "3s"))
    assert found == [[], [], [2, 3], [], [], [5, 6], []]


def test_an_inverse_with_a_slide_above_the_length_takes_out_only_what_came_in() -> None:
    found = output(
        [[1], [10], [100], [1], [10], [100], [1], [], []],
        lambda s: s.reduce_by_window(operator.add, "2s", "3s", inverse=operator.sub),
    )
    assert found == [[], [], [110], [], [], [110], [], [], [0]]


def test_count_by_window_begins_with_the_first_element_and_then_never_stops() -> None:
    found = output([[], ["a"], ["b", "c"], [], [], []], lambda s: s.count_by_window("2s", "1s"))
    assert found == [[], [1], [3], [2], [0], [0]]


def test_reduce_by_window_gives_nothing_for_a_window_without_elements() -> None:
    assert output([[3], [5], [], [], [2]], lambda s: s.reduce_by_window(max, "2s")) == [[3], [5], [5], [], [2]]


def test_a_key_leaves_with_its_last_value_where_there_is_no_inverse() -> None:
    found = output(
        [[("a", 1), ("b", 7)], [("a", 2)], [], []],
        lambda s: pairs(s).reduce_by_key_and_window(operator.add, "2s", "1s"),
    )
    assert found == [[("a", 1), ("b", 7)], [("a", 3), ("b", 7)], [("a", 2)], []]


def test_a_key_stays_for_ever_where_there_is_an_inverse() -> None:
    found = output(
        [[("a", 1)], [("b", 2)], [], [], [("a", 5)]],
        lambda s: pairs(s).reduce_by_key_and_window(operator.add, "2s", "1s", inverse=operator.sub),
    )
    assert found == [
        [("a", 1)],
        [("a", 1), ("b", 2)],
        [("a", 0), ("b", 2)],
        [("a", 0), ("b", 0)],
        [("a", 5), ("b", 0)],
    ]


def test_a_filter_lets_keys_go_from_results_and_state() -> None:
    asked: list[Pair] = []

    def not_zero(key: str, total: int) -> bool:
        asked.append((key, total))
        return total != 0

    found = output(
        [[("a", 1)], [("b", 2)], [], [], [("a", 5)], []],
        lambda s: pairs(s).reduce_by_key_and_window(operator.add, "2s", "1s", inverse=operator.sub, keep=not_zero),
    )
    assert found == [[("a", 1)], [("a", 1), ("b", 2)], [("b", 2)], [], [("a", 5)], [("a", 5)]]
    assert asked.count(("a", 0)) == 1, "a key that was let go is asked for again"


def test_a_key_that_the_filter_lets_go_while_its_values_are_in_the_window_begins_anew() -> None:
    found = output(
        [[("a", 9)], [("a", 9)], [("a", 1)], [("a", 1)], []],
        lambda s: pairs(s).reduce_by_key_and_window(
            operator.add, "2s", "1s", inverse=operator.sub, keep=lambda _key, total: total < 10
        ),
    )
    # At 2 s the total is 18, and the key goes. At 3 s its old 9 leaves a window that has forgotten it: 1 is all there
    # is. At 4 s the second 9 is taken out of a value that it never was in: Spark's answer too.
    assert found == [[("a", 9)], [], [("a", 1)], [("a", -7)], [("a", -8)]]


def test_old_windows_do_not_come_back_when_the_filter_has_let_all_keys_go() -> None:
    found = output(
        [[("a", 9)], [("a", 9)], [], [], [("b", 1)]],
        lambda s: pairs(s).reduce_by_key_and_window(
            operator.add, "3s", "1s", inverse=operator.sub, keep=lambda _key, total: total < 10
        ),
    )
    assert found == [[("a", 9)], [], [], [], [("b", 1)]]


def test_count_by_value_and_window_forgets_values_that_have_left() -> None:
    found = output([["a", "a"], ["b"], ["b"], []], lambda s: s.count_by_value_and_window("2s", "1s"))
    assert found == [[("a", 2)], [("a", 2), ("b", 1)], [("b", 2)], [("b", 1)]]


def test_grouping_a_window_by_key_collects_the_values_of_its_batches_in_order() -> None:
    found = output(
        [[("a", 1)], [("b", 2), ("a", 3)], [], []],
        lambda s: pairs(s).window("2s", "1s").group_by_key(),
    )
    assert found == [[("a", [1])], [("a", [1, 3]), ("b", [2])], [("b", [2]), ("a", [3])], []]


def test_a_window_of_windows_holds_the_elements_of_all_of_them() -> None:
    found = output([[1], [2], [3], [4], [], []], lambda s: s.window("2s", "1s").window("2s", "2s"))
    assert found == [[], [1, 1, 2], [], [2, 3, 3, 4], [], [4]]


def test_the_slide_is_the_batch_interval_if_it_is_not_given() -> None:
    assert output([[1], [2], []], lambda s: s.count_by_window("2s")) == [[1], [2], [1]]


@pytest.mark.parametrize(("length", "slide"), [("1500ms", "1s"), ("2s", "1500ms")])
def test_length_and_slide_are_multiples_of_the_batch_interval(length: str, slide: str) -> None:
    with pytest.raises(PipelineError, match="no multiple of the batch interval of 1s"):
        output([], lambda s: s.window(length, slide))


@pytest.mark.parametrize("assigner", [Tumbling("1500ms"), Sliding("2s", every="500ms")])
def test_so_are_size_and_slide_of_an_assigner(assigner: WindowAssigner) -> None:
    with pytest.raises(PipelineError, match="no multiple of the batch interval of 1s"):
        output([], lambda s: s.window(assigner).aggregate(count()))


def test_in_event_time_they_are_what_they_like() -> None:
    found = output(
        [[100, 800, 2_000]], lambda s: s.event_time(lambda time: time).window(Tumbling("750ms")).aggregate(count())
    )
    assert found == [[WindowResult(0, 750, 1), WindowResult(750, 1_500, 1)]]


async def test_windows_come_due_without_records_also_when_batches_wait_for_records() -> None:
    source, sink = MemorySource([["a", "b"]]), MemorySink[int]()
    app = App("asap", trigger=Asap())
    app.source(source).count_by_window("2s", "1s").to(sink)
    async with Driver(app) as driver:
        found: list[int] = []
        for _ in range(5):
            await driver.advance("1s")
            found.append(len(sink.values))
        assert sink.values[:3] == [2, 2, 0]
        assert found == [1, 2, 3, 4, 5], "a window came early or late"


def test_where_spark_has_no_batch_between_windows_streamproc_has_an_empty_one() -> None:
    # A DStream behind a window has batches at the window's slide only, so that count() gives one number a window.
    # Here all streams of an app have the same batches.
    assert output([[1], [2], [3], [4]], lambda s: s.window("2s", "2s").count()) == [[0], [2], [0], [2]]


def test_where_spark_wants_a_multiple_of_the_slide_before_streamproc_takes_any_window() -> None:
    found: list[list[Any]] = output([[1], [2], [3], [4]], lambda s: s.window("2s", "2s").window("1s", "1s"))
    assert found == [[], [1, 2], [], [3, 4]]


async def test_the_results_of_windows_are_counted_also_where_a_window_gives_out_its_elements() -> None:
    source = MemorySource([["a", "b", "a"]])
    app = App("counted", trigger=Interval("1s"))
    letters = app.source(source)
    letters.window("2s", "1s", name="elements").to(MemorySink())
    letters.count_by_window("2s", "1s", name="all").to(MemorySink())
    letters.count_by_value_and_window("2s", "1s", name="each").to(MemorySink())
    async with Driver(app) as driver:
        await driver.tick(3)
        panes = {name: driver.metrics.operators[name].panes for name in ("elements", "all", "each")}
        assert panes == {"elements": 2, "all": 3, "each": 4}
