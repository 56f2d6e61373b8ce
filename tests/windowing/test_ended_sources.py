"""A source that has ended holds nobody up: neither the windows of others, nor the event loop."""

from __future__ import annotations

import pytest

from streamproc import App, Asap, Interval, Tumbling, count
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
