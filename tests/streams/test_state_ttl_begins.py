"""State with a time to live by event time, where event time has not begun."""

from __future__ import annotations

from collections.abc import Iterable

from streamproc import App, Asap, KeyedProcess, ProcessContext, Timer, Value
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from tests.streams.timed import Event


async def test_the_last_use_counts_also_of_what_was_written_when_event_time_had_not_begun() -> None:
    class Soon(KeyedProcess[str, str, str]):
        number = Value(int, default=0, ttl="100ms", ttl_by="event")

        def process(self, context: ProcessContext[str], value: str) -> Iterable[str]:
            if value == "by a timer":
                context.set_timer(context.time)
            elif value:
                context.value(self.number).set(2)
            return ()

        def on_timer(self, context: ProcessContext[str], timer: Timer) -> Iterable[str]:
            context.value(self.number).set(1)
            return ()

    source, silent, sink = MemorySource[Event](), MemorySource[Event](), MemorySink[tuple[str, str]]()
    app = App("soon", trigger=Asap())
    events = app.source(source).union(app.source(silent)).event_time(lambda event: event.time, idle_after=None)
    events.key_by(lambda event: event.key).map_values(lambda event: event.value).process(Soon(), name="own").to(sink)
    async with Driver(app) as driver:
        for event in (Event("a", 1_000, "by a timer"), Event("a", 5_000, "by a record")):
            source.send([event])
            await driver.settle()
        # The other source holds the watermark at 1,000, which is when event time begins.
        silent.send([Event("b", 1_000, "")])
        await driver.settle()
        for time in (4_950, 5_000):
            silent.send([Event("b", time, "")])
            await driver.settle()
        assert driver.state("own", "number") == {"a": [2, 5_100, 5_100]}
