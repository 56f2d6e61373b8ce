"""The times that a source gives with its records: taken when they are asked for, and only then."""

from __future__ import annotations

import pytest

from streamproc import App, Asap, Interval, PipelineError, Tumbling, WindowResult, count
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver

SECOND = 1_000


async def test_event_time_without_a_function_takes_the_times_of_the_source() -> None:
    source, sink = MemorySource[str](), MemorySink[WindowResult[int]]()
    source.send(["a", "b", "c"], timestamps=[100 * SECOND, 101 * SECOND, 112 * SECOND])
    source.close()
    app = App("times", trigger=Asap())
    app.source(source).filter(lambda letter: letter != "b").event_time().window(Tumbling("10s")).aggregate(count()).to(
        sink
    )
    driver = Driver(app)
    await driver.start()
    await driver.finish()
    assert [(result.start, result.value) for result in sink.values] == [(100 * SECOND, 1), (110 * SECOND, 1)]


async def test_else_records_have_the_time_of_their_batch() -> None:
    source, sink = MemorySource[str](), MemorySink[WindowResult[int]]()
    source.send(["a", "b"], timestamps=[7, 8_000_000])
    app = App("times", trigger=Interval("1s"))
    app.source(source).window(Tumbling("1s")).aggregate(count()).to(sink)
    async with Driver(app) as driver:
        await driver.tick(3)
    assert sink.values == [WindowResult(0, SECOND, 2)]


async def test_a_source_without_times_is_refused() -> None:
    app = App("times", trigger=Asap())
    app.source(MemorySource([["a"]])).event_time().window(Tumbling("1s")).aggregate(count()).print()
    with pytest.raises(
        PipelineError, match="event_time-1: event_time\\(\\) without a function takes the times of the source"
    ):
        await Driver(app).start()
