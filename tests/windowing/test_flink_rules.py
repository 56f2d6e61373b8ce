"""The rules of Apache Flink's windows, lateness and watermarks, one by one.

A watermark of Flink says that nothing comes at that time any more, one of streamproc that nothing comes before it: all
are a millisecond more here. Where streamproc differs on purpose, a test says so. For what a line of a story means see
`story`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from streamproc import (
    AfterCount,
    AfterDelay,
    AnyOf,
    App,
    Assigner,
    Interval,
    Repeated,
    Session,
    Sliding,
    Tumbling,
    Window,
    WindowResult,
    count,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from streamproc.watermark import END_OF_TIME, START_OF_TIME
from streamproc.windowing.slices import slices_of
from tests.windowing.story import tell
from tests.windowing.ticks import output

TENS = Tumbling("10ms")


@pytest.mark.parametrize(
    ("assigner", "starts"),
    [
        (Tumbling("5s"), {0: 0, 4_999: 0, 5_000: 5_000}),
        (Tumbling("5s", offset="100ms"), {100: 100, 5_099: 100, 5_100: 5_100}),
        # An offset of -100 ms, of -2 ms, of -8 hours: it is less the size that is negative.
        (Tumbling("5s", offset="4900ms"), {0: -100, 4_899: -100, 4_900: 4_900}),
        (Tumbling("7ms", offset="3ms"), {1: -4, 2: -4, 3: 3, 9: 3, 10: 10}),
        (Tumbling("7ms", offset="5ms"), {-2: -2, 1: -2, 3: -2, 4: -2, 7: 5, 12: 12}),
        (Tumbling("1d", offset="16h"), {1_470_902_048_450: 1_470_844_800_000}),
        (TENS, {-1: -10, -10: -10, -11: -20}),
        (Tumbling("10ms", offset="3ms"), {-8: -17, -7: -7, 2: -7}),
    ],
)
def test_a_tumbling_window_starts_at_a_multiple_of_its_size_and_an_offset(
    assigner: Tumbling, starts: dict[int, int]
) -> None:
    slices = slices_of(assigner)
    found = {time: slices.window(slices.last_end(slices.start(time))).start for time in starts}
    assert found == starts


@pytest.mark.parametrize(
    ("offset", "time", "first", "last"),
    [
        ("0s", 0, -4_000, 0),
        ("0s", 4_999, 0, 4_000),
        ("0s", 5_000, 1_000, 5_000),
        ("100ms", 100, -3_900, 100),
        ("100ms", 5_099, 100, 4_100),
        ("100ms", 5_100, 1_100, 5_100),
        ("900ms", 0, -4_100, -100),
        ("900ms", 4_899, -100, 3_900),
        ("900ms", 4_900, 900, 4_900),
    ],
)
def test_sliding_windows_start_at_each_slide_within_a_size_of_the_record(
    offset: str, time: int, first: int, last: int
) -> None:
    slices = slices_of(Sliding("5s", every="1s", offset=offset))
    ends = slices.ends_of(slices.start(time), START_OF_TIME, END_OF_TIME)
    assert [slices.window(end).start for end in ends] == list(range(first, last + 1, 1_000))


STORIES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a window gives its result at its end, and once": (
        TENS,
        {},
        """
        1 9 watermark=9  ->
        8                ->
        watermark=10     -> 0..10 of 1 8 9, on time 0 last
        watermark=15     ->
        """,
    ),
    "tumbling windows of two keys": (
        Tumbling("3s"),
        {},
        """
        a:1@0 a:1@20 a:1@999 b:1@1000 b:1@1998 b:1@1999 b:1@3000 b:1@3999 ->
        watermark=2000 ->
        watermark=3000 -> a 0..3000 of 1 1 1, on time 0 last; b 0..3000 of 1 1 1, on time 0 last
        watermark=5000 ->
        watermark=6000 -> b 3000..6000 of 1 1, on time 0 last
        watermark=9000 ->
        """,
    ),
    "sliding windows of two keys": (
        Sliding("3s", every="1s"),
        {},
        """
        a:1@0 a:2@20 a:3@999 b:4@1000 b:5@1998 b:6@1999 b:7@3000 b:8@3999 ->
        watermark=1000 -> a -2000..1000 of 1 2 3, on time 0 last
        watermark=2000 -> a -1000..2000 of 1 2 3, on time 0 last; b -1000..2000 of 4 5 6, on time 0 last
        watermark=3000 -> a 0..3000 of 1 2 3, on time 0 last; b 0..3000 of 4 5 6, on time 0 last
        watermark=4000 -> b 1000..4000 of 4 5 6 7 8, on time 0 last
        watermark=5000 -> b 2000..5000 of 7 8, on time 0 last
        watermark=6000 -> b 3000..6000 of 7 8, on time 0 last
        watermark=9000 ->
        """,
    ),
    "a watermark that jumps over end and close": (
        TENS,
        {"allowed_lateness": "10ms"},
        """
        1              ->
        watermark=101  -> 0..10 of 1, on time 0 last
        2              -> late 2
        """,
    ),
    # A window operator of Flink would give a second first result, and relies on what is before it.
    "a watermark that goes back changes nothing": (
        TENS,
        {},
        """
        1 watermark=10 -> 0..10 of 1, on time 0 last
        watermark=6    ->
        6              -> late 6
        watermark=10   ->
        """,
    ),
    "without lateness a window takes records until its end": (
        TENS,
        {},
        """
        watermark=9    ->
        3 9            ->
        watermark=10   -> 0..10 of 3 9, on time 0 last
        9 10           -> late 9
        watermark=20   -> 10..20 of 10, on time 0 last
        """,
    ),
    "within the lateness each late record gives the window again": (
        TENS,
        {"allowed_lateness": "10ms"},
        """
        1              ->
        watermark=10   -> 0..10 of 1, on time 0
        2              -> 0..10 of 1 2, late 1
        watermark=19   ->
        3              -> 0..10 of 1 2 3, late 2
        watermark=20   ->
        4              -> late 4
        """,
    ),
    "purging is discarding": (
        TENS,
        {"allowed_lateness": "10ms", "panes": "discarding"},
        """
        1              ->
        watermark=10   -> 0..10 of 1, on time 0
        2              -> 0..10 of 2, late 1
        watermark=19   ->
        3              -> 0..10 of 3, late 2
        """,
    ),
    "the lateness of 500 ms of a window of 2 s": (
        Tumbling("2s"),
        {"allowed_lateness": "500ms", "panes": "discarding"},
        """
        500            ->
        watermark=1501 ->
        1300           ->
        watermark=2301 -> 0..2000 of 500 1300, on time 0
        1997           -> 0..2000 of 1997, late 1
        watermark=6001 ->
        1998           -> late 1998
        """,
    ),
    # Flink loses what no trigger has asked for by then.
    "what was not given is given at the close": (
        TENS,
        {"trigger": Repeated(AfterCount(2)), "panes": "discarding"},
        """
        1              ->
        2              -> 0..10 of 1 2, early 0
        3              ->
        watermark=10   -> 0..10 of 3, on time 1 last
        """,
    ),
    "nor is it lost where time has not passed": (
        TENS,
        {"trigger": Repeated(AfterDelay("5s"))},
        """
        1              ->
        watermark=10   -> 0..10 of 1, on time 0 last
        now=20s        ->
        """,
    ),
    # Flink's Count fires at the n-th record and not at its close.
    "a count goes on behind the end": (
        TENS,
        {"trigger": Repeated(AfterCount(2)), "allowed_lateness": "10ms"},
        """
        1              ->
        watermark=16   ->
        2              -> 0..10 of 1 2, on time 0
        watermark=20   ->
        """,
    ),
    "a count or a time, whichever is first": (
        TENS,
        {"trigger": Repeated(AnyOf(AfterCount(3), AfterDelay("5s"))), "panes": "discarding"},
        """
        1 now=1s       ->
        2 now=4s       ->
        now=5s         ->
        now=6s         -> 0..10 of 1 2, early 0
        3 now=7s       ->
        now=11s        ->
        now=12s        -> 0..10 of 3, early 1
        """,
    ),
    # In Flink only a record that no window took is late, and only if its own time is: so is this.
    "a record that one window takes is not late": (
        Sliding("10ms", every="5ms"),
        {},
        """
        7              ->
        watermark=10   -> 0..10 of 7, on time 0 last
        8              ->
        watermark=15   -> 5..15 of 7 8, on time 0 last
        9 12           -> late 9
        watermark=20   -> 10..20 of 12, on time 0 last
        """,
    ),
    "it is in further results of those that have given": (
        Sliding("10ms", every="5ms"),
        {"allowed_lateness": "5ms"},
        """
        7              ->
        watermark=10   -> 0..10 of 7, on time 0
        8              -> 0..10 of 7 8, late 1
        watermark=15   -> 5..15 of 7 8, on time 0
        9              -> 5..15 of 7 8 9, late 1
        """,
    ),
    "what leaves while nothing comes": (
        Sliding("3ms", every="1ms"),
        {"bound": "0ms"},
        """
        10 15          -> 8..11 of 10, on time 0 last; 9..12 of 10, on time 0 last; 10..13 of 10, on time 0 last
        16             -> 13..16 of 15, on time 0 last
        90             -> 14..17 of 15 16, on time 0 last; 15..18 of 15 16, on time 0 last; 16..19 of 16, on time 0 last
        """,
    ),
    "the watermark is that of the newest record": (
        Tumbling("1ms"),
        {"bound": "0ms"},
        """
        1              ->
        2              -> 1..2 of 1, on time 0 last
        5              -> 2..3 of 2, on time 0 last
        3              -> late 3
        4              -> late 4
        """,
    ),
    "with a lateness": (
        Tumbling("1ms"),
        {"bound": "0ms", "allowed_lateness": "1ms"},
        """
        1              ->
        2              -> 1..2 of 1, on time 0
        5              -> 2..3 of 2, on time 0 last
        3              -> late 3
        4              -> 4..5 of 4, late 0
        """,
    ),
}


@pytest.mark.parametrize("title", STORIES)
def test_windows_and_lateness(title: str) -> None:
    assigner, options, story = STORIES[title]
    tell(assigner, story, **options)


async def test_results_of_one_step_come_in_the_order_of_the_ends_whatever_the_key() -> None:
    source, sink = MemorySource[tuple[str, int]](), MemorySink[tuple[str, WindowResult[int]]]()
    app = App("order", trigger=Interval("1s"))
    keyed = app.source(source).event_time(lambda pair: pair[1]).key_by(lambda pair: pair[0])
    keyed.window(TENS).aggregate(count()).to(sink)
    async with Driver(app) as driver:
        source.send([("b", 21), ("a", 1), ("b", 1), ("a", 11), ("c", 100)])
        await driver.tick()
    ends = [(result.end, key) for key, result in sink.values]
    assert [end for end, _ in ends] == [10, 10, 20, 30]
    assert sorted(ends) == [(10, "a"), (10, "b"), (20, "a"), (30, "b")]


def test_windows_of_processing_time_hold_the_batches_until_their_ends() -> None:
    # A batch at 10 s has the records that came before 10 s: they are in the window that ends then. In Flink a record
    # that comes between the firing and the end of a window makes a second result of it.
    tens = output([[1], *[[]] * 7, [2], [3], [4]], lambda s: s.window(Tumbling("10s")).aggregate(count()))
    assert tens[9:] == [[WindowResult(0, 10_000, 3)], []]
    assert tens[:9] == [[]] * 9
    sessions = output([[1], [2], *[[]] * 4, [3]], lambda s: s.window(Session("3s")).aggregate(count()))
    assert sessions[:4] == [[]] * 4
    assert [(result.start, result.end, result.value) for result in sessions[4]] == [(999, 4_999, 2)]


class Shifts(Assigner):
    """Two shifts of three milliseconds in each ten, and a night in which there is none."""

    def assign(self, timestamp: int) -> Iterable[Window]:
        start = timestamp - timestamp % 10
        for shift in (Window(start, start + 3), Window(start + 2, start + 5)):
            if shift.start <= timestamp < shift.end:
                yield shift


def test_a_record_without_a_window_is_neither_in_a_result_nor_late() -> None:
    tell(
        Shifts(),
        """
        0 2 4 7         ->
        watermark=3     -> 0..3 of 0 2, on time 0 last
        0 2 7           -> late 0
        watermark=5     -> 2..5 of 2 2 4, on time 0 last
        2 7 12          -> late 2
        end             -> 10..13 of 12, on time 0 last; 12..15 of 12, on time 0 last
        """,
    )


class ShiftsOfTheFirstDay(Shifts):
    """The same, for a hundred milliseconds."""

    def assign(self, timestamp: int) -> Iterable[Window]:
        if timestamp >= 100:
            raise ValueError("the first day is over")
        return super().assign(timestamp)


@pytest.mark.parametrize(("times", "dropped"), [([0, 7, 2, 8, 9], 3), ([0, 7, 100, 2, 8, 9, 107], 3), ([0, 2, 4], 0)])
async def test_a_record_without_a_window_is_counted(times: list[int], dropped: int) -> None:
    source = MemorySource([times])
    source.close()
    app = App("shifts", trigger=Interval("1s"))
    windows = app.source(source).event_time(lambda time: time).window(ShiftsOfTheFirstDay())
    windows.aggregate(count(), name="counts", on_error="skip").to(MemorySink())
    driver = Driver(app)
    await driver.start()
    await driver.finish()
    metrics = driver.metrics.operators["counts"]
    assert (metrics.dropped, metrics.late, metrics.skipped) == (dropped, 0, sum(time >= 100 for time in times))
