"""What the operator of a running app is told about a window: whether it is open, who holds it open, when it closes."""

from __future__ import annotations

import operator
from datetime import UTC, datetime
from typing import Any

import pytest

from streamproc import (
    AfterCount,
    App,
    Asap,
    AtWatermark,
    Count,
    Global,
    Interval,
    LookBack,
    PipelineError,
    Repeated,
    Session,
    Sliding,
    Tumbling,
    count,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from streamproc.windowing import WindowAssigner

NOON = 1_700_000_000_000
SECOND = 1_000


class Clicks:
    """An app that counts clicks of two partitions by user."""

    def __init__(self, assigner: WindowAssigner, *, idle_after: str | None = "30s", **options: Any) -> None:
        self.source = MemorySource[tuple[str, int]](partitions=2)
        self.app = App("clicks", trigger=Asap())
        self.driver = Driver(self.app)
        clicks = self.app.source(self.source, name="clicks").event_time(
            lambda click: click[1], out_of_orderness="2s", idle_after=idle_after
        )
        windows: Any = clicks.key_by(lambda click: click[0]).window(assigner, **options)
        windows.aggregate(count(), name="counts").to(MemorySink[Any]())

    async def send(self, partition: int, user: str, seconds: int) -> None:
        self.source.send([(user, NOON + seconds * SECOND)], partition=partition)
        await self.driver.settle()

    def explain(self, user: str, seconds: int) -> list[str]:
        return [explanation.state.status for explanation in self.app.explain_window(user, NOON + seconds * SECOND)]


async def test_it_says_who_holds_a_window_open_and_until_when() -> None:
    clicks = Clicks(Tumbling("10s"))
    async with clicks.driver:
        await clicks.send(0, "ann", 15)
        await clicks.send(1, "bob", 9)
        [explanation] = clicks.app.explain_window("ann", NOON + 12 * SECOND)
        assert explanation.is_open
        assert explanation.operator == "counts"
        assert (explanation.state.window.end, explanation.watermark) == (NOON + 20 * SECOND, NOON + 7 * SECOND)
        [holder] = explanation.holders
        assert (holder.source, holder.partition, holder.newest) == ("clicks", "1", NOON + 9 * SECOND)
        # Both are idle 30 s after their last records; from then on the newest time, 15 s, goes on with the clock.
        assert explanation.due_at == 1 + 30 * SECOND + 1
        assert str(explanation) == (
            "counts: window 2023-11-14T22:13:30.000Z to 2023-11-14T22:13:40.000Z of key 'ann' is open: it gives its "
            "result when the watermark is at 2023-11-14T22:13:40.000Z; the watermark is at 2023-11-14T22:13:27.000Z.\n"
            "  held by clicks [1], whose newest record is of 2023-11-14T22:13:29.000Z, of which 2s may come out of "
            "order; nothing is left to read in it since 1970-01-01T00:00:00.002Z\n"
            "  without further records that is so at 1970-01-01T00:00:30.002Z"
        )
        due_at = explanation.due_at
        await clicks.driver.advance(f"{due_at - clicks.driver.clock.now() - 1}ms")
        assert clicks.explain("ann", 12) == ["open"]
        await clicks.driver.advance("1ms")
        assert clicks.explain("ann", 12) == ["closed"]


async def test_it_says_what_became_of_a_window() -> None:
    clicks = Clicks(Tumbling("10s"), allowed_lateness="5s")
    async with clicks.driver:
        assert clicks.explain("ann", 3) == ["empty"]
        empty = str(clicks.app.explain_window("ann", NOON)[0])
        assert "it would give its result when the watermark is at" in empty
        assert "event time has not begun" in empty
        await clicks.send(0, "ann", 3)
        assert clicks.explain("ann", 3) == ["open"]
        waits = str(clicks.app.explain_window("ann", NOON)[0])
        assert "event time has not begun.\n  held by clicks [1], of which no record has come; nothing is left" in waits
        assert clicks.explain("bob", 3) == ["empty"]
        await clicks.send(1, "bob", 12)
        await clicks.send(0, "bob", 12)
        assert clicks.explain("ann", 3) == ["given"]
        [explanation] = clicks.app.explain_window("ann", NOON)
        assert explanation.state.results == 1
        assert "takes late records until 2023-11-14T22:13:35.000Z" in str(explanation)
        assert clicks.explain("eve", 3) == ["empty"]
        [explanation] = clicks.app.explain_window("eve", NOON)
        assert "is without records: it takes late records until 2023-11-14T22:13:35.000Z" in str(explanation)
        await clicks.send(0, "bob", 17)
        await clicks.send(1, "bob", 17)
        assert clicks.explain("ann", 3) == ["closed"]
        assert "was closed at 2023-11-14T22:13:35.000Z" in str(clicks.app.explain_window("ann", NOON)[0])


@pytest.mark.parametrize(
    ("assigner", "options", "windows"),
    [
        (Sliding("10s", every="5s"), {}, [(-5_000, 5_000), (0, 10_000)]),
        (Sliding("10s", every="5s"), {"emit": "update"}, [(-5_000, 5_000), (0, 10_000)]),
        (Session("4s"), {}, [(3_000, 12_000)]),
        (LookBack("5s"), {}, [(-1_999, 3_001), (1_001, 6_001)]),
    ],
)
async def test_it_knows_windows_of_every_kind(
    assigner: WindowAssigner, options: dict[str, Any], windows: list[tuple[int, int]]
) -> None:
    clicks = Clicks(assigner, **options)
    async with clicks.driver:
        for seconds in (3, 6, 8):
            await clicks.send(0, "ann", seconds)
        states = [each.state for each in clicks.app.explain_window("ann", NOON + 3 * SECOND, operator="counts")]
        assert [(state.window.start - NOON, state.window.end - NOON) for state in states] == windows
        assert {state.status for state in states} == {"open"}


@pytest.mark.parametrize(
    ("options", "open_text", "status_behind_the_end"),
    [
        ({"emit": "final"}, "it gives its result when the watermark is at 2023-11-14T22:14:30.000Z", "open"),
        (
            {"trigger": Repeated(AfterCount(5))},
            "it gives a result again and again after 5 records, and when the watermark is at 2023-11-14T22:14:30.000Z",
            "open",
        ),
        (
            {"trigger": AtWatermark(early=AfterCount(5))},
            "it gives a result early after 5 records, and when the watermark is at 2023-11-14T22:13:30.000Z",
            "given",
        ),
        ({"emit": "update"}, "a result with each update, and when the watermark is at 2023-11-14T22:14:30", "given"),
    ],
)
async def test_it_says_when_a_trigger_gives_a_result(
    options: dict[str, Any], open_text: str, status_behind_the_end: str
) -> None:
    clicks = Clicks(Tumbling("10s"), allowed_lateness="1m", **options)
    async with clicks.driver:
        await clicks.send(0, "ann", 3)
        [explanation] = clicks.app.explain_window("ann", NOON)
        assert open_text in str(explanation)
        await clicks.send(1, "bob", 22)
        await clicks.send(0, "bob", 22)
        assert clicks.explain("ann", 3) == [status_behind_the_end]


async def test_it_says_that_a_trigger_has_closed_a_window() -> None:
    clicks = Clicks(Tumbling("10s"), trigger=AfterCount(1))
    async with clicks.driver:
        await clicks.send(0, "ann", 3)
        [explanation] = clicks.app.explain_window("ann", NOON)
        assert "is closed: its trigger (after 1 records) has given its only result" in str(explanation)


async def test_it_knows_windows_without_an_end() -> None:
    clicks = Clicks(Global())
    async with clicks.driver:
        await clicks.send(0, "ann", 3)
        [explanation] = clicks.app.explain_window("ann", NOON)
        assert "it gives its result when the watermark is at the end of time" in str(explanation)
        assert str(explanation).endswith(".\n  that is when the input has ended")
        assert (explanation.holders, explanation.due_at) == ([], None)


async def test_wrong_use_says_what_there_is() -> None:
    clicks = Clicks(Tumbling("10s"))
    with pytest.raises(PipelineError, match="has not been started"):
        clicks.app.explain_window("ann", NOON)
    async with clicks.driver:
        with pytest.raises(PipelineError, match="no window operator is named 'count': expected 'counts'"):
            clicks.app.explain_window("ann", NOON, operator="count")
        assert clicks.app.explain_window("ann", datetime.fromtimestamp(NOON / 1000, UTC))[0].state.status == "empty"


WRONG: list[tuple[Any, Any, str]] = [
    ("ann", "noon", "explain_window: event time 'noon' is of type str: expected epoch milliseconds"),
    ("ann", 1.5, "explain_window: event time 1.5 is of type float"),
    ("ann", -1, "explain_window: event time -1 is not between 1970 and 9999"),
    ("ann", datetime(2026, 1, 1), "explain_window: event time .* has no time zone"),  # noqa: DTZ001 - it is the wrong one
    (["ann"], NOON, r"explain_window: a key is of type list: \['ann'\]; expected None, bool"),
]


@pytest.mark.parametrize(("key", "time", "message"), WRONG)
async def test_a_key_or_time_that_is_none_is_refused(key: Any, time: Any, message: str) -> None:
    clicks = Clicks(Tumbling("10s"))
    async with clicks.driver:
        with pytest.raises(PipelineError, match=message):
            clicks.app.explain_window(key, time)


async def test_windows_of_so_many_records_have_no_times() -> None:
    clicks = Clicks(Count(3))
    async with clicks.driver:
        with pytest.raises(PipelineError, match="windows of counts are of so many records, whenever these come"):
            clicks.app.explain_window("ann", NOON)
        with pytest.raises(PipelineError, match="no window operator is named 'nope'"):
            clicks.app.explain_window("ann", NOON, operator="nope")


async def test_it_says_that_only_records_move_what_never_gets_idle() -> None:
    clicks = Clicks(Tumbling("10s"), idle_after=None)
    async with clicks.driver:
        await clicks.send(0, "ann", 3)
        [explanation] = clicks.app.explain_window("ann", NOON)
        assert "\n  without further records that is never so" in str(explanation)


async def test_windows_in_batch_time_wait_for_the_clock_and_nobody_else() -> None:
    source, sink = MemorySource[str](), MemorySink[tuple[str, int]]()
    app = App("words", trigger=Interval("1s"))
    timed = app.source(source).event_time(lambda word: NOON + len(word))
    words = timed.transform(list)
    counted = (
        words.key_by(lambda word: word)
        .map_values(lambda _: 1)
        .reduce_by_key_and_window(
            operator.add, "3s", "1s", inverse=operator.sub, keep=lambda _, n: n > 0, name="rolling"
        )
    )
    counted.to(sink)
    words.count_by_window("3s", "1s").to(MemorySink[int]())
    async with Driver(app) as driver:
        source.send(["a"])
        await driver.tick()
        now = driver.clock.now()
        found = app.explain_window("a", now - 1, operator="rolling")
        assert [(each.state.window.end, each.state.status) for each in found] == [
            (now, "closed"),
            (now + 1_000, "open"),
            (now + 2_000, "open"),
        ]
        assert [(each.holders, each.due_at) for each in found[1:]] == [([], now + 1_000), ([], now + 2_000)]
        assert [each.state.status for each in app.explain_window("b", now - 1, operator="rolling")][1:] == ["empty"] * 2
        # All records have the same windows there: the key doesn't matter.
        assert app.explain_window(["no key"], now - 1, operator="count_by_window-1")
        every = app.explain_window("a", now - 1)
        assert {each.operator: (each.key, each.keyed) for each in every} == {
            "rolling": ("a", True),
            "count_by_window-1": (None, False),
        }
        assert "of key" not in str(every[-1])
