"""The rules of Spark's Structured Streaming: windows, watermarks, output modes, sessions, several watermarks.

Spark moves the watermark behind a batch, and gives what it closes with the next one, which it runs without records for
that; here the batch itself gives it. Where streamproc differs on purpose, a test says so. For what a line of a story
means see `story`.
"""

from __future__ import annotations

from typing import Any

import pytest

from streamproc import (
    AfterCount,
    App,
    Asap,
    AtWatermark,
    PipelineError,
    Session,
    Sliding,
    Tumbling,
    WindowResult,
    collect,
    count,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver, run
from streamproc.watermark import START_OF_TIME
from streamproc.windowing.slices import slices_of
from tests.windowing.story import tell

FIVES = Tumbling("5ms")
TENS = Tumbling("10ms")
SECOND, MINUTE = 1_000, 60_000
AT_19_39 = (19 * 60 + 39) * MINUTE


@pytest.mark.parametrize(
    ("assigner", "second", "starts"),
    [
        (Tumbling("10s"), 30, [30]),
        (Tumbling("10s", offset="5s"), 25, [25]),
        (Tumbling("10s", offset="5s"), 30, [25]),
        (Tumbling("10s", offset="5s"), 56, [55]),
        (Sliding("10s", every="3s"), 27, [18, 21, 24, 27]),
        (Sliding("10s", every="3s"), 34, [27, 30, 33]),
        (Sliding("10s", every="3s"), 56, [48, 51, 54]),
        (Sliding("12m", every="5m"), 1_560, [960, 1_260, 1_560]),
        (Sliding("12m", every="5m", offset="2m"), 1_560, [1_080, 1_380]),
    ],
)
def test_windows_of_a_record(assigner: Any, second: int, starts: list[int]) -> None:
    # 19:39:00 is a multiple of 3 s and no multiple of 5 min: 1,560 s later it is 20:05.
    slices = slices_of(assigner)
    ends = slices.ends_of(slices.start(AT_19_39 + second * SECOND), START_OF_TIME, 1 << 60)
    assert [slices.window(end).start for end in ends] == [AT_19_39 + start * SECOND for start in starts]


STORIES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a record behind the watermark is in a window that is open": (
        FIVES,
        {"bound": "10ms"},
        """
        15        ->
        10 12 14  ->
        25        -> 10..15 of 10 12 14, on time 0 last
        """,
    ),
    "append": (
        FIVES,
        {"bound": "10ms"},
        """
        10 11 12 13 14 15  ->
        25                 -> 10..15 of 10 11 12 13 14, on time 0 last
        10                 -> late 10
        """,
    ),
    "a window refuses records from when it is given": (
        TENS,
        {"bound": "0ms"},
        """
        a:1  ->
        b:9  ->
        a:2  ->
        b:10 -> a 0..10 of 1 2, on time 0 last; b 0..10 of 9, on time 0 last
        a:3  -> late a 3
        """,
    ),
    "with a delay": (
        TENS,
        {"bound": "3ms"},
        """
        a:1 b:12  ->
        b:13      -> a 0..10 of 1, on time 0 last
        a:9       -> late a 9
        """,
    ),
    "update: nothing is given at the close": (
        FIVES,
        {"bound": "10ms", "emit": "update"},
        """
        10 11 12 13 14 15  -> 10..15 of 10 11 12 13 14, early 0; 15..20 of 15, early 0
        25                 -> 25..30 of 25, early 0
        10 25              -> 25..30 of 25 25, early 1; late 10
        10                 -> late 10
        """,
    ),
    # Spark's complete mode gives all windows each time, and keeps them for ever.
    "complete is windows that never close": (
        FIVES,
        {"bound": "10ms", "trigger": AtWatermark(early=AfterCount(1)), "allowed_lateness": "3650000d"},
        """
        10 11 12  -> 10..15 of 10 11 12, early 0
        25        -> 10..15 of 10 11 12, on time 1; 25..30 of 25, early 0
        25        -> 25..30 of 25 25, early 1
        12        -> 10..15 of 10 11 12 12, late 2
        """,
    ),
    "the order within a batch means nothing": (
        TENS,
        {"bound": "0ms"},
        """
        a:1 b:1000 a:2  -> a 0..10 of 1 2, on time 0 last
        a:3             -> late a 3
        """,
    ),
    "a record goes into those of its windows that are open": (
        Sliding("10ms", every="5ms"),
        {"bound": "0ms"},
        """
        12  ->
        6   ->
        7   ->
        1   -> late 1
        15  -> 5..15 of 6 7 12, on time 0 last
        """,
    ),
    # Spark groups by the time itself, and what is at the watermark is late; here it is the first that is not.
    "by the time itself": (
        Tumbling("1ms"),
        {"bound": "10ms"},
        """
        10      ->
        25      -> 10..11 of 10, on time 0 last
        14 15   -> late 14
        26      -> 15..16 of 15, on time 0 last
        """,
    ),
    "several runs": (
        FIVES,
        {"bound": "10ms"},
        """
        10 11 12 13 14 15  ->
        25                 -> 10..15 of 10 11 12 13 14, on time 0 last
        10 27 30           -> 15..20 of 15, on time 0 last; late 10
        17                 -> late 17
        40                 -> 25..30 of 25 27, on time 0 last
        """,
    ),
    # Spark drops these, as its first watermark is the epoch.
    "windows that reach to before the epoch": (
        Sliding("10ms", every="5ms"),
        {"bound": "0ms"},
        """
        2   ->
        10  -> -5..5 of 2, on time 0 last; 0..10 of 2, on time 0 last
        """,
    ),
}


@pytest.mark.parametrize("title", STORIES)
def test_windows_and_output_modes(title: str) -> None:
    assigner, options, story = STORIES[title]
    tell(assigner, story, **options)


SESSION = Session("10s", touching=True)
SESSIONS: dict[str, tuple[str, str]] = {
    "exactly a gap apart": (
        "100s",
        """
        a:1@100000 a:2@110000 a:3@120001 ->
        end -> a 100000..120001 of 1 2, on time 0 last; a 120001..130002 of 3, on time 0 last
        """,
    ),
    "over several batches": (
        "100s",
        """
        a:1@100000   ->
        a:2@110000   ->
        a:3@90000    ->
        a:4@121000   ->
        b:5@1000000  -> a 90000..120001 of 1 2 3, on time 0 last; a 121000..131001 of 4, on time 0 last
        """,
    ),
    "a bridge": (
        "100s",
        """
        a:1@100000   ->
        a:2@120000   ->
        a:3@110000   ->
        b:5@1000000  -> a 100000..130001 of 1 2 3, on time 0 last
        """,
    ),
    "words": (
        "30s",
        """
        hello:1@40000 spark:2@40000 stream:3@40000  ->
        hello:4@41000 stream:5@41000                ->
        spark:6@25000 stream:7@25000                ->
        spark:8@0 stream:9@0                        -> late spark 8; late stream 9
        spark:10@30000 stream:11@30000              ->
        hello:12@60000                              ->
        stream:13@90000 -> hello 40000..51001 of 1 4, on time 0 last; spark 25000..50001 of 2 6 10, on time 0 last
                           stream 25000..51001 of 3 5 7 11, on time 0 last
        """,
    ),
    "at the end": (
        "0s",
        """
        a:1@100000   ->
        b:2@110000   ->
        b:3@110001   -> a 100000..110001 of 1, on time 0 last
        """,
    ),
    # Spark judges a record by its own gap unless an option has it merge the batch first.
    "a record of an open session is not late": (
        "0s",
        """
        a:1@100000 a:2@109000  ->
        b:3@112000             ->
        a:4@101000             ->
        a:5@103000             ->
        b:6@150000             -> a 100000..119001 of 1 2 4 5, on time 0 last; b 112000..122001 of 3, on time 0 last
        """,
    ),
    "out of order in a batch": (
        "0s",
        """
        a:1@41000 a:2@42000 a:3@40000  ->
        b:4@100000 b:5@101000          -> a 40000..52001 of 1 2 3, on time 0 last
        """,
    ),
}


@pytest.mark.parametrize("title", SESSIONS)
def test_session_windows(title: str) -> None:
    bound, story = SESSIONS[title]
    tell(SESSION, story, bound=bound)


@pytest.mark.parametrize(
    ("starts", "sessions"),
    [
        ([100, 100, 105, 113], [(100, 124, 4)]),
        ([110, 115, 117, 125], [(110, 136, 4)]),
        ([100, 105, 125, 127], [(100, 116, 2), (125, 138, 2)]),
        ([100, 100, 115, 119], [(100, 111, 2), (115, 130, 2)]),
        ([110, 115, 127, 135], [(110, 126, 2), (127, 146, 2)]),
    ],
)
def test_rows_make_sessions_in_any_order(starts: list[int], sessions: list[tuple[int, int, int]]) -> None:
    for rows in (starts, starts[::-1]):
        found: list[WindowResult[int]] = run(
            rows, lambda s: s.event_time(lambda t: t).window(Session("10ms", touching=True)).aggregate(count())
        )
        assert [(result.start, result.end, result.value) for result in found] == sessions


async def test_windows_of_windows_drop_what_is_late_for_the_first_and_no_more() -> None:
    source, sink = MemorySource[int](), MemorySink[WindowResult[list[int]]]()
    app = App("chained", trigger=Asap())
    fives = app.source(source).event_time(lambda time: time).window(FIVES).aggregate(count(), name="fives")
    fives.map(lambda result: result.value).window(TENS).aggregate(collect(), name="tens").to(sink)
    async with Driver(app) as driver:
        source.send(range(10, 22))
        await driver.settle()
        assert sink.values == [WindowResult(10, 20, [5, 5])]
        source.send(range(10, 30))
        await driver.settle()
        assert sink.values[1:] == []
        source.send([30, 31])
        await driver.settle()
        assert sink.values[1:] == [WindowResult(20, 30, [7, 5])]
        assert driver.metrics.operators["fives"].late == 10
        assert driver.metrics.operators["tens"].late == 0


class TwoStreams:
    """Two streams with watermarks of their own, and the watermark of both together."""

    def __init__(self, first: str, second: str) -> None:
        self.sources = MemorySource[int](), MemorySource[int]()
        app = App("two", trigger=Asap())
        streams = [
            app.source(source).event_time(lambda time: time, out_of_orderness=bound, idle_after=None)
            for source, bound in zip(self.sources, (first, second), strict=True)
        ]
        streams[0].union(streams[1]).window(Tumbling("1ms")).aggregate(count(), name="both").to(MemorySink())
        self.driver = Driver(app)

    async def send(self, first: list[int], second: list[int]) -> int:
        """Send to one or both, and return the watermark."""
        for source, times in zip(self.sources, (first, second), strict=True):
            if times:
                source.send(times)
        await self.driver.settle()
        watermark: int = self.driver.state("both", "through")[None]
        return watermark


async def test_the_slowest_of_several_watermarks_counts() -> None:
    # Spark can be asked for the fastest; here a stream that is not to hold the others is idle after some time. A stream
    # that has given nothing counts as the epoch in Spark, here as no watermark at all.
    streams = TwoStreams("10ms", "5ms")
    async with streams.driver:
        assert await streams.send([11], []) == START_OF_TIME
        assert await streams.send([], [6]) == 1
        assert await streams.send([], [8]) == 1
        assert await streams.send([21], []) == 3
        assert await streams.send([], [17, 28, 39]) == 11
        assert await streams.send([31], []) == 21
        assert await streams.send([41], []) == 31
        assert await streams.send([51], []) == 34
        assert await streams.send([100], [100]) == 90
        assert await streams.send([120], [110]) == 105
        assert await streams.send([130], [125]) == 120
        assert await streams.send([100], [100]) == 120
        assert await streams.send([140], [100]) == 120
        assert await streams.send([100], [135]) == 130
        assert await streams.send([200], [190]) == 185
        await streams.driver.stop()
        await streams.driver.restart()
        assert await streams.send([], [200]) == 190, "each stream knows its own after a restart: Spark says 185"
        assert await streams.send([210], []) == 195


def test_a_record_without_a_time_fails_or_is_skipped() -> None:
    # Spark leaves it out without a word.
    times: list[int | None] = [3, None, 5]
    found: list[WindowResult[int]] = run(
        times,
        lambda s: s.event_time(lambda t: t, on_error="skip").window(TENS).aggregate(count()),
    )
    assert found == [WindowResult(0, 10, 2)]


@pytest.mark.parametrize("delay", ["-1s", "0.5ms"])
def test_the_delay_is_no_less_than_zero(delay: str) -> None:
    with pytest.raises(PipelineError, match="out_of_orderness of event_time-1 is"):
        App("wrong").source(MemorySource[int]()).event_time(lambda time: time, out_of_orderness=delay)
