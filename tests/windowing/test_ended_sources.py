"""A source that has ended holds nobody up: neither the windows of others, nor the event loop."""

from __future__ import annotations

import pytest

from streamproc import App, Asap, Interval, Tumbling, WindowResult, count
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from streamproc.triggers import Trigger


@pytest.mark.parametrize("trigger", [Interval("1s"), Asap()], ids=str)
@pytest.mark.parametrize("silent", [[], [9]], ids=["gave nothing", "gave something"])
async def test_windows_close_when_one_source_has_ended_and_the_other_is_idle(
    trigger: Trigger, silent: list[int]
) -> None:
    goes_on, ends, sink = MemorySource[int](), MemorySource[int](), MemorySink[tuple[int, int]]()
    app = App("ended", trigger=trigger)
    both = app.source(goes_on).union(app.source(ends)).event_time(lambda time: time, idle_after="10s")
    windows = both.window(Tumbling("10ms")).aggregate(count())
    windows.map(lambda result: (result.start, result.value)).to(sink)
    driver = Driver(app)
    await driver.start()
    goes_on.send(silent)
    ends.send([8, 27])
    await driver.advance("5s")
    # It was quiet for a while before it ends.
    ends.close()
    await driver.advance("60s")
    assert sink.values == [(0, 1 + len(silent)), (20, 1)]
    await driver.stop()


async def test_the_end_of_a_source_is_the_end_of_time_also_behind_what_mixes_partitions() -> None:
    ends, sink = MemorySource([[1, 2, 3]]), MemorySink[WindowResult[int]]()
    ends.close()
    app = App("mixed", trigger=Interval("1s"))
    mixed = app.source(ends).transform(list).event_time(lambda time: time, idle_after=None)
    mixed.window(Tumbling("10ms")).aggregate(count()).to(sink)
    app.source(MemorySource[int]()).to(MemorySink())
    async with Driver(app) as driver:
        await driver.tick(3)
        assert sink.values == [WindowResult(0, 10, 3)]


async def test_a_source_that_ends_without_a_record_holds_no_union_back() -> None:
    empty, goes_on, sink = MemorySource[int](), MemorySource[int](), MemorySink[WindowResult[int]]()
    empty.close()
    app = App("union", trigger=Interval("1s"))
    one, other = (app.source(source).event_time(lambda time: time) for source in (empty, goes_on))
    one.union(other).window(Tumbling("10ms")).aggregate(count()).to(sink)
    async with Driver(app) as driver:
        goes_on.send([1, 2])
        await driver.tick()
        goes_on.send([25])
        await driver.tick(2)
        assert sink.values == [WindowResult(0, 10, 2)]
