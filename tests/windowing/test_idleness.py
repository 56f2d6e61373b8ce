"""Sources that fall silent, where batches begin as records come: windows close all the same, and nothing spins."""

from __future__ import annotations

from typing import Any

from streamproc import App, Asap, Tumbling, WindowResult, count
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver

Results = MemorySink[tuple[int, int]]


def pair(result: WindowResult[int]) -> tuple[int, int]:
    return result.start, result.value


def count_into(sink: Results, times: Any) -> None:
    times.window(Tumbling("10ms")).aggregate(count()).map(pair).to(sink)


async def test_idleness_begins_behind_a_restart_though_nothing_is_left_to_read() -> None:
    source, sink = MemorySource[int](), Results()
    app = App("idle", trigger=Asap())
    count_into(sink, app.source(source).event_time(lambda time: time, idle_after="1m"))
    driver = Driver(app)
    await driver.start()
    source.send([1, 2])
    await driver.advance("30s")
    await driver.stop()
    await driver.restart()
    await driver.advance("59s")
    assert sink.values == []
    await driver.advance("2s")
    assert sink.values == [(0, 2)]
    batches = driver.metrics.batches
    await driver.advance("1h")
    assert driver.metrics.batches == batches
    await driver.stop()


async def test_a_partition_that_was_paused_when_the_slowest_ended_gets_idle() -> None:
    slow, fast, sink = MemorySource([[1], [2]]), MemorySource([[105]]), Results()
    slow.close()
    app = App("aligned", trigger=Asap())
    union = app.source(slow).union(app.source(fast))
    count_into(sink, union.event_time(lambda time: time, idle_after="1m", alignment="50ms"))
    driver = Driver(app)
    await driver.start()
    await driver.settle()
    assert sink.values == [(0, 2)]
    await driver.advance("62s")
    assert sink.values == [(0, 2), (100, 1)]
    await driver.stop()


async def test_a_union_of_a_stream_that_has_ended_and_an_idle_one_waits_for_the_clock() -> None:
    ends, idle, sink = MemorySource([[1]]), MemorySource([[5]]), Results()
    ends.close()
    batches = 0

    def counted(results: list[WindowResult[int]]) -> list[WindowResult[int]]:
        nonlocal batches
        batches += 1
        return results

    app = App("union", trigger=Asap())
    one, other = (app.source(source).event_time(lambda time: time, idle_after="10s") for source in (ends, idle))
    windows = one.union(other).window(Tumbling("1m")).aggregate(count(), name="counts")
    windows.transform(counted).map(pair).to(sink)
    driver = Driver(app)
    await driver.start()
    began = driver.clock.now()
    await driver.advance("11s")
    [explanation] = app.explain_window(None, 5)
    assert explanation.due_at == began + 60_000 - 5
    batches = 0
    await driver.advance("48s")
    assert (sink.values, batches) == ([], 0)
    await driver.advance("1s")
    assert (sink.values, batches) == ([(0, 2)], 1)
    await driver.stop()


async def test_windows_behind_late_records_follow_the_watermark_of_the_input() -> None:
    source, sink = MemorySource[int](), Results()
    app = App("late", trigger=Asap())
    times = app.source(source).event_time(lambda time: time, idle_after="1s")
    results = times.window(Tumbling("10s"), allowed_lateness="1h", emit="final").aggregate(count())
    results.late().window(Tumbling("4h")).aggregate(count()).map(pair).to(sink)
    results.to(MemorySink())
    driver = Driver(app)
    await driver.start()
    for time in (8_000_000, 1_000):
        source.send([time])
        await driver.settle()
    # The window ends at 14,400 s, the watermark is at 8,000 s and goes on with the clock.
    await driver.advance("106m")
    assert sink.values == []
    await driver.advance("1m")
    assert sink.values == [(0, 1)]
    await driver.stop()
