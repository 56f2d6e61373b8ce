"""Windows on the real engine against windows by definition: each kind, trigger, lateness and way to accumulate."""

from __future__ import annotations

import asyncio
import operator
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc import (
    AfterCount,
    AfterDelay,
    Aggregate,
    AllOf,
    AnyOf,
    App,
    AtWatermark,
    Global,
    Interval,
    LookBack,
    OnClose,
    OnUpdate,
    Repeated,
    Session,
    Sliding,
    Tumbling,
    WindowResult,
    collect,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from streamproc.windowing import WindowTrigger
from tests.windowing.model import Event, Given, Model

TICK = 1_000


def union(bits: int, more: int) -> int:
    return bits | more


AGGREGATES: dict[str, Aggregate[int, Any, Any]] = {
    "collected": collect(),
    "with an inverse": Aggregate(
        "sum of bits",
        create=lambda n: 1 << n,
        add=lambda bits, n: bits + (1 << n),
        merge=operator.add,
        inverse=operator.sub,
    ),
    "without one": Aggregate("set of bits", create=lambda n: 1 << n, add=lambda bits, n: bits | 1 << n, merge=union),
}
"""They say which events they are of."""

ASSIGNERS = {
    "tumbling": Tumbling("10ms"),
    "tumbling with an offset": Tumbling("10ms", offset="3ms"),
    "sliding": Sliding("10ms", every="4ms"),
    "session": Session("4ms"),
    "look-back": LookBack("6ms"),
    "global": Global(),
}
PLAIN = st.one_of(
    st.integers(1, 4).map(AfterCount),
    st.integers(1, 3).map(lambda seconds: AfterDelay(f"{seconds}s")),
)
COMBINED = st.one_of(
    PLAIN,
    st.lists(PLAIN, min_size=1, max_size=2).map(lambda triggers: AnyOf(*triggers)),
    st.lists(PLAIN, min_size=1, max_size=2).map(lambda triggers: AllOf(*triggers)),
)
TRIGGERS: st.SearchStrategy[WindowTrigger] = st.one_of(
    st.just(AtWatermark()),
    COMBINED.map(lambda early: AtWatermark(early=early)),
    COMBINED.map(Repeated),
    st.just(OnUpdate()),
    st.just(OnClose()),
)
LATE_TRIGGERS = st.one_of(
    TRIGGERS, COMBINED, st.tuples(COMBINED, COMBINED).map(lambda both: AtWatermark(early=both[0], late=both[1]))
)
TICKS = st.lists(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), max_size=4), min_size=1, max_size=8)


def numbered(ticks: Sequence[Sequence[tuple[str, int]]]) -> list[list[Event]]:
    """Return what comes at each tick, as events."""
    number = 0
    found: list[list[Event]] = []
    for tick in ticks:
        found.append([Event(key, time, time, number + place) for place, (key, time) in enumerate(tick)])
        number += len(tick)
    return found


def by_definition(
    ticks: Sequence[Sequence[Event]], assigner: Any, trigger: WindowTrigger, **options: Any
) -> tuple[list[list[Given]], list[int]]:
    """Return what windows give at each tick and at the end of time, and which events are late."""
    model = Model(assigner, trigger, **options)
    found: list[list[Given]] = []
    for tick, events in enumerate(ticks, start=1):
        model.tick(events, tick * TICK)
        found.append(model.given)
        model.given = []
    model.tick([], (len(ticks) + 1) * TICK, final=True)
    return [*found, model.given], model.late


def on_the_engine(
    ticks: Sequence[Sequence[Event]],
    assigner: Any,
    trigger: WindowTrigger,
    *,
    lateness: int,
    panes: Any,
    bound: int,
    aggregate: str = "collected",
    restart_after: int | None = None,
) -> tuple[list[list[Given]], list[int]]:
    """Return the same of the real engine."""
    source, sink, late = MemorySource[Event](), MemorySink[Any](), MemorySink[Any]()
    app = App("model", trigger=Interval("1s"))
    keyed = (
        app.source(source)
        .event_time(lambda event: event.time, out_of_orderness=f"{bound}ms", idle_after=None)
        .key_by(lambda event: event.key)
        .map_values(lambda event: event.number)
    )
    windows = keyed.window(assigner, trigger=trigger, allowed_lateness=f"{lateness}ms", panes=panes)
    results = windows.aggregate(AGGREGATES[aggregate])
    results.to(sink)
    results.late().to(late)
    found: list[list[Given]] = []

    def collected(seen: int) -> list[Given]:
        return [given_of(key, result) for key, result in sink.values[seen:]]

    async def drive() -> None:
        driver = Driver(app)
        await driver.start()
        for tick, events in enumerate(ticks, start=1):
            if events:
                source.send(events)
            seen = len(sink.values)
            await driver.tick()
            found.append(collected(seen))
            if tick == restart_after:
                await driver.stop()
                await driver.restart()
        seen = len(sink.values)
        source.close()
        await driver.tick()
        await driver.finish()
        found.append(collected(seen))
        assert_nothing_is_left(driver)

    asyncio.run(drive())
    return found, [number for _, number in late.values]


def given_of(key: str, result: WindowResult[Any]) -> Given:
    pane = result.pane
    timing, index, last = ("on_time", 0, True) if pane is None else (pane.timing, pane.index, pane.last)
    events = result.value
    if isinstance(events, int):
        events = [number for number in range(events.bit_length()) if events >> number & 1]
    return Given(key, result.start, result.end, tuple(sorted(events)), timing, index, last, result.retracts)


def assert_nothing_is_left(driver: Driver) -> None:
    left = {
        variable: driver.state("window-1", variable)
        for variable in (
            "windows",
            "holds",
            "sessions",
            "cells",
            "times",
            "slices",
            "starts",
            "panes",
            "totals",
            "rolled",
            "older",
        )
    }
    assert {variable: state for variable, state in left.items() if state} == {}


@pytest.mark.parametrize("kind", ASSIGNERS)
@settings(max_examples=250, deadline=None)
@given(
    ticks=TICKS,
    trigger=LATE_TRIGGERS,
    lateness=st.sampled_from([0, 3, 15]),
    panes=st.sampled_from(["accumulating", "discarding", "retracting"]),
    bound=st.sampled_from([0, 5, 20]),
    aggregate=st.sampled_from(list(AGGREGATES)),
    restart_after=st.integers(0, 8),
)
def test_windows_give_what_they_give_by_definition(
    kind: str,
    ticks: list[list[tuple[str, int]]],
    trigger: WindowTrigger,
    lateness: int,
    panes: str,
    bound: int,
    aggregate: str,
    restart_after: int,
) -> None:
    assigner, events = ASSIGNERS[kind], numbered(ticks)
    if kind == "session" and not isinstance(trigger, AtWatermark | Repeated | OnClose):
        trigger = Repeated(trigger)
    options: dict[str, Any] = {"lateness": lateness, "panes": panes, "bound": bound}
    expected, expected_late = by_definition(events, assigner, trigger, **options)
    options |= {"aggregate": aggregate, "restart_after": restart_after}
    found, late = on_the_engine(events, assigner, trigger, **options)
    assert [sorted(given) for given in found] == [sorted(given) for given in expected]
    assert sorted(late) == sorted(expected_late)


@pytest.mark.parametrize("kind", ASSIGNERS)
@settings(max_examples=120, deadline=None)
@given(
    events=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.integers(0, 8)), max_size=20),
    borders=st.sets(st.integers(0, 20)),
    trigger=TRIGGERS,
    panes=st.sampled_from(["accumulating", "discarding"]),
    aggregate=st.sampled_from(list(AGGREGATES)),
)
def test_how_the_input_is_cut_into_batches_changes_nothing(
    kind: str, events: list[tuple[str, int, int]], borders: set[int], trigger: WindowTrigger, panes: str, aggregate: str
) -> None:
    # In the order in which they come, none is further behind than the bound.
    arrived = sorted(events, key=lambda event: event[1] + event[2])
    pieces: list[list[tuple[str, int]]] = [[]]
    for place, (key, time, _) in enumerate(arrived):
        if place in borders:
            pieces.append([])
        pieces[-1].append((key, time))
    options: dict[str, Any] = {"lateness": 0, "panes": panes, "bound": 8, "aggregate": aggregate}
    one_piece = [[event for piece in pieces for event in piece]]
    whole = final(*on_the_engine(numbered(one_piece), ASSIGNERS[kind], trigger, **options))
    assert final(*on_the_engine(numbered(pieces), ASSIGNERS[kind], trigger, **options)) == whole


def final(given: Sequence[Sequence[Given]], late: Sequence[int]) -> dict[Any, Any]:
    """Return the events that each window has given in the end, in one result or in several."""
    assert not late
    found: dict[Any, set[int]] = defaultdict(set)
    for result in chain.from_iterable(given):
        found[result.key, result.start, result.end].update(result.events)
    # A session that has become a part of another is not there any more.
    for key, start, end in sorted(found, key=lambda place: place[2] - place[1]):
        for outer in found:
            if outer != (key, start, end) and outer[0] == key and outer[1] <= start and end <= outer[2]:
                found[outer] |= found.pop((key, start, end))
                break
    return dict(found)
