"""What time results have, and that windows behind windows get them in time, whatever it is."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc import AfterCount, App, Asap, AtWatermark, Global, Repeated, Session, Tumbling, WindowResult, count
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from streamproc.windowing import WindowAssigner, WindowTrigger
from tests.windowing.timestamps import WithTimestamp

Timed = tuple[int, WindowResult[int]]


async def results_of(assigner: WindowAssigner, times: list[list[int]], **options: Any) -> list[Timed]:
    """Return the results of windows with their timestamps."""
    source, sink = MemorySource[int](times), MemorySink[tuple[int, Timed]]()
    source.close()
    app = App("times", trigger=Asap())
    timed = app.source(source).event_time(lambda time: time, out_of_orderness="100ms")
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


@settings(max_examples=300, deadline=None)
@given(
    batches=st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=5), min_size=1, max_size=8),
    bound=st.sampled_from([0, 10, 60]),
    inner=st.sampled_from([Tumbling("7ms"), Session("4ms")]),
    trigger=st.sampled_from([AtWatermark(), AtWatermark(early=AfterCount(2))]),
    result_time=st.sampled_from(["earliest", "latest"]),
    panes=st.sampled_from(["accumulating", "discarding", "retracting"]),
    restart_after=st.integers(0, 8),
)
def test_no_result_is_late_for_the_window_behind(
    batches: list[list[int]],
    bound: int,
    inner: WindowAssigner,
    trigger: WindowTrigger,
    result_time: Any,
    panes: Any,
    restart_after: int,
) -> None:
    source, inside, outside = MemorySource[int](), MemorySink[Any](), MemorySink[WindowResult[int]]()
    app = App("behind", trigger=Asap())
    timed = app.source(source).event_time(lambda time: time, out_of_orderness=f"{bound}ms", idle_after=None)
    results = timed.window(inner, trigger=trigger, result_time=result_time, panes=panes).aggregate(count())
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
