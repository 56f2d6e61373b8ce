"""A crash at any step, and a restart: what operators with timers and expiring state give is that of a run without one.

As in `tests.engine.test_crashes`: for each operator, and each time that any step is reached in an undisturbed run, a
run that crashes there. What is left on the disk at the end is the same too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from streamproc import App, Interval, KeyedProcess, KeyedStream, List, Map, Output, ProcessContext, Timer, Value, count
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.engine.protocol import STEPS
from streamproc.state import Family
from streamproc.testing import CrashPoint, Driver
from tests.streams.timed import Event
from tests.survivor import Survivor

Keyed = KeyedStream[str, int]

EVENTS = [
    [Event("a", 1_000, 1), Event("b", 1_200, 1), Event("a", 900, 2)],
    [Event("a", 1_400, 1)],
    [],
    [Event("b", 2_100, 2), Event("a", 1_700, 3), Event("c", 2_500, 1)],
    [Event("c", 3_900, 1), Event("a", 3_600, 1)],
    [],
]
TICKS = 9


class Pipeline:
    """An operator on fresh sources and sinks, with a batch each second."""

    def __init__(self, build: Callable[[Keyed], Iterable[KeyedStream[Any, Any]]]) -> None:
        self.source = MemorySource(EVENTS)
        self.sinks: list[MemorySink[Any]] = []
        app = App("crash", trigger=Interval("1s"))
        # What has been silent for how long is forgotten in a crash: so no partition gets idle.
        events = app.source(self.source).event_time(lambda event: event.time, out_of_orderness="300ms", idle_after=None)
        for stream in build(events.key_by(lambda event: event.key).map_values(lambda event: event.value)):
            self.sinks.append(MemorySink[Any]())
            stream.to(self.sinks[-1])
        self.driver = Driver(app)

    async def run(self, crash: CrashPoint | None = None) -> int:
        """Run all batches and the end of the input, restart after each crash, and return how many there were."""
        survivor = Survivor(self.driver, crash)
        await survivor.start()
        while self.driver.clock.now() < TICKS * 1_000:
            await survivor.tick()
        self.source.close()
        await survivor.finish()
        return survivor.crashes

    def left(self) -> dict[bytes, bytes]:
        """Return all state and timers on the disk, but not how far the watermark got: nothing waits for that."""
        rows = self.driver.disk.rows
        return {
            key: value
            for family in (Family.STATE, Family.TIMERS)
            for key, value in rows[family].values.items()
            if b"event-time" not in key and b"watermark" not in key
        }


class Everything(KeyedProcess[str, int, str]):
    """Timers of both kinds, expiring variables of all kinds, a side output."""

    seen = Value(int, default=0, ttl="600ms", ttl_by="event")
    items = List(int, ttl="2s")
    table = Map(int, int, ttl="700ms", ttl_by="event", renew="read")
    aside = Output(str)

    def process(self, context: ProcessContext[str], value: int) -> Iterable[str]:
        seen = context.value(self.seen)
        seen.set(seen.get() + 1)
        context.list(self.items).append(value)
        table = context.map(self.table)
        table.put(value, (table.get(value) or 0) + 1)
        context.set_event_timer(context.timestamp + 500, f"event {value}")
        context.set_timer(context.time + 1_500, f"clock {value}")
        if value == 2:
            context.clear_event_timer(1_500, "event 1")
        context.output(self.aside, f"{context.timestamp}: {seen.get()} {dict(table.items())}")
        yield self.shown(context)

    def on_timer(self, context: ProcessContext[str], timer: Timer) -> Iterable[str]:
        if timer.name == "event 1":
            context.set_event_timer(timer.time + 250, "again")
        yield f"{timer.name} {timer.time} {self.shown(context)}"

    def shown(self, context: ProcessContext[str]) -> str:
        seen, items, table = context.value(self.seen), context.list(self.items), context.map(self.table)
        return f"{seen.get()} {list(items)} {dict(table.items())}"


def everything(keyed: Keyed) -> Iterable[KeyedStream[Any, Any]]:
    results = keyed.process(Everything(), name="own")
    return results, results.output(Everything.aside)


def deduplicate(keyed: Keyed) -> Iterable[KeyedStream[Any, Any]]:
    return [keyed.deduplicate(by=lambda pair: pair[0], within="500ms")]


def lists(keyed: Keyed) -> Iterable[KeyedStream[Any, Any]]:
    return [keyed.batch(2, within="2s")]


def rate_limit(keyed: Keyed) -> Iterable[KeyedStream[Any, Any]]:
    limited = keyed.rate_limit(1, per="2s")
    return limited, limited.excess()


def running(keyed: Keyed) -> Iterable[KeyedStream[Any, Any]]:
    return [keyed.running(count())]


def top_k(keyed: Keyed) -> Iterable[KeyedStream[Any, Any]]:
    return [keyed.top_k(2, by=lambda pair: pair[1]).key_by(lambda _: "top")]


@pytest.mark.parametrize("build", [everything, deduplicate, lists, rate_limit, running, top_k])
async def test_a_crash_anywhere_changes_nothing_in_the_output_nor_in_what_is_left(
    build: Callable[[Keyed], Iterable[KeyedStream[Any, Any]]],
) -> None:
    undisturbed = Pipeline(build)
    assert await undisturbed.run() == 0
    expected = [sink.values for sink in undisturbed.sinks]
    assert all(expected)
    if build in {everything, deduplicate, lists, rate_limit}:
        assert not any(b"own" in key or b"-1" in key for key in undisturbed.left() if b"newest" not in key)
    points = undisturbed.driver.steps.reached
    assert {point.step for point in points} >= set(STEPS)

    for point in points:
        disturbed = Pipeline(build)
        assert await disturbed.run(point) == 1, point
        assert [sink.values for sink in disturbed.sinks] == expected, point
        assert disturbed.left() == undisturbed.left(), point
