"""The rules of Kafka Streams' windows, grace, final results, sessions and sliding windows, one by one.

The stream time of Kafka Streams is the newest time that has come: a watermark without a bound on disorder. Each line
here is a batch of its own, as Kafka Streams takes records one by one. Where streamproc differs on purpose, a test says
so. For what a line of a story means see `story`.
"""

from __future__ import annotations

from typing import Any

import pytest

from streamproc import App, Asap, Interval, Sliding, Tumbling, WindowResult, count
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver, run
from tests.windowing.story import tell

Story = tuple[Any, dict[str, Any], str]

TENS = Tumbling("10ms")
HOPPING = Sliding("10ms", every="5ms")
FINAL: dict[str, Any] = {"emit": "final"}
UPDATE: dict[str, Any] = {"emit": "update"}

WINDOWS: dict[str, Story] = {
    "windows start at multiples of their size": (
        Tumbling("12ms"),
        FINAL,
        "21 -> \n end -> 12..24 of 21, on time 0 last",
    ),
    "hopping windows in the order of their ends": (
        Sliding("12ms", every="5ms"),
        FINAL,
        """
        21  ->
        end -> 10..22 of 21, on time 0 last; 15..27 of 21, on time 0 last; 20..32 of 21, on time 0 last
        """,
    ),
    "hopping windows that hardly overlap": (
        Sliding("6ms", every="5ms"),
        FINAL,
        "7 -> \n end -> 5..11 of 7, on time 0 last",
    ),
    # Kafka Streams has no window that starts before the epoch.
    "hopping windows around the epoch": (
        HOPPING,
        FINAL,
        "4 -> \n end -> -5..5 of 4, on time 0 last; 0..10 of 4, on time 0 last",
    ),
    "an update for each batch that changes a window": (
        HOPPING,
        {"emit": "update", "allowed_lateness": "100ms"},
        """
        a:1@10         -> a 5..15 of 1, early 0; a 10..20 of 1, early 0
        b:2@11         -> b 5..15 of 2, early 0; b 10..20 of 2, early 0
        a:1@12         -> a 5..15 of 1 1, early 1; a 10..20 of 1 1, early 1
        b:2@13 b:3@13  -> b 5..15 of 2 2 3, early 1; b 10..20 of 2 2 3, early 1
        a:4@14         -> a 5..15 of 1 1 4, early 2; a 10..20 of 1 1 4, early 2
        """,
    ),
    "the grace ends at the end and so much": (
        TENS,
        {"emit": "update", "allowed_lateness": "5ms"},
        """
        a:0 b:0  -> a 0..10 of 0, early 0; b 0..10 of 0, early 0
        b:14     -> b 10..20 of 14, early 0
        a:15     -> a 10..20 of 15, early 0
        a:2      -> late a 2
        """,
    ),
    "a record far behind": (
        TENS,
        {"emit": "update", "allowed_lateness": "90ms"},
        """
        200                      -> 200..210 of 200, early 0
        100 101 102 103 104 105  -> late 100; late 101; late 102; late 103; late 104; late 105
        6                        -> late 6
        """,
    ),
    # Kafka Streams counts a drop for each window; here a record is late if no window takes it.
    "grace is a matter of each window": (
        HOPPING,
        {"allowed_lateness": "90ms"},
        """
        100        ->
        0 1 2 3 4  -> late 0; late 1; late 2; late 3; late 4
        5          -> 5..15 of 5, late 0
        6          -> 5..15 of 5 6, late 1
        105        -> 95..105 of 100, on time 0
        106        ->
        """,
    ),
    "the same without grace": (
        HOPPING,
        {},
        """
        10  ->
        6   ->
        4   -> late 4
        15  -> 5..15 of 6 10, on time 0 last
        """,
    ),
}

CLOSES: dict[str, Story] = {
    "a result at the end of the grace": (
        TENS,
        {"emit": "final", "allowed_lateness": "5ms"},
        """
        a:0   ->
        b:14  ->
        a:1   ->
        b:15  -> a 0..10 of 0 1, on time 0 last
        a:2   -> late a 2
        """,
    ),
    "time that has not come far enough": (
        HOPPING,
        {"emit": "final", "allowed_lateness": "5ms"},
        """
        a:1@5 b:2@5  ->
        c:3@15       -> a 0..10 of 1, on time 0 last; b 0..10 of 2, on time 0 last
        d:4@15       ->
        e:5@19       ->
        e:6@20       -> a 5..15 of 1, on time 0 last; b 5..15 of 2, on time 0 last
        """,
    ),
    "all keys of a window close together": (
        TENS,
        FINAL,
        """
        a:0 b:1 c:2  ->
        a:9          ->
        a:15         -> a 0..10 of 0 9, on time 0 last; b 0..10 of 1, on time 0 last; c 0..10 of 2, on time 0 last
        """,
    ),
    "windows of 500": (
        Tumbling("500ms"),
        FINAL,
        """
        1:1@10 1:2@15  ->
        1:3@500        -> 1 0..500 of 1 2, on time 0 last
        2:10@550       ->
        2:20@500       ->
        2:30@1000      -> 1 500..1000 of 3, on time 0 last; 2 500..1000 of 10 20, on time 0 last
        """,
    ),
    # Kafka Streams' onWindowClose loses windows when time jumps over what its store keeps.
    "a jump of time loses nothing": (
        TENS,
        FINAL,
        """
        a:0     ->
        a:9     ->
        a:10    -> a 0..10 of 0 9, on time 0 last
        a:1000  -> a 10..20 of 10, on time 0 last
        """,
    ),
    "nor in hopping windows": (
        HOPPING,
        FINAL,
        """
        a:1@0 a:2@5 a:3@10   -> a -5..5 of 1, on time 0 last; a 0..10 of 1 2, on time 0 last
        b:4@6                ->
        b:5@11               ->
        b:6@15               -> a 5..15 of 2 3, on time 0 last; b 5..15 of 4 5, on time 0 last
        c:7@25               -> a 10..20 of 3, on time 0 last; b 10..20 of 5 6, on time 0 last
                                b 15..25 of 6, on time 0 last
        """,
    ),
    "nor in those of a long history": (
        Sliding("10ms", every="1ms"),
        FINAL,
        "a:10 ->\n b:20 -> " + "; ".join(f"a {start}..{start + 10} of 10, on time 0 last" for start in range(1, 11)),
    ),
    "suppressed updates are one result": (
        Tumbling("2ms"),
        {"emit": "final", "allowed_lateness": "1ms"},
        """
        a:0  ->
        a:1  ->
        a:2  ->
        a:1  ->
        a:0  ->
        a:5  -> a 0..2 of 0 0 1 1, on time 0 last; a 2..4 of 2, on time 0 last
        a:0  -> late a 0
        """,
    ),
    "a large jump": (
        Tumbling("2ms"),
        {"emit": "final", "allowed_lateness": "2ms"},
        """
        a:0  ->
        a:1  ->
        a:2  ->
        a:0  ->
        a:3  ->
        a:0  ->
        a:4  -> a 0..2 of 0 0 0 1, on time 0 last
        a:0  -> late a 0
        a:30 -> a 2..4 of 2 3, on time 0 last; a 4..6 of 4, on time 0 last
        """,
    ),
}


@pytest.mark.parametrize("title", WINDOWS)
def test_windows_and_grace(title: str) -> None:
    assigner, options, story = WINDOWS[title]
    tell(assigner, story, bound="0ms", **options)


@pytest.mark.parametrize("title", CLOSES)
def test_one_result_at_the_close(title: str) -> None:
    assigner, options, story = CLOSES[title]
    tell(assigner, story, bound="0ms", **options)


def test_values_are_aggregated_in_the_order_in_which_they_come() -> None:
    texts = [[("b", 5)], [("a", 3)], [("d", 9), ("c", 1)]]
    found: list[WindowResult[str]] = run(
        texts,
        lambda s: (
            s.event_time(lambda pair: pair[1])
            .map(lambda pair: pair[0])
            .window(TENS)
            .reduce(lambda one, other: one + other)
        ),
    )
    assert found == [WindowResult(0, 10, "badc")]


def test_no_key_is_a_key() -> None:
    # Kafka Streams leaves records without a key out.
    found: list[Any] = run(
        [5, 7], lambda s: s.event_time(lambda t: t).key_by(lambda _: None).window(TENS).aggregate(count())
    )
    assert found == [(None, WindowResult(0, 10, 2))]


class Silence:
    """Two partitions, in windows of ten milliseconds, that fall silent."""

    def __init__(self, idle_after: str | None) -> None:
        self.source, self.sink = MemorySource[int](partitions=2), MemorySink[WindowResult[int]]()
        app = App("silence", trigger=Asap())
        times = app.source(self.source).event_time(lambda time: time, idle_after=idle_after)
        times.window(TENS).aggregate(count()).to(self.sink)
        self.driver = Driver(app)

    async def after(self, duration: str) -> list[int]:
        """Return the starts of the windows that are given when so much time has passed."""
        await self.driver.advance(duration)
        return [result.start for result in self.sink.values]


async def test_without_records_nothing_closes_if_time_is_not_to_pass() -> None:
    silence = Silence(idle_after=None)
    async with silence.driver:
        silence.source.send([1], partition=0)
        silence.source.send([2], partition=1)
        assert await silence.after("100h") == []


async def test_an_empty_partition_is_waited_for_as_long_as_is_said_and_no_longer() -> None:
    # In Kafka Streams nothing closes without a record; here the clock goes on where the records have stopped.
    silence = Silence(idle_after="1s")
    async with silence.driver:
        silence.source.send([1, 25], partition=0)
        assert await silence.after("500ms") == []
        silence.source.send([26], partition=0)
        assert await silence.after("499ms") == []
        assert await silence.after("1ms") == [0]
        assert await silence.after("499ms") == [0]
        assert await silence.after("1ms") == [0, 20]


@pytest.mark.parametrize(("before", "starts"), [(True, []), (False, [0])])
async def test_a_record_that_is_left_out_moves_time_if_it_had_one(before: bool, starts: list[int]) -> None:
    # The time of Kafka Streams is that of each operator: what doesn't reach it doesn't move it.
    source, sink = MemorySource[int](), MemorySink[WindowResult[int]]()
    app = App("filtered", trigger=Asap())
    stream = app.source(source)
    kept = stream.filter(lambda time: time < 100) if before else stream
    kept.event_time(lambda time: time).filter(lambda time: time < 100).window(TENS).aggregate(count()).to(sink)
    async with Driver(app) as driver:
        source.send([1, 1_000])
        await driver.settle()
        assert [result.start for result in sink.values] == starts


async def test_time_goes_on_from_where_it_was_after_a_restart() -> None:
    # The windows of Kafka Streams begin without a time of their own, so that a late record may be taken.
    source, sink = MemorySource[int](), MemorySink[int]()
    app = App("restarted", trigger=Interval("1s"))
    app.source(source).event_time(lambda time: time).window(TENS).aggregate(count()).late().to(sink)
    driver = Driver(app)
    await driver.start()
    source.send([1, 15])
    await driver.tick()
    await driver.stop()
    await driver.restart()
    source.send([2, 16])
    await driver.tick()
    await driver.stop()
    assert sink.values == [2]
