"""A crash at any step with windows of every kind in flight, and a restart: the output is that of a run without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamproc import (
    AfterCount,
    AfterDelay,
    App,
    AtWatermark,
    Count,
    Interval,
    KeyedStream,
    LookBack,
    Session,
    Sliding,
    Tumbling,
    collect,
    count,
    max_of,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.engine.protocol import STEPS
from streamproc.state.memory import MemoryStore
from streamproc.state.store import Family
from streamproc.testing import CrashPoint, Driver
from tests.survivor import Survivor

Click = tuple[str, int]
Build = Callable[[KeyedStream[str, int]], Any]

TICKS: list[list[Click]] = [
    [("a", 1), ("b", 3), ("a", 8)],
    [("a", 14), ("b", 5)],
    [],
    [("a", 2), ("b", 31), ("b", 24)],
    [("a", 33), ("a", 27), ("b", 9)],
    [],
    [("b", 60), ("a", 58)],
]
"""Some of it early, some in time, some late, some too late; and batches without records."""


def tumbling(clicks: KeyedStream[str, int]) -> Any:
    return clicks.window(Tumbling("10ms"), allowed_lateness="20ms").aggregate(collect())


def sliding_with_an_inverse(clicks: KeyedStream[str, int]) -> Any:
    return clicks.window(Sliding("20ms", every="5ms")).aggregate(count())


def sliding_without_one(clicks: KeyedStream[str, int]) -> Any:
    return clicks.window(Sliding("20ms", every="5ms"), allowed_lateness="10ms").aggregate(max_of(lambda time: time))


def sessions(clicks: KeyedStream[str, int]) -> Any:
    return clicks.window(Session("8ms"), allowed_lateness="15ms", panes="retracting").aggregate(collect())


def early_results(clicks: KeyedStream[str, int]) -> Any:
    trigger = AtWatermark(early=AfterDelay("700ms"), late=AfterCount(2))
    options: Any = {"allowed_lateness": "30ms", "panes": "discarding", "result_time": "earliest"}
    return clicks.window(Tumbling("20ms"), trigger=trigger, **options).aggregate(collect())


def looking_back(clicks: KeyedStream[str, int]) -> Any:
    return clicks.window(LookBack("12ms"), allowed_lateness="5ms").aggregate(collect())


def counted(clicks: KeyedStream[str, int]) -> Any:
    return clicks.window(Count(3, every=2)).aggregate(collect())


class Pipeline:
    """A pipeline on fresh sources, with its sink, and one for what is late."""

    def __init__(self, build: Build) -> None:
        self.source = MemorySource[Click](partitions=2)
        self.results, self.late = MemorySink[Any](), MemorySink[Any]()
        app = App("crash", trigger=Interval("500ms"))
        clicks = app.source(self.source).event_time(lambda click: click[1], out_of_orderness="4ms", alignment="30ms")
        windows = build(clicks.key_by(lambda click: click[0]).map_values(lambda click: click[1]))
        windows.to(self.results)
        windows.late().to(self.late)
        self.driver = Driver(app)

    @property
    def output(self) -> tuple[list[str], list[str]]:
        """What came out, in order, as text."""
        return list(map(repr, self.results.values)), list(map(repr, self.late.values))

    async def run(self, crash: CrashPoint | None = None) -> int:
        """Run all ticks, restart after each crash, and return how many there were."""
        survivor = Survivor(self.driver, crash)
        await survivor.start()
        for clicks in TICKS:
            for partition in (0, 1):
                self.source.send(clicks[partition::2], partition=partition)
            await survivor.tick()
        self.source.close()
        await survivor.finish()
        return survivor.crashes

    def left_in_state(self) -> list[bytes]:
        """Return the keys of what operators have left, but for how far they have come."""
        self.driver.disk.crash()
        store = MemoryStore.open(self.driver.disk)
        try:
            keys = [key for family in (Family.STATE, Family.TIMERS) for key, _ in store.scan(family)]
        finally:
            store.close()
        progress = (b"through", b"watermark", b"newest")
        return [key for key in keys if not any(word in key for word in progress)]


@pytest.mark.parametrize(
    "build",
    [
        tumbling,
        sliding_with_an_inverse,
        sliding_without_one,
        sessions,
        early_results,
        looking_back,
        counted,
    ],
)
async def test_a_crash_anywhere_changes_nothing_in_the_output(build: Build) -> None:
    undisturbed = Pipeline(build)
    assert await undisturbed.run() == 0
    results, late = undisturbed.output
    assert len(results) > 4
    assert undisturbed.left_in_state() == [], "all windows are closed"
    points = undisturbed.driver.steps.reached
    assert {point.step for point in points} >= set(STEPS)
    for point in points:
        disturbed = Pipeline(build)
        assert await disturbed.run(point) == 1, point
        assert disturbed.output == (results, late), point
        assert disturbed.left_in_state() == [], point
