"""What time results have, and that windows behind windows get them in time, whatever it is."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc import (
    AfterCount,
    App,
    Asap,
    AtWatermark,
    Global,
    LookBack,
    OnClose,
    Repeated,
    Session,
    Sliding,
    Tumbling,
    WindowResult,
    count,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from streamproc.windowing import WindowAssigner
from tests.windowing.timestamps import WithTimestamp

Timed = tuple[int, WindowResult[int]]


async def results_of(
    assigner: WindowAssigner, times: list[list[int]], *, bound: str = "100ms", **options: Any
) -> list[Timed]:
    """Return the results of windows with their timestamps."""
    source, sink = MemorySource[int](times), MemorySink[tuple[int, Timed]]()
    source.close()
    app = App("times", trigger=Asap())
    timed = app.source(source).event_time(lambda time: time, out_of_orderness=bound)
    windows = timed.window(assigner, **options).aggregate(count())
    windows.key_by(lambda _: 0).process(WithTimestamp[WindowResult[int]]()).to(sink)
    driver = Driver(app)
    await driver.start()
    await driver.finish()
    return [result for _, result in sink.values]


@pytest.mark.parametrize(("result_time", "expected"), [("end", [9, 29]), ("earliest", [3, 21]), ("latest", [8, 25])])
async def test_results_have_the_time_that_is_asked_for(result_time: str, expected: list[int]) -> None:
    for emit in ("final", None):
        options: dict[str, Any] = {"result_time": result_time} | ({"emit": emit} if emit else {})
        results = await results_of(Tumbling("10ms"), [[5, 3, 8], [25, 21]], **options)
        assert [time for time, _ in results] == expected


async def test_the_global_window_has_no_end_so_its_results_have_the_latest_time() -> None:
    results = await results_of(Global(), [[5, 3], [8, 7]], trigger=Repeated(AfterCount(2)))
    assert [(time, result.value) for time, result in results] == [(5, 2), (8, 4)]


@pytest.mark.parametrize("batches", [[[91, 100]], [[91], [100]], [[100], [91]]])
async def test_a_window_that_looks_back_has_the_time_of_its_records_in_whatever_batches_they_come(
    batches: list[list[int]],
) -> None:
    earliest = await results_of(LookBack("20ms"), batches, bound="10ms", result_time="earliest")
    assert [(time, result.end, result.value) for time, result in earliest] == [(91, 92, 1), (91, 101, 2)]
    latest = await results_of(LookBack("20ms"), batches, bound="10ms", result_time="latest")
    assert [(time, result.end, result.value) for time, result in latest] == [(91, 92, 1), (100, 101, 2)]


@pytest.mark.parametrize("assigner", [Tumbling("7ms"), Sliding("9ms", every="4ms"), Session("4ms"), LookBack("6ms")])
@settings(max_examples=150, deadline=None)
@given(
    events=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)), min_size=1, max_size=20),
    borders=st.sets(st.integers(1, 20)),
    result_time=st.sampled_from(["end", "earliest", "latest"]),
    options=st.sampled_from([{}, {"emit": "final", "allowed_lateness": "5ms"}]),
)
def test_how_the_input_is_cut_into_batches_does_not_change_the_time_of_results(
    assigner: WindowAssigner,
    events: list[tuple[int, int]],
    borders: set[int],
    result_time: Any,
    options: dict[str, Any],
) -> None:
    # In the order in which they come, none is further behind than the bound.
    arrived = [time for time, _ in sorted(events, key=sum)]
    cuts = [0, *sorted(border for border in borders if border < len(arrived)), len(arrived)]
    pieces = [arrived[start:end] for start, end in pairwise(cuts)]

    async def timed(batches: list[list[int]]) -> list[Timed]:
        found = await results_of(assigner, batches, bound="8ms", result_time=result_time, **options)
        return sorted(found, key=lambda result: (result[1].start, result[1].end))

    assert asyncio.run(timed(pieces)) == asyncio.run(timed([arrived]))


@settings(max_examples=300, deadline=None)
@given(
    batches=st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=5), min_size=1, max_size=8),
    bound=st.sampled_from([0, 10, 60]),
    inner=st.sampled_from([Tumbling("7ms"), Session("4ms")]),
    options=st.one_of(
        st.fixed_dictionaries(
            {
                "trigger": st.sampled_from([AtWatermark(), AtWatermark(early=AfterCount(2))]),
                "result_time": st.sampled_from(["earliest", "latest"]),
            }
        ),
        st.fixed_dictionaries(
            {
                "trigger": st.sampled_from([OnClose(), Repeated(AfterCount(2))]),
                "result_time": st.sampled_from(["end", "earliest", "latest"]),
                "allowed_lateness": st.just("15ms"),
            }
        ),
    ),
    panes=st.sampled_from(["accumulating", "discarding", "retracting"]),
    restart_after=st.integers(0, 8),
)
def test_no_result_is_late_for_the_window_behind(
    batches: list[list[int]],
    bound: int,
    inner: WindowAssigner,
    options: dict[str, Any],
    panes: Any,
    restart_after: int,
) -> None:
    source, inside, outside = MemorySource[int](), MemorySink[Any](), MemorySink[WindowResult[int]]()
    app = App("behind", trigger=Asap())
    timed = app.source(source).event_time(lambda time: time, out_of_orderness=f"{bound}ms", idle_after=None)
    results = timed.window(inner, panes=panes, **options).aggregate(count())
    results.key_by(lambda _: 0).process(WithTimestamp[WindowResult[int]]()).to(inside)
    behind = results.map(lambda result: result.value).window(Tumbling("2ms")).reduce(lambda a, b: a + b, name="outer")
    behind.to(outside)
    late = 0

    async def drive() -> None:
        nonlocal late
        driver = Driver(app)
        await driver.start()
        for number, batch in enumerate(batches, start=1):
            source.send(batch)
            await driver.settle()
            if number == restart_after:
                late += driver.metrics.operators["outer"].late
                await driver.stop()
                await driver.restart()
        source.close()
        await driver.finish()
        late += driver.metrics.operators["outer"].late

    asyncio.run(drive())
    expected: Counter[int] = Counter()
    for _, (time, result) in inside.values:
        expected[time - time % 2] += result.value
    assert {result.start: result.value for result in outside.values} == dict(expected)
    assert late == 0


@pytest.mark.parametrize(
    ("panes", "expected"), [("discarding", [1, 5, 12]), ("accumulating", [1, 2, 12]), ("retracting", [1, 2, 2, 12])]
)
async def test_a_further_result_of_earliest_time_is_not_late_for_the_window_behind(
    panes: Any, expected: list[int]
) -> None:
    source, inside = MemorySource[int](), MemorySink[tuple[int, Timed]]()
    app = App("behind", trigger=Asap())
    timed = app.source(source).event_time(lambda time: time, idle_after=None)
    early = AtWatermark(early=AfterCount(2))
    results = timed.window(Tumbling("10ms"), trigger=early, result_time="earliest", panes=panes).aggregate(count())
    results.key_by(lambda _: 0).process(WithTimestamp[WindowResult[int]]()).to(inside)
    results.window(Tumbling("2ms")).aggregate(count(), name="outer").to(MemorySink())
    driver = Driver(app)
    async with driver:
        for batch in ([1, 2], [5], [12], [30]):
            source.send(batch)
            await driver.settle()
        assert [time for _, (time, _) in inside.values] == expected
        assert driver.metrics.operators["outer"].late == 0


async def test_a_window_behind_one_that_holds_its_watermark_waits_without_turning_in_circles() -> None:
    source, sink = MemorySource[int](), MemorySink[WindowResult[int]]()
    app = App("behind", trigger=Asap())
    timed = app.source(source).event_time(lambda time: time, idle_after="1m")
    early = AtWatermark(early=AfterCount(2))
    results = timed.window(Tumbling("1h"), trigger=early, result_time="earliest", panes="discarding").aggregate(count())
    results.window(Tumbling("10m")).aggregate(count()).to(sink)
    async with asyncio.timeout(10), Driver(app) as driver:
        for batch in ([60_000, 61_000], [120_000]):
            source.send(batch)
            await driver.settle()
        await driver.advance("30m")
        assert sink.values == []
        await driver.advance("30m")
        assert sink.values == [WindowResult(0, 600_000, 2)]


async def test_final_results_are_in_time_for_the_window_behind() -> None:
    source, sink = MemorySource[int](), MemorySink[WindowResult[int]]()
    app = App("behind", trigger=Asap())
    timed = app.source(source).event_time(lambda time: time, idle_after="1m")
    bills = timed.window(Tumbling("10s"), emit="final", allowed_lateness="1h").aggregate(count())
    behind = bills.map(lambda bill: bill.value).window(Tumbling("1m")).reduce(lambda a, b: a + b, name="behind")
    behind.to(sink)
    driver = Driver(app)
    async with asyncio.timeout(10), driver:
        for seconds in (1, 2, 25, 3_700):
            source.send([seconds * 1_000])
            await driver.settle()
        # One that is late for the first window's end, but not for its bill.
        source.send([120_000])
        await driver.settle()
        assert sink.values == [WindowResult(0, 60_000, 3)]
        await driver.advance("2m")
        assert sink.values[1:] == [WindowResult(120_000, 180_000, 1)]
        assert driver.metrics.operators["behind"].late == 0
