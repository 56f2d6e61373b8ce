"""``deduplicate``: the first of the records that are the same, within a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc import App, Asap, Interval, KeyedStream, OperatorError, PipelineError, Tumbling, count
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.engine.operators import deduplicate
from streamproc.state import Family
from streamproc.testing import Driver, run
from tests.streams.timed import Event, Timed

WITHIN = 20


class Run:
    """Elements are events, compared by their keys; a batch each second."""

    def __init__(
        self, within: str, *, event_time: bool = True, bound: int = 0, on_error: Any = "fail", **options: Any
    ) -> None:
        self.source, self.sink = MemorySource[Event](), MemorySink[Event]()
        self.app = App("first", trigger=options.pop("trigger", Interval("1s")), on_error=on_error)
        events = self.app.source(self.source)
        if event_time:
            events = events.event_time(lambda e: e.time, out_of_orderness=f"{bound}ms", idle_after=None)
        events.deduplicate(by=lambda event: event.key, within=within, name="first", **options).to(self.sink)
        self.driver = Driver(self.app)

    async def tick(self, *events: Event) -> list[Event]:
        """Run a batch and return what came out of it."""
        before = len(self.sink.values)
        if events:
            self.source.send(events)
        await self.driver.tick()
        return self.sink.values[before:]

    def dropped(self) -> int:
        return self.driver.metrics.operators["first"].dropped

    def stored(self) -> list[bytes]:
        return [key for key in self.driver.disk.rows[Family.STATE].values if b"first" in key and b"event" not in key]


async def test_the_first_record_passes_and_those_within_the_time_are_dropped_and_counted() -> None:
    first = Run("20ms")
    async with first.driver as driver:
        assert await first.tick(Event("a", 100, 1), Event("a", 100, 2), Event("b", 101, 3)) == [
            Event("a", 100, 1),
            Event("b", 101, 3),
        ]
        assert await first.tick(Event("a", 119, 4), Event("b", 121, 5)) == [Event("b", 121, 5)]
        await driver.stop()
        assert first.dropped() == 2
        await driver.restart()
        assert await first.tick(Event("a", 121, 6), Event("b", 140, 7)) == [Event("a", 121, 6)]
        assert first.dropped() == 1


async def test_time_counts_from_the_first_not_from_the_last_that_was_dropped() -> None:
    first = Run("20ms")
    async with first.driver:
        passed = await first.tick(*(Event("a", time) for time in range(100, 160, 5)))
        assert [event.time for event in passed] == [100, 120, 140]


async def test_records_out_of_order_are_compared_in_both_directions() -> None:
    first = Run("20ms", bound=100)
    async with first.driver as driver:
        passed = await first.tick(*(Event("a", time) for time in (150, 131, 130, 112, 169, 170, 92, 90, 189)))
        assert [event.time for event in passed] == [150, 130, 170, 92]
        assert driver.state("first", "seen") == {"a": [112, 150, 170, 190]}
        # The watermark passes the end of the first two.
        assert await first.tick(Event("b", 250)) == [Event("b", 250)]
        assert driver.state("first", "seen") == {"a": [170, 190], "b": 270}
        assert await first.tick(Event("a", 151), Event("b", 280)) == [Event("b", 280)]
        assert driver.state("first", "seen")["a"] == 190


async def test_state_goes_away_as_the_watermark_passes() -> None:
    first = Run("20ms")
    async with first.driver as driver:
        await first.tick(*(Event(f"k{number}", 100 + number) for number in range(50)))
        await first.tick(Event("end", 169))
        assert driver.state("first", "seen") == {"end": 189}
        assert driver.metrics.operators["first"].expired == 50
        await first.tick(Event("other", 189))
        assert driver.state("first", "seen") == {"other": 209}
        first.source.close()
        await driver.tick()
        await driver.finish()
        assert first.stored() == []


async def test_in_batch_time_records_are_compared_by_their_batches_and_state_goes_away_without_records() -> None:
    first = Run("2s", event_time=False)
    async with first.driver as driver:
        assert await first.tick(Event("a", 0, 1), Event("a", 0, 2)) == [Event("a", 0, 1)]
        assert await first.tick(Event("a", 0, 3)) == []
        assert await first.tick(Event("a", 0, 4)) == [Event("a", 0, 4)]
        await first.tick()
        assert driver.state("first", "seen")
        # Records have the last millisecond before the trigger time; what has expired goes in steps of 20 milliseconds.
        await driver.tick(2)
        assert first.stored() == []


async def test_an_app_that_waits_for_records_wakes_to_forget() -> None:
    first = Run("2s", event_time=False, trigger=Asap())
    async with first.driver as driver:
        first.source.send([Event("a", 0)])
        await driver.settle()
        await driver.advance("1s990ms")
        assert first.stored()
        await driver.advance("30ms")
        assert first.stored() == []
        assert driver.metrics.operators["first"].expired == 1


async def test_what_is_over_at_once_is_forgotten_over_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deduplicate, "_AT_ONCE", 3)
    first = Run("2s", event_time=False, trigger=Asap())
    async with first.driver as driver:
        for keys in ("ab", "cd", "ef", "g"):
            first.source.send([Event(key, 0) for key in keys])
            await driver.settle()
        await driver.stop()
        driver.clock.advance("1m")
        await driver.restart()
        assert first.stored() == []
        assert driver.metrics.operators["first"].expired == 7
        assert driver.metrics.batches == 2


async def test_a_late_record_is_compared_with_what_is_still_known() -> None:
    first = Run("20ms")
    async with first.driver as driver:
        await first.tick(Event("a", 100))
        assert await first.tick(Event("z", 110), Event("a", 99)) == [Event("z", 110)]
        assert await first.tick(Event("y", 200)) == [Event("y", 200)]
        # Late by more than 20 milliseconds: nobody knows any more, and nothing is remembered.
        assert await first.tick(Event("a", 100), Event("a", 100)) == [Event("a", 100), Event("a", 100)]
        assert driver.state("first", "seen").keys() == {"y"}


async def test_records_keep_their_keys_times_and_origins() -> None:
    def windows(keyed: KeyedStream[str, Any]) -> KeyedStream[str, Any]:
        firsts = keyed.deduplicate(by=lambda pair: pair[1], within="1s")
        return firsts.map_values(lambda value: 1 / value).window(Tumbling("50ms")).aggregate(count())

    timed = Timed(windows)
    async with timed.driver:
        results = await timed.tick(Event("a", 10, 1), Event("b", 20, 1), Event("a", 60, 2), Event("a", 61, 1))
        results += await timed.tick(Event("c", 500, 3))
        assert [(key, result.start, result.value) for key, result in results] == [("a", 0, 1), ("a", 50, 1)]
    timed = Timed(windows)
    with pytest.raises(OperatorError, match=r"position: source-1 \[0\] at 2"):
        async with timed.driver:
            await timed.tick(Event("a", 10, 1), Event("b", 20, 1), Event("a", 60, 0))


async def test_records_that_cannot_be_compared_are_failed_ones() -> None:
    def by(value: Any) -> Any:
        return 1 // value if isinstance(value, int) else value

    elements = [1, 0, ["list"], 1, "x"]
    assert await first_of(elements, by, on_error="skip") == [1, "x"]
    with pytest.raises(OperatorError, match=r"ZeroDivisionError(.|\n)*position: source-1 \[0\] at 1"):
        await first_of(elements, by)
    with pytest.raises(OperatorError, match=r"make it a tuple(.|\n)*position: source-1 \[0\] at 1"):
        await first_of([1, ["list"]], by)


async def first_of(elements: list[Any], by: Any, *, on_error: Any = "fail") -> list[Any]:
    source, sink = MemorySource[Any]([elements]), MemorySink[Any]()
    app = App("first", trigger=Asap())
    app.source(source).deduplicate(by=by, within="1s", on_error=on_error).to(sink)
    async with Driver(app) as driver:
        await driver.settle()
    return sink.values


def test_what_python_takes_for_equal_is_told_apart_by_type() -> None:
    assert [repr(value) for value in run([1, 1.0, True, 1], lambda s: s.deduplicate(within="1s"))] == [
        "1",
        "1.0",
        "True",
    ]


async def test_the_time_can_be_changed_from_one_start_to_the_next() -> None:
    source = MemorySource[Event]()
    disk = None
    passed: list[int] = []
    for within, times in (("100ms", [100, 150]), ("20ms", [210, 220, 231]), ("50ms", [250, 281])):
        sink = MemorySink[Event]()
        app = App("first", trigger=Asap())
        events = app.source(source).event_time(lambda e: e.time, idle_after=None)
        events.deduplicate(by=lambda event: event.key, within=within, name="first").to(sink)
        async with Driver(app, disk=disk) as driver:
            for time in times:
                source.send([Event("a", time)])
                await driver.settle()
        disk = driver.disk
        passed += [event.time for event in sink.values]
    assert passed == [100, 210, 231, 281]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"within": "0s"}, "within of deduplicate-1 is '0s': expected more than zero"),
        ({"within": "1s", "by": 7}, "deduplicate-1: by is 7: expected a plain function, no async def"),
        ({"within": "1s", "bye": None}, "deduplicate has no option 'bye'"),
    ],
)
def test_wrong_use_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        App("wrong").source(MemorySource[int]()).deduplicate(**options)


def by_definition(ticks: Sequence[Sequence[Event]], bound: int) -> list[list[Event]]:
    """Return what passes at each tick: each record is compared with all that have passed and are still known."""
    watermark = -1
    passed: list[list[Event]] = []
    firsts: list[Event] = []
    for events in ticks:
        passed.append([])
        for event in events:
            if any(first.key == event.key and abs(first.time - event.time) < WITHIN for first in firsts):
                continue
            passed[-1].append(event)
            firsts += known([event], watermark)
        watermark = max([watermark, *(event.time - bound for event in events)])
        firsts = known(firsts, watermark)
    return passed


def known(events: Sequence[Event], watermark: int) -> list[Event]:
    """Return the events that a record on time may have to be compared with."""
    return [event for event in events if event.time + WITHIN > watermark]


def on_the_engine(
    ticks: Sequence[Sequence[Event]], bound: int, *, restart_after: int | None = None
) -> tuple[list[list[Event]], int]:
    """Return the same of the real engine, and how many were dropped; nothing is left on the disk at the end of time."""

    async def drive() -> tuple[list[list[Event]], int]:
        first = Run(f"{WITHIN}ms", bound=bound)
        driver = first.driver
        passed: list[list[Event]] = []
        dropped = 0
        await driver.start()
        for tick, events in enumerate(ticks, start=1):
            passed.append(await first.tick(*events))
            if tick == restart_after:
                await driver.stop()
                dropped += first.dropped()
                await driver.restart()
        first.source.close()
        await driver.tick()
        await driver.finish()
        assert first.stored() == []
        return passed, dropped + first.dropped()

    return asyncio.run(drive())


EVENTS = st.builds(Event, st.sampled_from("ab"), st.integers(0, 120), st.none())


@settings(max_examples=150, deadline=None, print_blob=True)
@given(
    ticks=st.lists(st.lists(EVENTS, max_size=8), min_size=1, max_size=6),
    bound=st.sampled_from([0, 10, 120]),
    restart_after=st.none() | st.integers(1, 6),
)
def test_it_does_what_it_does_by_definition(ticks: list[list[Event]], bound: int, restart_after: int | None) -> None:
    # Numbered, so that equal events can be told apart.
    numbered: list[list[Event]] = []
    for tick in ticks:
        start = sum(map(len, numbered))
        numbered.append([event._replace(value=number) for number, event in enumerate(tick, start)])
    expected = by_definition(numbered, bound)
    found, dropped = on_the_engine(numbered, bound, restart_after=restart_after)
    assert found == expected
    assert dropped == sum(map(len, numbered)) - sum(map(len, expected))


@settings(max_examples=60, deadline=None, print_blob=True)
@given(events=st.lists(EVENTS, min_size=1, max_size=25), cuts=st.lists(st.integers(0, 25), max_size=6))
def test_it_does_not_matter_how_records_are_divided_into_batches(events: list[Event], cuts: list[int]) -> None:
    events = [event._replace(value=number) for number, event in enumerate(events)]
    borders = [0, *sorted(cuts), len(events)]
    parts = [events[start:end] for start, end in pairwise(borders)]
    # No record is late, so that none depends on when the watermark has moved on.
    [whole], dropped = on_the_engine([events], 120)
    found, dropped_in_parts = on_the_engine(parts, 120)
    assert ([event for batch in found for event in batch], dropped_in_parts) == (whole, dropped)
