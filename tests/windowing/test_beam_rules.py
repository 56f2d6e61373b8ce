"""The rules of Apache Beam's windows, triggers and panes, one by one.

Where streamproc differs on purpose, a test says so. For what a line of a story means see `story`.
"""

from __future__ import annotations

from typing import Any

import pytest

from streamproc import (
    AfterCount,
    App,
    AtWatermark,
    Interval,
    Repeated,
    Sliding,
    Tumbling,
    WindowResult,
    collect,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from streamproc.windowing import WindowTrigger
from streamproc.windowing.slices import slices_of
from tests.windowing.story import tell

TENS = Tumbling("10ms")
EACH = AtWatermark(early=AfterCount(1), late=AfterCount(1))


def windows_of(assigner: Tumbling | Sliding, times: list[int]) -> dict[tuple[int, int], list[int]]:
    """Return the windows of some times, and which times are in them."""
    slices = slices_of(assigner)
    found: dict[tuple[int, int], list[int]] = {}
    for time in times:
        start = slices.start(time)
        for window in map(slices.window, slices.ends_of(start, -(10**6), 10**6)):
            found.setdefault((window.start, window.end), []).append(time)
    return dict(sorted(found.items()))


@pytest.mark.parametrize(
    ("assigner", "times", "windows"),
    [
        (TENS, [1, 2, 5, 9, 10, 11, 100], {(0, 10): [1, 2, 5, 9], (10, 20): [10, 11], (100, 110): [100]}),
        (
            Tumbling("10ms", offset="5ms"),
            [1, 2, 5, 9, 10, 11, 100],
            {(-5, 5): [1, 2], (5, 15): [5, 9, 10, 11], (95, 105): [100]},
        ),
        (
            Sliding("10ms", every="5ms"),
            [1, 2, 5, 9, 10, 11],
            {(-5, 5): [1, 2], (0, 10): [1, 2, 5, 9], (5, 15): [5, 9, 10, 11], (10, 20): [10, 11]},
        ),
        (
            Sliding("7ms", every="5ms"),
            [1, 2, 5, 9, 10, 11],
            {(-5, 2): [1], (0, 7): [1, 2, 5], (5, 12): [5, 9, 10, 11], (10, 17): [10, 11]},
        ),
        (Sliding("3ms", every="3ms"), [1, 2, 3, 4, 5, 6, 7], {(0, 3): [1, 2], (3, 6): [3, 4, 5], (6, 9): [6, 7]}),
        (
            Sliding("10ms", every="5ms", offset="2ms"),
            [1, 2, 5, 9, 10, 11],
            {
                (-8, 2): [1],
                (-3, 7): [1, 2, 5],
                (2, 12): [2, 5, 9, 10, 11],
                (7, 17): [9, 10, 11],
            },
        ),
    ],
)
def test_a_time_is_in_all_windows_that_start_by_then_and_end_behind_it(
    assigner: Tumbling | Sliding, times: list[int], windows: dict[tuple[int, int], list[int]]
) -> None:
    assert windows_of(assigner, times) == windows


@pytest.mark.parametrize(
    ("offset", "time", "window"),
    [
        ("0ms", -1, (-10, 0)),
        ("0ms", -10, (-10, 0)),
        ("0ms", -11, (-20, -10)),
        ("3ms", -8, (-17, -7)),
        ("3ms", -7, (-7, 3)),
    ],
)
def test_windows_before_the_epoch_are_right_where_those_of_beam_are_not(
    offset: str, time: int, window: tuple[int, int]
) -> None:
    assert windows_of(Tumbling("10ms", offset=offset), [time]) == {window: [time]}


def test_a_window_gives_its_result_when_the_watermark_is_at_its_end() -> None:
    tell(
        TENS,
        """
        1 9 watermark=9   ->
        8                 ->
        9                 ->
        watermark=10      -> 0..10 of 1 8 9 9, on time 0 last
        """,
    )


def test_each_sliding_window_has_its_own_end() -> None:
    tell(
        Sliding("100ms", every="50ms"),
        """
        1 60 watermark=49  ->
        watermark=50       -> -50..50 of 1, on time 0 last
        watermark=99       ->
        watermark=100      -> 0..100 of 1 60, on time 0 last
        watermark=150      -> 50..150 of 60, on time 0 last
        """,
    )


def test_a_record_is_late_by_its_window_not_by_its_time() -> None:
    tell(
        TENS,
        """
        12 watermark=15  ->
        13 5 16 18       -> late 5
        watermark=20     -> 10..20 of 12 13 16 18, on time 0 last
        19 20            -> late 19
        """,
    )


@pytest.mark.parametrize(
    ("lateness", "story"),
    [
        (
            "10ms",
            """
            1 watermark=10  -> 0..10 of 1, on time 0
            watermark=19    ->
            2               -> 0..10 of 1 2, late 1
            watermark=20    ->
            3               -> late 3
            """,
        ),
        (
            "25ms",
            """
            watermark=34   ->
            5              -> 0..10 of 5, late 0
            watermark=35   ->
            6              -> late 6
            """,
        ),
    ],
)
def test_the_allowed_lateness_is_over_when_the_watermark_is_so_far_behind_the_end(lateness: str, story: str) -> None:
    tell(TENS, story, allowed_lateness=lateness)


def test_one_pane_is_on_time_and_all_behind_it_are_late() -> None:
    tell(
        TENS,
        """
        1 watermark=10  -> 0..10 of 1, on time 0
        3               -> 0..10 of 1 3, late 1
        4 4             -> 0..10 of 1 3 4 4, late 2
        watermark=110   ->
        """,
        allowed_lateness="100ms",
    )


def test_a_window_whose_first_record_is_late_has_no_pane_on_time() -> None:
    tell(
        TENS,
        """
        watermark=15  ->
        1             -> 0..10 of 1, late 0
        2             -> 0..10 of 1 2, late 1
        """,
        allowed_lateness="10ms",
    )


@pytest.mark.parametrize("trigger", [AtWatermark(), EACH, Repeated(AfterCount(9))])
def test_end_and_close_in_one_step_give_one_pane_that_is_the_last(trigger: WindowTrigger) -> None:
    first = "0..10 of 1, early 0" if trigger == EACH else ""
    index = 1 if trigger == EACH else 0
    tell(
        TENS,
        f"""
        1              -> {first}
        watermark=60   -> 0..10 of 1, on time {index} last
        """,
        trigger=trigger,
        allowed_lateness="50ms",
    )


def test_a_window_without_records_gives_nothing() -> None:
    tell(TENS, "25 watermark=20 -> 20..30 of 25, early 0", trigger=EACH, allowed_lateness="10ms")


@pytest.mark.parametrize(
    ("panes", "at_the_end", "late"),
    [
        ("accumulating", "0..10 of 1, on time 1", "0..10 of 1 3, late 2"),
        # Beam gives an empty pane, unless it is asked for FIRE_IF_NON_EMPTY; then it is this.
        ("discarding", "", "0..10 of 3, late 1"),
        (
            "retracting",
            "back 0..10 of 1, on time 1; 0..10 of 1, on time 1",
            "back 0..10 of 1, late 2; 0..10 of 1 3, late 2",
        ),
    ],
)
def test_at_the_watermark_there_is_a_pane_also_if_nothing_is_new_unless_that_would_be_empty(
    panes: str, at_the_end: str, late: str
) -> None:
    tell(
        TENS,
        f"""
        1             -> 0..10 of 1, early 0
        watermark=10  -> {at_the_end}
        3             -> {late}
        watermark=20  ->
        """,
        trigger=EACH,
        allowed_lateness="10ms",
        panes=panes,
    )


@pytest.mark.parametrize(("panes", "at_the_end"), [("accumulating", "0..10 of 1, on time 1 last"), ("discarding", "")])
def test_without_lateness_that_pane_is_the_last(panes: str, at_the_end: str) -> None:
    story = f"""
        1             -> 0..10 of 1, early 0
        watermark=10  -> {at_the_end}
        """
    tell(TENS, story, trigger=EACH, panes=panes)


FULL_LIFE = """
    1             -> 0..10 of 1, early 0
    2             -> 0..10 of {2}, early 1
    watermark=10  -> {at_the_end}
    3             -> 0..10 of {3}, late {late}
    watermark=20  ->
    4             -> late 4
    """


@pytest.mark.parametrize(
    ("panes", "story"),
    [
        (
            "accumulating",
            FULL_LIFE.format("", "", "1 2", "1 2 3", at_the_end="0..10 of 1 2, on time 2", late=3),
        ),
        ("discarding", FULL_LIFE.format("", "", "2", "3", at_the_end="", late=2)),
    ],
)
def test_the_full_life_of_a_window(panes: str, story: str) -> None:
    tell(TENS, story, trigger=EACH, allowed_lateness="10ms", panes=panes)


def test_a_record_is_in_those_of_its_windows_that_are_open() -> None:
    tell(
        Sliding("10ms", every="5ms"),
        """
        7             ->
        watermark=10  -> 0..10 of 7, on time 0 last
        8             ->
        watermark=15  -> 5..15 of 7 8, on time 0 last
        9             -> late 9
        12            ->
        watermark=20  -> 10..20 of 12, on time 0 last
        """,
    )
    tell(
        Sliding("10ms", every="5ms"),
        """
        7             ->
        watermark=10  -> 0..10 of 7, on time 0
        8             -> 0..10 of 7 8, late 1
        watermark=15  -> 5..15 of 7 8, on time 0
        9             -> 5..15 of 7 8 9, late 1
        watermark=20  ->
        """,
        allowed_lateness="5ms",
    )


def test_late_records_go_into_windows_within_the_lateness_and_no_others() -> None:
    tell(
        TENS,
        """
        1 2 10 11 80 81  ->
        watermark=100    -> 0..10 of 1 2, on time 0 last; 10..20 of 10 11, on time 0 last; 80..90 of 80 81, on time 0
        7 8 17 18        -> late 7; late 8; late 17; late 18
        82               -> 80..90 of 80 81 82, late 1
        """,
        trigger=AtWatermark(early=AfterCount(3)),
        allowed_lateness="20ms",
    )


# A trigger that waits for records only has nothing to give when the watermark is at the end.
@pytest.mark.parametrize("options", [{"emit": "update"}, {"trigger": Repeated(AfterCount(1))}])
def test_what_late_records_alone_have_asked_for_is_late(options: dict[str, Any]) -> None:
    tell(
        TENS,
        """
        1             -> 0..10 of 1, early 0
        watermark=10  ->
        3             -> 0..10 of 1 3, late 1
        4             -> 0..10 of 1 3 4, late 2
        """,
        allowed_lateness="10ms",
        **options,
    )


def test_what_was_waiting_at_the_end_is_on_time_also_if_a_late_record_brings_it_out() -> None:
    tell(
        TENS,
        """
        1             ->
        watermark=10  ->
        2             -> 0..10 of 1 2, on time 0
        3 4           -> 0..10 of 1 2 3 4, late 1
        """,
        trigger=Repeated(AfterCount(2)),
        allowed_lateness="10ms",
    )


async def times_of_results(batches: list[list[int]], **options: Any) -> tuple[list[tuple[int, list[int]]], int]:
    """Return the times of the results as a window behind sees them, and how many are late to it."""
    source, sink = MemorySource[int](), MemorySink[WindowResult[list[list[int]]]]()
    app = App("times", trigger=Interval("1s"))
    first = app.source(source).event_time(lambda time: time, idle_after=None).window(TENS, **options)
    values = first.aggregate(collect()).map(lambda result: sorted(result.value))
    values.window(Tumbling("1ms")).aggregate(collect(), name="behind").to(sink)
    async with Driver(app) as driver:
        for times in batches:
            source.send(times)
            await driver.tick()
        found = [(result.start, value) for result in sink.values for value in result.value]
        return found, driver.metrics.operators["behind"].late


@pytest.mark.parametrize(("result_time", "time"), [("end", 9), ("earliest", 3), ("latest", 5)])
async def test_a_result_has_the_time_that_is_asked_for_and_holds_the_watermark_until_then(
    result_time: Any, time: int
) -> None:
    assert await times_of_results([[3], [5], [12], [13]], result_time=result_time) == ([(time, [3, 5])], 0)


@pytest.mark.parametrize(
    ("batches", "options", "times"),
    [
        # Beam leaves records behind the watermark out when it looks for the earliest time.
        ([[5], [3], [12], [13]], {}, [(5, [3, 5])]),
        # Beam looks at the records of each pane for itself; here it is all of them, but not what would be late.
        (
            [[3], [8], [12], [13]],
            {"trigger": AtWatermark(early=AfterCount(1))},
            [(3, [3]), (3, [3, 8]), (8, [3, 8]), (12, [12]), (12, [12, 13])],
        ),
    ],
)
async def test_no_result_is_late_by_its_time(batches: list[list[int]], options: dict[str, Any], times: Any) -> None:
    assert await times_of_results(batches, result_time="earliest", **options) == (times, 0)
