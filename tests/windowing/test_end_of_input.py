"""An input that ends closes what it has begun; one that has grown since is read on, and only that stays closed."""

from __future__ import annotations

from operator import add, sub
from typing import Any

import pytest

from streamproc import App, Asap, LookBack, Session, Sliding, Tumbling, collect
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.state.memory import MemoryDisk
from streamproc.testing import Driver
from streamproc.windowing import WindowAssigner
from tests.windowing.timestamps import WithTimestamp

Results = list[tuple[int, int, list[int]]]


async def run(
    assigner: WindowAssigner, times: list[int], disk: MemoryDisk, **options: Any
) -> tuple[Results, list[int]]:
    """Read a list to its end, on what is on the disk, and return the new results, and what is late."""
    source, sink, late = MemorySource[int]([[time] for time in times]), MemorySink[Any](), MemorySink[int]()
    source.close()
    app = App("grows", trigger=Asap())
    timed = app.source(source).event_time(lambda time: time, out_of_orderness="100ms")
    windows = timed.window(assigner, **options).aggregate(collect(), name="windows")
    windows.to(sink, name=f"results-{len(times)}")
    windows.late().to(late, name=f"late-{len(times)}")
    driver = Driver(app, disk=disk)
    await driver.start()
    await driver.finish()
    return [(result.start, result.end, sorted(result.value)) for result in sink.values], late.values


@pytest.mark.parametrize(
    ("assigner", "first", "second"),
    [
        (Tumbling("10ms"), [(0, 10, [1, 2])], [(50, 60, [51, 52])]),
        (Sliding("10ms", every="10ms"), [(0, 10, [1, 2])], [(50, 60, [51, 52])]),
        (Session("8ms"), [(1, 10, [1, 2])], [(51, 60, [51, 52])]),
        (LookBack("8ms"), [(-6, 2, [1]), (-5, 3, [1, 2])], [(44, 52, [51]), (45, 53, [51, 52])]),
    ],
)
async def test_what_comes_later_is_not_late(assigner: WindowAssigner, first: Results, second: Results) -> None:
    disk = MemoryDisk()
    assert await run(assigner, [1, 2], disk) == (first, [])
    assert await run(assigner, [1, 2, 51, 52], disk) == (second, [])


@pytest.mark.parametrize("assigner", [Tumbling("10ms"), Session("8ms")])
@pytest.mark.parametrize("lateness", ["0ms", "5ms"])
async def test_what_was_given_at_the_end_stays_closed(assigner: WindowAssigner, lateness: str) -> None:
    disk = MemoryDisk()
    await run(assigner, [1, 2], disk, allowed_lateness=lateness)
    results, late = await run(assigner, [1, 2, 0, 51], disk, allowed_lateness=lateness)
    assert ([events for *_, events in results], late) == ([[51]], [0])


async def test_values_that_were_kept_up_to_date_begin_anew_when_the_input_has_grown() -> None:
    disk = MemoryDisk()
    assert await rolled([1, 2, 12], disk) == [(0, 2), (1, 3), (2, 1)]
    assert await rolled([1, 2, 12, 31, 32, 33], disk) == [(3, 3), (4, 3)]


async def rolled(times: list[int], disk: MemoryDisk) -> list[tuple[int, int]]:
    """Read a list to its end, and return the new results of windows with an inverse, numbered by their ends."""
    source, sink = MemorySource[int]([[time] for time in times]), MemorySink[Any]()
    source.close()
    app = App("grows", trigger=Asap())
    ones = app.source(source).event_time(lambda time: time, out_of_orderness="100ms").map(lambda _: 1)
    sums = ones.reduce_by_window(add, "20ms", "10ms", inverse=sub)
    sums.key_by(lambda _: 0).process(WithTimestamp[int]()).to(sink, name=f"results-{len(times)}")
    driver = Driver(app, disk=disk)
    await driver.start()
    await driver.finish()
    return [(time // 10, total) for _, (time, total) in sink.values]
