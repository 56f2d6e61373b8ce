"""The rules of Apache Beam's triggers: counts, delays, combinations, and triggers that end a window.

Where streamproc differs on purpose, a test says so. For what a line of a story means see `story`.
"""

from __future__ import annotations

from typing import Any

import pytest

from streamproc import (
    AfterCount,
    AfterDelay,
    AllOf,
    AnyOf,
    App,
    Asap,
    AtWatermark,
    Global,
    OnClose,
    Repeated,
    Sliding,
    Tumbling,
    count,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from streamproc.windowing import WindowTrigger
from tests.windowing.story import tell

TENS = Tumbling("10ms")
TWO = Repeated(AfterCount(2))
COUNTS: dict[str, tuple[dict[str, Any], str]] = {
    "what is left is given at the close": (
        {"trigger": TWO},
        """
        1             ->
        2             -> 0..10 of 1 2, early 0
        3             ->
        watermark=10  -> 0..10 of 3, on time 1 last
        """,
    ),
    # Beam gives an empty pane where the end is the close.
    "nothing is given at the close if nothing is left": (
        {"trigger": TWO},
        """
        1 2           -> 0..10 of 1 2, early 0
        watermark=10  ->
        """,
    ),
    "nothing is given at the end if the trigger does not wait for the watermark": (
        {"trigger": TWO, "allowed_lateness": "100ms"},
        """
        1 2            -> 0..10 of 1 2, early 0
        3              ->
        watermark=10   ->
        watermark=50   ->
        4              -> 0..10 of 3 4, on time 1
        5              ->
        watermark=110  -> 0..10 of 5, late 2 last
        """,
    ),
    "a window that waits at its end is on time when a late record fills it": (
        {"trigger": TWO, "allowed_lateness": "100ms"},
        """
        1              ->
        watermark=50   ->
        2              -> 0..10 of 1 2, on time 0
        3              ->
        watermark=110  -> 0..10 of 3, late 1 last
        """,
    ),
    "a trigger that is asked once a batch takes the whole batch": (
        {"trigger": TWO},
        """
        1 2 3 4 5     -> 0..10 of 1 2 3 4 5, early 0
        6             ->
        watermark=10  -> 0..10 of 6, on time 1 last
        """,
    ),
    "early and late triggers count for themselves": (
        {"trigger": AtWatermark(early=AfterCount(3), late=AfterCount(2)), "allowed_lateness": "100ms"},
        """
        1 2            ->
        3 4            -> 0..10 of 1 2 3 4, early 0
        5 6            ->
        7              -> 0..10 of 5 6 7, early 1
        8 watermark=10 -> 0..10 of 8, on time 2
        1 2            -> 0..10 of 1 2, late 3
        3              ->
        4              -> 0..10 of 3 4, late 4
        5              ->
        watermark=110  -> 0..10 of 5, late 5 last
        """,
    ),
    "records before the end do not count for the late trigger": (
        {"trigger": AtWatermark(late=AfterCount(2)), "allowed_lateness": "10ms"},
        """
        1             ->
        watermark=10  -> 0..10 of 1, on time 0
        2             ->
        3             -> 0..10 of 2 3, late 1
        """,
    ),
    "late records that are too few come out at the close": (
        {"trigger": AtWatermark(early=AfterCount(2), late=AfterCount(2)), "allowed_lateness": "10ms"},
        """
        1 2           -> 0..10 of 1 2, early 0
        3             ->
        watermark=10  -> 0..10 of 3, on time 1
        4             ->
        5             -> 0..10 of 4 5, late 2
        6             ->
        watermark=20  -> 0..10 of 6, late 3 last
        """,
    ),
    "each window counts for itself": (
        {"trigger": AtWatermark(early=AfterCount(2))},
        """
        1 2            -> 0..10 of 1 2, early 0
        4              ->
        14             ->
        5              -> 0..10 of 4 5, early 1
        18             -> 10..20 of 14 18, early 0
        6              ->
        watermark=100  -> 0..10 of 6, on time 2 last
        """,
    ),
    "a late trigger that is never ready leaves all to the close": (
        {"trigger": AtWatermark(early=AfterCount(2), late=OnClose()), "allowed_lateness": "50ms"},
        """
        1 2           -> 0..10 of 1 2, early 0
        3             ->
        watermark=10  -> 0..10 of 3, on time 1
        4             ->
        5             ->
        end           -> 0..10 of 4 5, late 2 last
        """,
    ),
    "a trigger that is never ready leaves all to the close": (
        {"trigger": OnClose(), "allowed_lateness": "10ms"},
        """
        1             ->
        watermark=10  ->
        watermark=19  ->
        watermark=20  -> 0..10 of 1, on time 0 last
        """,
    ),
    "any of two": (
        {"trigger": Repeated(AnyOf(AfterCount(2), AtWatermark())), "allowed_lateness": "100ms"},
        """
        1 2            -> 0..10 of 1 2, early 0
        3 watermark=20 -> 0..10 of 3, on time 1
        4              -> 0..10 of 4, late 2
        watermark=250  ->
        """,
    ),
}


@pytest.mark.parametrize(("options", "story"), COUNTS.values(), ids=list(COUNTS))
def test_counts_of_records(options: dict[str, Any], story: str) -> None:
    tell(TENS, story, panes="discarding", **options)


@pytest.mark.parametrize(
    ("trigger", "story"),
    [
        (
            AfterCount(2),
            """
            1 2           -> 0..10 of 1 2, early 0 last
            3             -> late 3
            watermark=10  ->
            watermark=20  ->
            """,
        ),
        (
            AnyOf(AfterCount(2), AtWatermark()),
            """
            1             ->
            2             -> 0..10 of 1 2, early 0 last
            3             -> late 3
            watermark=10  ->
            """,
        ),
        (
            AllOf(AfterCount(2), AtWatermark()),
            """
            1             ->
            watermark=10  ->
            2             -> 0..10 of 1 2, on time 0 last
            3             -> late 3
            """,
        ),
        (
            AllOf(AfterCount(2), AtWatermark()),
            """
            1 2           ->
            watermark=10  -> 0..10 of 1 2, on time 0 last
            3             -> late 3
            """,
        ),
        (
            AfterCount(3),
            """
            1 2           ->
            watermark=10  ->
            watermark=20  -> 0..10 of 1 2, on time 0 last
            """,
        ),
    ],
)
def test_a_trigger_that_is_not_repeated_ends_the_window_with_its_result(trigger: Any, story: str) -> None:
    tell(TENS, story, trigger=trigger, allowed_lateness="10ms")


def test_a_record_is_late_if_all_of_its_windows_are_ended_or_closed() -> None:
    tell(
        Sliding("10ms", every="5ms"),
        """
        7             -> 0..10 of 7, early 0 last; 5..15 of 7, early 0 last
        8             -> late 8
        12            -> 10..20 of 12, early 0 last
        watermark=10  ->
        9 17          -> 15..25 of 17, early 0 last; late 9
        """,
        trigger=AfterCount(1),
    )


DELAYS: dict[str, tuple[Any, str]] = {
    # Beam fires once the time is behind the deadline, a moment later.
    "from the first record of a pane, which later ones do not move": (
        Repeated(AfterDelay("5s")),
        """
        1 now=10s    ->
        2 now=12s    ->
        now=14s      ->
        now=15s      -> 0..10 of 1 2, early 0
        3 now=16s    ->
        now=20s      ->
        now=21s      -> 0..10 of 3, early 1
        now=100s     ->
        """,
    ),
    "all of a count and a delay": (
        Repeated(AllOf(AfterCount(2), AfterDelay("5s"))),
        """
        1 now=1s     ->
        2 now=2s     ->
        now=5s       ->
        now=6s       -> 0..10 of 1 2, early 0
        3 now=7s     ->
        now=12s      ->
        4 now=13s    -> 0..10 of 3 4, early 1
        """,
    ),
    "any of a count and a delay": (
        Repeated(AnyOf(AfterCount(3), AfterDelay("5s"))),
        """
        1 now=1s     ->
        2 now=2s     ->
        now=5s       ->
        now=6s       -> 0..10 of 1 2, early 0
        3 now=7s     ->
        4 now=8s     ->
        5 now=9s     -> 0..10 of 3 4 5, early 1
        now=20s      ->
        6 now=21s    ->
        now=26s      -> 0..10 of 6, early 2
        """,
    ),
    "a delay does not outlive its window": (
        Repeated(AfterDelay("5s")),
        """
        1 now=1s           ->
        2 now=2s           ->
        watermark=10 now=3s -> 0..10 of 1 2, on time 0 last
        now=20s            ->
        """,
    ),
}


@pytest.mark.parametrize(("trigger", "story"), DELAYS.values(), ids=list(DELAYS))
def test_delays(trigger: Any, story: str) -> None:
    tell(TENS, story, trigger=trigger, panes="discarding")


def test_the_global_window_gives_what_its_trigger_says_and_the_rest_when_the_input_ends() -> None:
    threes = Repeated(AfterCount(3))
    tell(
        Global(),
        "1 2 3 -> always of 1 2 3, early 0\n4 5 ->\nend -> always of 4 5, on time 1 last",
        trigger=threes,
        panes="discarding",
    )
    tell(Global(), "1 ->\nwatermark=1000 ->\nend -> always of 1, on time 0 last")


def test_a_result_does_not_wait_for_a_delay_that_nothing_needs() -> None:
    tell(
        TENS,
        """
        1 now=1s    ->
        now=2s      -> 0..10 of 1, early 0
        2 now=20s   ->
        now=21s     -> 0..10 of 1 2, early 1
        """,
        trigger=Repeated(AllOf(AfterDelay("1s"), AnyOf(AfterCount(1), AfterDelay("9s")))),
    )


RECORDS_AND_TIME = AllOf(AfterCount(2), AfterDelay("3s"))


@pytest.mark.parametrize(
    ("trigger", "results"),
    [
        (Repeated(RECORDS_AND_TIME), 0),
        (AtWatermark(early=RECORDS_AND_TIME), 0),
        (Repeated(AnyOf(RECORDS_AND_TIME, AfterDelay("6s"))), 1),
    ],
)
async def test_a_trigger_that_waits_for_records_wakes_nobody(trigger: WindowTrigger, results: int) -> None:
    source, sink = MemorySource[int](), MemorySink[Any]()
    app = App("waiting", trigger=Asap())
    times = app.source(source).event_time(lambda time: time, idle_after=None)
    times.window(Tumbling("10ms"), trigger=trigger).aggregate(count()).to(sink)
    driver = Driver(app)
    await driver.start()
    # Three batches are enough: one for the record, and one when each time has come.
    driver.crash_at("after_process", 6)
    source.send([1])
    await driver.advance("10s")
    assert not driver.crashed, "empty batches follow one another without end"
    assert len(sink.values) == results
    await driver.stop()
