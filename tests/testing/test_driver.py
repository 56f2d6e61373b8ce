"""`Driver`: what it does that the tests of operators don't show."""

from __future__ import annotations

from streamproc import App, Interval, Settings
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver


async def test_an_app_finishes_after_as_many_intervals_as_its_input_takes() -> None:
    source, sink = MemorySource([[1, 2, 3, 4, 5]]), MemorySink[int]()
    source.close()
    app = App("numbers", trigger=Interval("10s"), settings=Settings(max_records=2))
    app.source(source).count().to(sink)
    driver = Driver(app)
    await driver.start()
    await driver.finish()
    assert not driver.running
    assert sink.values == [2, 2, 1]
    # A batch that is full is followed at once by the next one.
    assert driver.clock.now() == 10_000
