"""Watermarks of partitions on the real engine: who holds windows open, and what lets them close."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc import App, Asap, Interval, OperatorError, Tumbling, WindowResult, count, dead_letter
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.settings import Settings
from streamproc.testing import Driver
from streamproc.triggers import Trigger

Counts = list[tuple[int, int]]


class Counted:
    """An app that counts times of two partitions in windows of ten milliseconds."""

    def __init__(self, *, trigger: Trigger | None = None, settings: Settings | None = None, **event_time: Any) -> None:
        self.source = MemorySource[int](partitions=2)
        self.sink = MemorySink[WindowResult[int]]()
        self.app = App("counted", trigger=trigger or Asap(), settings=settings)
        times = self.app.source(self.source).event_time(lambda time: time, name="times", **event_time)
        times.window(Tumbling("10ms")).aggregate(count(), name="tens").to(self.sink)
        self.driver = Driver(self.app)

    async def send(self, partition: int, *times: int) -> None:
        self.source.send(times, partition=partition)
        await self.driver.settle()

    @property
    def results(self) -> Counts:
        return [(result.start, result.value) for result in self.sink.values]


async def test_the_slowest_partition_holds_windows_open() -> None:
    counted = Counted()
    async with counted.driver:
        await counted.send(0, 5, 100)
        await counted.send(1, 6, 19)
        assert counted.results == [(0, 2)]
        await counted.send(1, 20)
        assert counted.results == [(0, 2), (10, 1)]


async def test_a_quiet_partition_holds_them_for_so_long_and_no_longer() -> None:
    counted = Counted(idle_after="1m")
    async with counted.driver:
        await counted.send(0, 5)
        await counted.send(1, 6)
        await counted.driver.advance("59s")
        await counted.send(0, 100)
        assert counted.results == []
        await counted.driver.advance("1001ms")
        assert counted.results == [(0, 2)]
        # It comes back: what is in time counts, what is not is late, and the watermark stays where it was.
        await counted.send(1, 105, 8)
        await counted.send(1, 130)
        await counted.send(0, 130)
        assert counted.results == [(0, 2), (100, 2)]
        assert counted.driver.metrics.operators["tens"].late == 1


async def test_a_partition_that_can_not_be_read_yet_is_not_idle() -> None:
    # One record a batch, and partition 0 comes first: that takes 120 ms, as each batch has a time of its own.
    counted = Counted(settings=Settings(max_records=1), idle_after="50ms", trigger=Interval("10s"))
    counted.source.send([5] * 100, partition=1)
    counted.source.send([6, 200] * 60, partition=0)
    async with counted.driver:
        await counted.driver.advance("10s")
        assert counted.results == []
        await counted.driver.advance("10s")
        assert counted.results == [(0, 160), (200, 60)]
        assert counted.driver.metrics.operators["tens"].late == 0


async def test_with_all_quiet_the_watermark_goes_on_with_the_clock() -> None:
    counted = Counted(idle_after="1m", out_of_orderness="3ms")
    async with counted.driver:
        await counted.send(0, 5)
        await counted.send(1, 61_000)
        await counted.driver.advance("59s")
        assert counted.results == []
        # A minute after the newest time, which is 61 s, the watermark is at 61 s + 1 min - 3 ms.
        await counted.driver.advance("1001ms")
        assert counted.results == [(0, 1), (61_000, 1)]
        await counted.send(0, 200_000)
        await counted.driver.advance("59s")
        assert len(counted.results) == 2
        await counted.driver.advance("1013ms")
        assert counted.results == [(0, 1), (61_000, 1), (200_000, 1)]


async def test_progress_shows_the_watermark_of_the_stream_and_of_each_partition() -> None:
    counted = Counted(idle_after="1m", out_of_orderness="3ms")
    async with counted.driver:
        assert counted.app.event_time_progress["times"].watermark is None
        await counted.send(0, 5)
        await counted.send(1, 61_000)
        progress = counted.app.event_time_progress["times"]
        assert (progress.watermark, [each.watermark for each in progress.partitions]) == (2, [2, 60_997])
        # When all are idle it goes on with the clock, and is that of none.
        await counted.driver.advance("61s")
        progress = counted.app.event_time_progress["times"]
        assert (progress.watermark, [each.watermark for each in progress.partitions]) == (120_997, [2, 60_997])


async def test_windows_stay_open_for_ever_if_that_is_asked_for() -> None:
    counted = Counted(idle_after=None)
    async with counted.driver:
        await counted.send(0, 5, 100)
        await counted.driver.advance("100h")
        assert counted.results == []


async def test_a_restart_keeps_what_was_seen_and_looks_anew_who_is_quiet() -> None:
    counted = Counted(idle_after="1m")
    driver = counted.driver
    await driver.start()
    await counted.send(0, 5, 100)
    await counted.send(1, 6, 18)
    assert counted.results == [(0, 2)]
    await driver.stop()
    await driver.advance("10h")
    await driver.restart()
    await counted.send(0, 100)
    assert counted.results == [(0, 2)], "partition 1 had a watermark of 18 before"
    await driver.advance("61s")
    assert counted.results == [(0, 2), (10, 1), (100, 2)]
    await driver.stop()


async def test_alignment_reads_no_further_in_a_partition_that_is_ahead() -> None:
    source, read = MemorySource[tuple[str, int]](partitions=2), MemorySink[tuple[str, int]]()
    app = App("aligned", trigger=Asap())
    app.source(source).event_time(lambda record: record[1], alignment="50ms", idle_after=None).to(read)
    for time in range(0, 1_000, 100):
        source.send([("fast", time)], partition=0)
        source.send([("slow", time // 10)], partition=1)
    async with Driver(app) as driver:
        await driver.settle()
    newest = {"fast": 0, "slow": 0}
    ahead: list[int] = []
    for batch in read.batches.values():
        slow = newest["slow"]
        newest |= dict(batch)
        ahead.append(newest["fast"] - slow if newest["slow"] < 90 else 0)
    assert newest == {"fast": 900, "slow": 90}, "once the slow one is read to its end, the other goes on"
    assert 50 < max(ahead) <= 50 + 100, "it is one list too far at most"


async def test_an_idle_source_of_a_union_does_not_hold_the_other() -> None:
    busy, quiet = MemorySource[int](), MemorySource[int]()
    sink = MemorySink[WindowResult[int]]()
    app = App("union", trigger=Asap())

    def timed(source: MemorySource[int], idle_after: str) -> Any:
        return app.source(source).event_time(lambda time: time, idle_after=idle_after)

    union = timed(busy, "1h").union(timed(quiet, "1m"))
    union.window(Tumbling("10ms")).aggregate(count()).to(sink)
    driver = Driver(app)
    async with driver:
        busy.send([5, 30])
        await driver.settle()
        assert sink.values == []
        await driver.advance("1m")
        busy.send([31])
        await driver.settle()
        assert sink.values == [WindowResult(0, 10, 1)]
        quiet.send([32, 2])
        await driver.settle()
        busy.send([50])
        await driver.settle()
        quiet.send([51])
        await driver.settle()
        assert sink.values == [WindowResult(0, 10, 1), WindowResult(30, 40, 3)]


async def test_a_source_that_has_ended_does_not_hold_the_other() -> None:
    live, ended = MemorySource[int](), MemorySource[int]([[1, 2]])
    ended.close()
    sink = MemorySink[WindowResult[int]]()
    app = App("union", trigger=Asap())
    union = app.source(live).union(app.source(ended)).event_time(lambda time: time, idle_after=None)
    union.window(Tumbling("10ms")).aggregate(count()).to(sink)
    async with Driver(app) as driver:
        live.send([3, 10])
        await driver.settle()
        assert sink.values == [WindowResult(0, 10, 3)]


async def test_a_source_that_has_ended_closes_its_own_windows() -> None:
    live, ended = MemorySource[int](), MemorySource[int]([[1, 2]])
    ended.close()
    sink = MemorySink[WindowResult[int]]()
    app = App("two", trigger=Asap())
    for source in (live, ended):
        counts = app.source(source).event_time(lambda time: time).window(Tumbling("10ms")).aggregate(count())
        counts.to(sink) if source is ended else counts.print()
    async with Driver(app) as driver:
        await driver.settle()
        assert sink.values == [WindowResult(0, 10, 2)]


@pytest.mark.parametrize("fails", [False, True])
async def test_partitions_are_told_apart_behind_steps_that_drop_and_add_records(fails: bool) -> None:
    source = MemorySource[int](partitions=2)
    sink, failed = MemorySink[WindowResult[int]](), MemorySink[Any]()
    app = App("steps", trigger=Asap(), on_error=dead_letter(failed))

    def checked(time: int) -> bool:
        if fails and time == 7:
            raise ValueError("seven")
        return time % 2 == 1

    async def same(time: int) -> int:
        return time

    steps = app.source(source).filter(checked).flat_map(lambda time: [time, time]).map(same).filter(lambda _: True)
    steps.event_time(lambda time: time).window(Tumbling("10ms")).aggregate(count()).to(sink)
    async with Driver(app) as driver:
        source.send([1, 2, 3, 7, 41])
        source.send([4, 5, 9], partition=1)
        await driver.settle()
        assert sink.values == []
        source.send([11, 12], partition=1)
        await driver.settle()
        assert sink.values == [WindowResult(0, 10, 8 if fails else 10)]
    assert [record.position for record in failed.values] == (["source-1 [0] at 3"] if fails else [])


async def test_a_record_from_the_far_future_fails_and_moves_nothing() -> None:
    failed = MemorySink[Any]()
    counted = Counted(max_ahead="1m", on_error=dead_letter(failed))
    async with counted.driver:
        await counted.driver.advance("999ms")
        await counted.send(0, 5, 61_001, 4)
        await counted.send(1, 61_001, 61_002)
        await counted.send(0, 15)
        assert counted.results == [(0, 2)]
    assert [(record.value, record.position) for record in failed.values] == [
        (61_001, "source-1 [0] at 1"),
        (61_002, "source-1 [1] at 1"),
    ]
    assert failed.values[0].error == ("ValueError: event time 61001 is 1m1ms ahead of the clock, and max_ahead is 1m")


async def test_a_source_that_gives_no_good_time_is_a_failure_too() -> None:
    source = MemorySource[str]()
    app = App("own", trigger=Asap())
    app.source(source).event_time().window(Tumbling("10ms")).aggregate(count()).print()
    driver = Driver(app)
    await driver.start()
    source.send(["a", "b"], timestamps=[5, -1])
    with pytest.raises(OperatorError, match="event time -1 is not between 1970 and 9999"):
        await driver.settle()
