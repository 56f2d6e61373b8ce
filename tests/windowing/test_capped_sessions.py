"""Sessions that are cut when they last too long, against their definition, and the published cases of Azure's rule."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc import AfterCount, App, AtWatermark, Interval, OnClose, PipelineError, Session, WindowResult, collect
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from streamproc.windowing import WindowTrigger

Cut = tuple[int, int, tuple[int, ...]]
"""Start, end, and the times of the records."""


def by_definition(times: Sequence[int], gap: int, at_most: int) -> list[Cut]:
    """Return the sessions of one key that hold records."""
    found: list[Cut] = []
    activity: list[int] = []
    for time in [*sorted(times), None]:
        if activity and (time is None or time >= activity[-1] + gap):
            start, behind = activity[0], activity[-1] + gap
            border = next(n for n in range(0, behind + 2 * at_most, at_most) if n >= start + at_most)
            while start < behind:
                end = min(border, behind)
                inside = tuple(each for each in activity if start <= each < end)
                if inside:
                    found.append((start, end, inside))
                start, border = end, border + at_most
            activity = []
        if time is not None:
            activity.append(time)
    return found


def on_the_engine(
    ticks: Sequence[Sequence[int]], session: Session, bound: int, *, restart_after: int = 0, **options: Any
) -> list[WindowResult[list[int]]]:
    """Return all results; the records come a list a tick."""
    source, sink, late = MemorySource[int](), MemorySink[WindowResult[list[int]]](), MemorySink[int]()
    app = App("sessions", trigger=Interval("1s"))
    timed = app.source(source).event_time(lambda time: time, out_of_orderness=f"{bound}ms", idle_after=None)
    results = timed.window(session, **options).aggregate(collect(), name="sessions")
    results.to(sink)
    results.late().to(late)

    async def drive() -> None:
        driver = Driver(app)
        await driver.start()
        for tick, times in enumerate(ticks, start=1):
            source.send(times)
            await driver.tick()
            if tick == restart_after:
                await driver.stop()
                await driver.restart()
        source.close()
        await driver.tick()
        await driver.finish()
        assert driver.state("sessions", "windows") == driver.state("sessions", "sessions") == {}

    asyncio.run(drive())
    assert late.values == []
    return sink.values


def cuts(results: Sequence[WindowResult[list[int]]]) -> list[Cut]:
    return sorted((result.start, result.end, tuple(sorted(result.value))) for result in results)


@settings(max_examples=300, deadline=None)
@given(
    events=st.lists(st.tuples(st.integers(0, 90), st.integers(0, 8)), min_size=1, max_size=30),
    borders=st.sets(st.integers(1, 30), max_size=6),
    gap=st.integers(4, 8),
    at_most=st.integers(8, 14),
    restart_after=st.integers(0, 6),
    trigger=st.sampled_from([AtWatermark(), AtWatermark(early=AfterCount(2)), OnClose()]),
)
def test_they_are_what_they_are_by_definition_however_the_input_is_cut_into_batches(
    events: list[tuple[int, int]], borders: set[int], gap: int, at_most: int, restart_after: int, trigger: WindowTrigger
) -> None:
    arrived = [time for time, _ in sorted(events, key=lambda event: event[0] + event[1])]
    ticks: list[list[int]] = [[]]
    for place, time in enumerate(arrived):
        if place in borders:
            ticks.append([])
        ticks[-1].append(time)
    session = Session(f"{gap}ms", at_most=f"{at_most}ms")
    results = on_the_engine(ticks, session, 8, restart_after=restart_after, trigger=trigger)
    assert cuts([each for each in results if each.timing == "on_time"]) == by_definition(arrived, gap, at_most)


@pytest.mark.parametrize(
    ("times", "sessions"),
    [
        ([0, 4, 8, 12], [(0, 10, (0, 4, 8)), (10, 17, (12,))]),
        ([1, 5, 9, 13, 17], [(1, 20, (1, 5, 9, 13, 17))]),
        ([10, 14, 18, 22], [(10, 20, (10, 14, 18)), (20, 27, (22,))]),
        ([9, 13, 17, 21, 25], [(9, 20, (9, 13, 17)), (20, 30, (21, 25))]),
        ([1, 2, 3], [(1, 8, (1, 2, 3))]),
        ([0, 4, 8], [(0, 10, (0, 4, 8))]),
        ([0, 4, 8, 13], [(0, 10, (0, 4, 8)), (13, 18, (13,))]),
    ],
)
@pytest.mark.parametrize("one_by_one", [False, True])
def test_the_published_cases(times: list[int], sessions: list[Cut], one_by_one: bool) -> None:
    ticks = [[time] for time in times] if one_by_one else [times]
    results = on_the_engine(ticks, Session("5ms", at_most="10ms"), 0)
    assert cuts(results) == by_definition(times, 5, 10) == sessions


@pytest.mark.parametrize("panes", ["accumulating", "discarding", "retracting"])
def test_an_older_record_moves_the_cut_while_it_can_come(panes: str) -> None:
    # At first the session starts at 12 and would be cut at 30; with the record at 8 it is cut at 20.
    ticks = [[12, 16, 19, 23, 27, 31], [8]]
    results = on_the_engine(ticks, Session("5ms", at_most="10ms"), 24, panes=panes)
    assert cuts([each for each in results if not each.retracts]) == by_definition([*ticks[0], 8], 5, 10)


def test_a_session_can_not_be_cut_within_its_gap() -> None:
    with pytest.raises(PipelineError, match=r"at most 1m with a gap of 30m: expected a maximum of at least the gap"):
        Session("30m", at_most="1m")
