"""Windows of so many records: the last ``n`` of each key, at every so many of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamproc import (
    Aggregate,
    App,
    Asap,
    Count,
    Interval,
    OperatorError,
    Stream,
    Tumbling,
    WindowResult,
    WindowResults,
    collect,
    count,
    mean_of,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver, run
from tests.windowing.ticks import output


def values(results: Sequence[WindowResult[Any]]) -> list[Any]:
    return [result.value for result in results]


@pytest.mark.parametrize(
    ("assigner", "records", "windows"),
    [
        (Count(3), "abcdefg", ["abc", "def", "g"]),
        (Count(3), "abc", ["abc"]),
        (Count(3), "ab", ["ab"]),
        (Count(1), "abc", ["a", "b", "c"]),
        # The first ones hold less, as with Flink; the last one holds what there is.
        (Count(4, every=2), "abcdefg", ["ab", "abcd", "cdef", "efg"]),
        (Count(3, every=1), "abcde", ["a", "ab", "abc", "bcd", "cde"]),
        (Count(4, every=1), "abcdef", ["a", "ab", "abc", "abcd", "bcde", "cdef"]),
        (Count(3, every=2), "abcdef", ["ab", "bcd", "def"]),
        (Count(5, every=3), "abcdefgh", ["abc", "bcdef", "efgh"]),
        (Count(6, every=4), "abcdefghi", ["abcd", "cdefgh", "ghi"]),
        (Count(2, every=2), "abcd", ["ab", "cd"]),
    ],
)
def test_a_window_is_the_last_records_at_every_so_many(assigner: Count, records: str, windows: list[str]) -> None:
    for batches in ([list(records)], [[record] for record in records]):
        results: list[WindowResult[list[str]]] = run(batches, lambda s: s.window(assigner).aggregate(collect()))
        assert ["".join(result) for result in values(results)] == windows


def test_each_key_has_windows_of_its_own() -> None:
    pairs = [[("a", 1), ("b", 2), ("a", 3), ("b", 4), ("b", 5), ("a", 6)], [("b", 7), ("c", 8)]]
    results: list[tuple[str, WindowResult[list[int]]]] = run(
        pairs,
        lambda s: s.key_by(lambda p: p[0]).map_values(lambda p: p[1]).window(Count(2)).aggregate(collect()),
    )
    found: dict[str, list[list[int]]] = defaultdict(list)
    for key, result in results:
        found[key].append(result.value)
    assert found == {"a": [[1, 3], [6]], "b": [[2, 4], [5, 7]], "c": [[8]]}


def test_records_count_as_they_come_and_the_result_says_of_what_time_they_are() -> None:
    results: list[WindowResult[list[int]]] = run(
        [[30, 10, 20], [5, 40]], lambda s: s.event_time(lambda t: t).window(Count(2)).aggregate(collect())
    )
    assert results == [
        WindowResult(10, 31, [30, 10]),
        WindowResult(5, 21, [20, 5]),
        WindowResult(40, 41, [40]),
    ]


def test_no_record_is_late_to_a_count() -> None:
    results: list[WindowResult[int]] = run(
        [[1_000], [1], [2]], lambda s: s.event_time(lambda t: t).window(Count(3)).aggregate(count())
    )
    assert results == [WindowResult(1, 1_001, 3)]


@pytest.mark.parametrize(
    ("batches", "of_old_records"),
    [
        ([[("b", 100), ("b", 101)], [("a", 5), ("a", 6)]], 2),
        ([[("a", 5)], [("b", 100), ("b", 101)], [("b", 200), ("b", 201)]], 1),
    ],
    ids=["of records behind the watermark", "of the rest when the input ends"],
)
def test_no_result_is_late_for_a_window_behind(batches: list[list[tuple[str, int]]], of_old_records: int) -> None:
    def counts(pairs: Stream[Any]) -> WindowResults[Any, Any]:
        keyed = pairs.event_time(lambda pair: pair[1]).key_by(lambda pair: pair[0])
        pairs_counted = keyed.window(Count(2)).aggregate(count()).map(lambda of: (of[0], of[1].value))
        return pairs_counted.window(Tumbling("10ms")).aggregate(collect())

    results = run(batches, counts)
    assert ("a", of_old_records) in [pair for result in results for pair in result.value]


def test_windows_come_with_the_batch_that_fills_them() -> None:
    found = output(
        [["a"], ["b", "c", "d", "e"], [], ["f"]],
        lambda s: s.window(Count(2)).aggregate(collect()).map(lambda result: result.value),
    )
    assert found == [[], [["a", "b"], ["c", "d"]], [], [["e", "f"]]]


def test_in_batch_time_a_result_is_of_the_times_of_its_batches() -> None:
    found = output([["a"], ["b", "c"]], lambda s: s.window(Count(3)).aggregate(count()))
    assert found == [[], [WindowResult(999, 2_000, 3)]]


def by_definition(records: Sequence[Any], n: int, every: int) -> list[list[Any]]:
    full = range(every, len(records) + 1, every)
    found = [list(records[max(0, end - n) : end]) for end in full]
    given = full[-1] if full else 0
    return found + ([list(records[max(0, given - n + every) :])] if given < len(records) else [])


@settings(max_examples=150, deadline=None)
@given(
    batches=st.lists(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 50)), max_size=6), max_size=6),
    n=st.integers(1, 7),
    every=st.integers(1, 7),
    restart_after=st.integers(0, 6),
)
@example(batches=[[("a", 0), ("a", 0), ("a", 0)]], n=4, every=1, restart_after=0)
def test_windows_give_what_they_give_by_definition(
    batches: list[list[tuple[str, int]]], n: int, every: int, restart_after: int
) -> None:
    assigner = Count(n, every=min(n, every))
    source, lists, means = MemorySource[tuple[str, int]](), MemorySink[Any](), MemorySink[Any]()
    app = App("counts", trigger=Interval("1s"))
    timed = app.source(source).event_time(lambda pair: pair[1], idle_after=None)
    keyed = timed.key_by(lambda pair: pair[0]).map_values(lambda pair: pair[1])
    keyed.window(assigner).aggregate(collect()).to(lists)
    keyed.window(assigner).aggregate(mean_of(float)).to(means)

    async def drive() -> None:
        driver = Driver(app)
        await driver.start()
        for number, batch in enumerate(batches, start=1):
            if batch:
                source.send(batch)
            await driver.tick()
            if number == restart_after:
                await driver.stop()
                await driver.restart()
        source.close()
        await driver.tick()
        await driver.finish()
        assert driver.state("window-1", "last") == {}

    asyncio.run(drive())
    came = [pair for batch in batches for pair in batch]
    for key in "ab":
        records = [time for of, time in came if of == key]
        expected = by_definition(records, n, assigner.every)
        results = [result for of, result in lists.values if of == key]
        assert values(results) == expected
        assert [(r.start, r.end) for r in results] == [(min(window), max(window) + 1) for window in expected]
        assert [r.value for of, r in means.values if of == key] == pytest.approx([sum(w) / len(w) for w in expected])


@pytest.mark.parametrize("crash_at", ["after_process", "after_commit", "after_publish"])
async def test_a_crash_loses_no_record_and_counts_none_twice(crash_at: str) -> None:
    source, sink = MemorySource[str](), MemorySink[WindowResult[list[str]]]()
    app = App("counts", trigger=Asap())
    app.source(source).window(Count(4, every=2)).aggregate(collect()).to(sink)
    driver = Driver(app)
    await driver.start()
    source.send("abc")
    await driver.settle()
    driver.crash_at(crash_at)
    source.send("de")
    await driver.settle()
    assert driver.crashed
    await driver.restart()
    source.send("f")
    await driver.settle()
    await driver.stop()
    assert ["".join(result) for result in values(sink.values)] == ["ab", "abcd", "cdef"]


def half(value: int) -> int:
    if value % 2:
        raise ValueError("odd")
    return value // 2


def halves() -> Aggregate[int, list[int], list[int]]:
    return Aggregate("halves", lambda v: [half(v)], lambda a, v: [*a, half(v)], lambda a, b: a + b)


def test_a_record_that_fails_does_not_count() -> None:
    results: list[WindowResult[list[int]]] = run(
        [[2, 3, 4, 5], [6, 8]], lambda s: s.window(Count(2)).aggregate(halves(), on_error="skip")
    )
    assert values(results) == [[1, 2], [3, 4]]
    with pytest.raises(OperatorError, match="ValueError: odd"):
        run([2, 3], lambda s: s.window(Count(2)).aggregate(halves()))
