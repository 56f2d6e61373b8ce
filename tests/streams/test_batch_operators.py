"""Operators that see a batch as a whole, joins, and those that divide and merge streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamproc import App, Asap, KeyedStream, OperatorError, Stream, Tumbling, WindowResult, count
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver, run
from tests.windowing.ticks import output


def by_itself(letters: Stream[str]) -> KeyedStream[str, str]:
    return letters.key_by(lambda letter: letter)


class Two:
    """Two streams of letters, with ones and with x's as values, and what a pipeline makes of both in each batch."""

    def __init__(self, build: Callable[[KeyedStream[str, int], KeyedStream[str, str]], KeyedStream[str, Any]]) -> None:
        self.left, self.right, self.sink = MemorySource[str](), MemorySource[str](), MemorySink[Any]()
        self.app = App("two")
        ones = by_itself(self.app.source(self.left)).map_values(lambda _letter: 1)
        letters = by_itself(self.app.source(self.right)).map_values(lambda _letter: "x")
        build(ones, letters).to(self.sink)

    async def run(self, *batches: tuple[str, str]) -> list[set[Any]]:
        found: list[set[Any]] = []
        async with Driver(self.app) as driver:
            for left, right in batches:
                before = len(self.sink.values)
                self.left.send(left.split())
                self.right.send(right.split())
                await driver.tick()
                found.append({repr(row) for row in self.sink.values[before:]})
        return found


BATCHES = (("a b", "a b"), ("a -", "b -"), ("-", ""), ("", "-"))


def rows(*expected: list[Any]) -> list[set[str]]:
    return [set(map(repr, batch)) for batch in expected]


async def test_join_pairs_what_is_in_one_batch() -> None:
    found = await Two(lambda ones, letters: ones.join(letters)).run(*BATCHES)
    assert found == rows([("a", (1, "x")), ("b", (1, "x"))], [("-", (1, "x"))], [], [])


async def test_left_outer_join() -> None:
    found = await Two(lambda ones, letters: ones.left_outer_join(letters)).run(*BATCHES)
    assert found == rows(
        [("a", (1, "x")), ("b", (1, "x"))], [("-", (1, "x")), ("a", (1, None))], [("-", (1, None))], []
    )


async def test_right_outer_join() -> None:
    found = await Two(lambda ones, letters: ones.right_outer_join(letters)).run(*BATCHES)
    assert found == rows(
        [("a", (1, "x")), ("b", (1, "x"))], [("-", (1, "x")), ("b", (None, "x"))], [], [("-", (None, "x"))]
    )


async def test_full_outer_join() -> None:
    found = await Two(lambda ones, letters: ones.full_outer_join(letters)).run(*BATCHES)
    assert found == rows(
        [("a", (1, "x")), ("b", (1, "x"))],
        [("-", (1, "x")), ("a", (1, None)), ("b", (None, "x"))],
        [("-", (1, None))],
        [("-", (None, "x"))],
    )


async def test_cogroup_collects_the_values_of_both_sides() -> None:
    found = await Two(lambda ones, letters: ones.cogroup(letters)).run(("a a b", "a a b"), ("a -", "b -"), ("", ""))
    assert found == rows(
        [("a", ([1, 1], ["x", "x"])), ("b", ([1], ["x"]))],
        [("a", ([1], [])), ("b", ([], ["x"])), ("-", ([1], ["x"]))],
        [],
    )


def keyed(pairs: Stream[tuple[str, Any]]) -> KeyedStream[str, Any]:
    return pairs.key_by(lambda pair: pair[0]).map_values(lambda pair: pair[1])


def test_a_join_gives_every_pair_of_values_of_a_key() -> None:
    pairs = [("k", 1), ("k", 2), ("l", 3)]
    joined = run(pairs, lambda s: keyed(s).join(keyed(s).map_values(str)))
    assert joined == [("k", (1, "1")), ("k", (1, "2")), ("k", (2, "1")), ("k", (2, "2")), ("l", (3, "3"))]


def test_a_value_of_none_is_a_value() -> None:
    pairs = [("k", None)]
    assert run(pairs, lambda s: keyed(s).group_by_key()) == [("k", [None])]
    assert run(pairs, lambda s: keyed(s).join(keyed(s))) == [("k", (None, None))]


def test_per_batch_operators_give_a_result_for_each_batch() -> None:
    batches = [["a", "a", "b"], ["", ""], [], ["b"]]
    assert output(batches, lambda s: s.count()) == [[3], [2], [0], [1]]
    assert output(batches, lambda s: s.reduce(max)) == [["b"], [""], [], ["b"]]
    assert output(batches, lambda s: s.count_by_value()) == [[("a", 2), ("b", 1)], [("", 2)], [], [("b", 1)]]
    assert output(batches, lambda s: by_itself(s).group_by_key()) == [
        [("a", ["a", "a"]), ("b", ["b"])],
        [("", ["", ""])],
        [],
        [("b", ["b"])],
    ]
    assert output(batches, lambda s: by_itself(s).reduce_by_key(lambda a, b: a + b)) == [
        [("a", "aa"), ("b", "b")],
        [("", "")],
        [],
        [("b", "b")],
    ]
    assert output(batches, lambda s: s.transform(lambda batch: [len(batch), *reversed(batch)])) == [
        [3, "b", "a", "a"],
        [2, "", ""],
        [0],
        [1, "b"],
    ]
    assert output(batches, lambda s: s.map_partitions(lambda part: [len(list(part))])) == [[3], [2], [], [1]]


def test_combine_by_key_begins_with_create_and_goes_on_with_add() -> None:
    found = output(
        [[1, 2, 3, 5], [7]],
        lambda s: s.key_by(lambda n: n % 2).combine_by_key(
            lambda n: (n, 1), lambda acc, n: (acc[0] + n, acc[1] + 1), lambda a, b: (a[0] + b[0], a[1] + b[1])
        ),
    )
    assert found == [[(1, (9, 3)), (0, (2, 1))], [(1, (7, 1))]]


async def test_transform_may_do_what_it_likes_with_its_list() -> None:
    def empty(batch: list[int]) -> list[int]:
        taken = batch[:]
        batch.clear()
        return taken

    source, both = MemorySource([[1, 2]]), MemorySink[int]()
    app = App("shared", trigger=Asap())
    numbers = app.source(source)
    numbers.transform(empty).union(numbers).to(both)
    async with Driver(app):
        assert both.values == [1, 2, 1, 2]


def test_a_union_of_three_keeps_the_order_of_its_inputs() -> None:
    found = output(
        [[1, 2], [], [3]], lambda s: s.map(lambda n: n * 10).union(s, s.map(lambda n: -n), name="all").map(str)
    )
    assert found == [["10", "20", "1", "2", "-1", "-2"], [], ["30", "3", "-3"]]


def test_a_stream_can_be_merged_with_itself() -> None:
    assert run([1, 2], lambda s: s.union(s)) == [1, 2, 1, 2]


def test_each_element_goes_to_the_first_branch_that_takes_it() -> None:
    def build(number: int) -> list[int]:
        return run(
            [1, 6, 12, 15, 10],
            lambda s: s.branch(lambda n: n % 2 == 0, lambda n: n % 3 == 0, lambda n: n > 0)[number],
        )

    assert [build(number) for number in range(4)] == [[6, 12, 10], [15], [1], []]


def test_a_split_gives_its_outputs_by_name_and_the_rest() -> None:
    def merged(numbers: Stream[int]) -> Stream[str]:
        sides, rest = numbers.split({"small": lambda n: n < 3, "odd": lambda n: n % 2 == 1})
        assert list(sides) == ["small", "odd"]
        return (
            sides["odd"]
            .map(lambda n: f"odd {n}")
            .union(rest.map(lambda n: f"rest {n}"), sides["small"].map(lambda n: f"small {n}"))
        )

    assert run([1, 2, 3, 4], merged) == ["odd 3", "rest 4", "small 1", "small 2"]


def test_a_branch_of_a_keyed_stream_is_keyed() -> None:
    big, small = 0, 1

    def branches(numbers: Stream[int]) -> tuple[KeyedStream[int, int], ...]:
        return numbers.key_by(lambda n: n % 2).branch(lambda pair: pair[1] > 2)

    assert run([1, 2, 3, 4], lambda s: branches(s)[big].reduce_by_key(max)) == [(1, 3), (0, 4)]
    assert run([1, 2, 3, 4], lambda s: branches(s)[small].reduce_by_key(max)) == [(1, 1), (0, 2)]


def test_peek_sees_every_element_and_changes_nothing() -> None:
    seen: list[Any] = []
    found = output([[1, 2], [], [3]], lambda s: s.peek(seen.append).filter(lambda n: n > 1))
    assert (found, seen) == ([[2], [], [3]], [1, 2, 3])
    with pytest.raises(OperatorError, match="operator 'peek-1'"):
        run([0], lambda s: s.peek(lambda n: 1 // n))


def test_repartition_keeps_everything() -> None:
    assert output([[1, 2], [], [3]], lambda s: s.repartition().map(str)) == [["1", "2"], [], ["3"]]


async def test_results_of_a_whole_batch_are_in_batch_time_also_behind_event_time() -> None:
    # One sum of a batch's records has no event time of its own: windows behind follow the clock, and lose nothing.
    source, sink = MemorySource[int](), MemorySink[tuple[str, WindowResult[int]]]()
    app = App("mixed", trigger=Asap())
    sums = app.source(source).event_time(lambda time: time).key_by(lambda _time: "k").reduce_by_key(max)
    sums.window(Tumbling("1m")).aggregate(count(), name="minutes").to(sink)
    async with Driver(app) as driver:
        for time in (10**12, 5, 2 * 10**12):
            source.send([time])
            await driver.settle()
        await driver.advance("1m")
        assert sink.values == [("k", WindowResult(0, 60_000, 3))]
        assert driver.metrics.operators["minutes"].late == 0


def test_results_of_a_whole_batch_behind_event_time_windows_are_those_of_each_window() -> None:
    times = [("a", 1), ("a", 4), ("b", 12), ("a", 25), ("a", 26)]
    found = run(
        times,
        lambda s: (
            s.event_time(lambda pair: pair[1])
            .key_by(lambda pair: pair[0])
            .map_values(lambda pair: pair[1])
            .window("10ms", "10ms")
            .group_by_key()
        ),
    )
    assert found == [("a", [1, 4]), ("b", [12]), ("a", [25, 26])]
