"""Event time: what the watermark closes, what is late, and what a restart, a union or a trigger changes about it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from streamproc import (
    Aggregate,
    App,
    Asap,
    Interval,
    Once,
    OperatorError,
    Sliding,
    Tumbling,
    WindowResult,
    collect,
    count,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver, run
from streamproc.triggers import Trigger


class Events:
    """An app that counts times in windows of ten milliseconds."""

    def __init__(self, *, bound: str = "0ms", trigger: Trigger | None = None) -> None:
        self.source = MemorySource[int]()
        self.sink = MemorySink[WindowResult[int]]()
        self.app = App("events", trigger=trigger or Asap())
        times = self.app.source(self.source).event_time(lambda time: time, out_of_orderness=bound, name="times")
        times.window(Tumbling("10ms")).aggregate(count(), name="tens").to(self.sink)
        self.driver = Driver(self.app)

    async def send(self, *times: int) -> None:
        self.source.send(times)
        await self.driver.settle()

    @property
    def results(self) -> list[tuple[int, int]]:
        """Start and count of each window that came out."""
        return [(result.start, result.value) for result in self.sink.values]

    @property
    def late(self) -> int:
        return self.driver.metrics.operators["tens"].late


async def test_a_window_comes_out_when_the_watermark_is_at_its_end_and_not_before() -> None:
    events = Events(bound="5ms")
    async with events.driver:
        await events.send(3, 9, 14)
        assert events.results == []
        await events.send(15)
        assert events.results == [(0, 2)]


async def test_a_record_behind_the_watermark_counts_while_its_window_is_open() -> None:
    events = Events()
    async with events.driver:
        await events.send(8)
        await events.send(2, 7)
        await events.send(10)
        assert (events.results, events.late) == ([(0, 3)], 0)


async def test_a_late_record_is_counted_and_never_in_a_result() -> None:
    events = Events()
    async with events.driver:
        await events.send(25)
        await events.send(9, 19, 21)
        await events.send(30, 5)
        assert events.results == [(20, 2)]
        assert events.late == 3


async def test_windows_close_only_behind_the_whole_batch() -> None:
    # The batch that brings the watermark also brings an older record: the order within a batch means nothing.
    events = Events()
    async with events.driver:
        await events.send(30, 5)
        assert (events.results, events.late) == ([(0, 1)], 0)


@pytest.mark.parametrize("crash_at", [None, "after_process", "after_commit", "after_publish"])
async def test_a_restart_in_the_middle_changes_nothing(crash_at: str | None) -> None:
    events = Events(bound="5ms")
    driver = events.driver
    await driver.start()
    await events.send(3, 9, 14)
    if crash_at is None:
        await driver.stop()
    else:
        driver.crash_at(crash_at)
        await events.send(17)
        assert driver.crashed
    await driver.restart()
    if crash_at is None:
        await events.send(17)
    await events.send(4)
    await events.send(40)
    await driver.stop()
    assert events.results == [(0, 2), (10, 2)]
    assert events.late == 1


async def test_the_watermark_does_not_go_back_in_a_restart_with_a_larger_bound() -> None:
    before = Events(bound="0ms")
    async with before.driver:
        await before.send(5, 20)
        assert before.results == [(0, 1)]
    after = Events(bound="1s")
    after.source.send([5, 20])
    after.driver = Driver(after.app, disk=before.driver.disk)
    async with after.driver:
        await after.send(9)
        await after.send(8)
        await after.send(3_000)
        assert after.late == 2, "a window that was given out took a record"
        assert after.results == [(20, 1)]


async def test_old_records_do_not_take_the_watermark_back() -> None:
    events = Events()
    async with events.driver:
        await events.send(20)
        await events.send(1)
        await events.send(11)
        assert (events.results, events.late) == ([], 2)
        assert events.driver.state("times", "watermark") == {None: 20}


async def test_once_leaves_windows_open_for_the_next_run() -> None:
    events = Events(trigger=Once())
    events.source.send([1, 2, 12])
    await events.driver.start()
    await events.driver.finish()
    assert events.results == [(0, 2)]
    events.source.send([13, 21])
    await events.driver.restart()
    await events.driver.finish()
    assert events.results == [(0, 2), (10, 2)]
    assert events.late == 0


async def test_the_end_of_all_bounded_sources_closes_all_windows() -> None:
    events = Events()
    await events.driver.start()
    await events.send(1, 12, 55)
    assert events.results == [(0, 1), (10, 1)]
    events.source.close()
    await events.driver.finish()
    assert events.results == [(0, 1), (10, 1), (50, 1)]


async def test_a_union_with_batch_time_waits_for_the_event_times() -> None:
    clicks, ticks = MemorySource[int](), MemorySource[int]()
    sink = MemorySink[WindowResult[list[int]]]()
    app = App("both", trigger=Interval("10ms"))
    timed = app.source(clicks).event_time(lambda time: time)
    timed.union(app.source(ticks)).window(Tumbling("10ms")).aggregate(collect()).to(sink)
    async with Driver(app) as driver:
        ticks.send([-1])
        clicks.send([3])
        await driver.tick()
        ticks.send([-2])
        await driver.tick(3)
        assert sink.values == [], "the event times are at 3 only, whatever the clock says"
        clicks.send([12])
        await driver.tick()
        assert sink.values == [WindowResult(0, 10, [3, -1])]
        clicks.send([1_000])
        await driver.tick()
        assert sink.values[1:] == [WindowResult(10, 20, [-2, 12])], "the trigger time is now the earlier one"


def test_a_sliding_window_gives_each_record_to_size_by_slide_windows() -> None:
    results = run([7, 21], lambda s: s.event_time(lambda t: t).window(Sliding("20ms", every="5ms")).aggregate(count()))
    assert Counter((result.start, result.value) for result in results) == Counter(
        {(start, 1): 1 for start in (-10, -5, 0, 20)} | {(5, 2): 1, (10, 1): 1, (15, 1): 1}
    )


def test_a_merge_that_works_in_place_changes_no_other_window() -> None:
    def add(seen: dict[str, int], time: int) -> dict[str, int]:
        return merge(seen, {str(time): 1})

    def merge(seen: dict[str, int], more: dict[str, int]) -> dict[str, int]:
        for time, number in more.items():
            seen[time] = seen.get(time, 0) + number
        return seen

    by_time = Aggregate[int, dict[str, int], dict[str, int]]("by_time", lambda time: {str(time): 1}, add, merge)
    results: list[WindowResult[dict[str, int]]] = run(
        [10, 11, 12], lambda s: s.event_time(lambda t: t).window(Sliding("3ms", every="1ms")).aggregate(by_time)
    )
    assert [sorted(result.value.items()) for result in results] == [
        [("10", 1)],
        [("10", 1), ("11", 1)],
        [("10", 1), ("11", 1), ("12", 1)],
        [("11", 1), ("12", 1)],
        [("12", 1)],
    ]


class Mixed:
    """Values that cannot be added across batches: a number, then a text."""

    @staticmethod
    def app(policy: Any) -> tuple[App, MemorySource[Any], MemorySink[Any]]:
        source, sink = MemorySource[Any](), MemorySink[Any]()
        app = App("mixed", trigger=Asap(), on_error=policy)
        timed = app.source(source).event_time(lambda pair: pair[0])
        timed.map(lambda pair: pair[1]).window(Tumbling("10ms")).reduce(lambda a, b: a + b, name="sum").to(sink)
        return app, source, sink


async def test_a_merge_that_fails_names_its_operator() -> None:
    app, source, _ = Mixed.app("fail")
    source.send([(1, 1)])
    source.send([(2, "two")])
    with pytest.raises(OperatorError, match="operator 'sum' failed on a record: TypeError"):
        async with Driver(app) as driver:
            await driver.settle()


async def test_a_merge_that_fails_can_be_skipped() -> None:
    app, source, sink = Mixed.app("skip")
    source.send([(1, 1)])
    source.send([(2, "two")])
    source.send([(3, 3)])
    source.close()
    driver = Driver(app)
    await driver.start()
    await driver.finish()
    assert sink.values == [WindowResult(0, 10, 4)]
    assert driver.metrics.operators["sum"].skipped == 1


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=30))])
@pytest.mark.parametrize("microseconds", [0, 999])
# As floats of seconds, these fall a millisecond short.
@pytest.mark.parametrize("ms", [33_610_132_576, 1_097_144_874_702])
def test_a_datetime_with_a_zone_is_exact_to_the_millisecond(ms: int, microseconds: int, zone: timezone) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms, microseconds=microseconds)
    results: list[WindowResult[int]] = run(
        [moment.astimezone(zone)],
        lambda s: s.event_time(lambda moment: moment).window(Tumbling("1ms")).aggregate(count()),
    )
    assert results == [WindowResult(ms, ms + 1, 1)]


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ("noon", "event time 'noon' is of type str"),
        (datetime(2026, 1, 1), r"has no time zone: give it one, as in time.replace\(tzinfo=UTC\)"),  # noqa: DTZ001 - it has none
        (True, "is of type bool"),
        (-1, "is not between 1970 and 9999"),
        (10**18, "is it in milliseconds"),
    ],
)
def test_a_time_that_is_none_fails_the_record(time: Any, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        run([1], lambda s: s.event_time(lambda _element: time).window(Tumbling("1s")).aggregate(count()))


@pytest.mark.parametrize(("times", "warnings"), [([1_780_000_000, 1_780_000_010], 1), ([1_780_000_000_000, 8], 0)])
async def test_times_that_look_like_seconds_are_warned_of_once(
    times: list[int], warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    events = Events()
    async with events.driver:
        for time in times:
            await events.send(time)
    found = [record.__dict__["read_as"] for record in caplog.records if "look like seconds" in record.message]
    assert found == ["1970-01-21T14:26:40.000Z"] * warnings


def test_a_record_with_a_bad_time_can_be_skipped() -> None:
    results: list[WindowResult[int]] = run(
        [3, -5, 4],
        lambda s: s.event_time(lambda time: time, on_error="skip").window(Tumbling("10ms")).aggregate(count()),
    )
    assert results == [WindowResult(0, 10, 2)]
