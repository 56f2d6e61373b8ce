"""The app was down, or slow, and several windows come due at once: results are those of a run that kept up."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest

from streamproc import App, Interval, KeyedStream, Stream, Tumbling, WindowResult, count
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver

Build = Callable[[Stream[str]], Stream[Any] | KeyedStream[Any, Any]]


def keyed(letters: Stream[str]) -> KeyedStream[str, int]:
    return letters.key_by(lambda letter: letter).map_values(lambda _letter: 1)


class Job:
    """A pipeline with a batch each second, that can be down for a while."""

    def __init__(self, build: Build) -> None:
        self.source, self.sink = MemorySource[str](), MemorySink[Any]()
        app = App("jumps", trigger=Interval("1s"))
        build(app.source(self.source)).to(self.sink)
        self.driver = Driver(app)

    async def tick(self, letters: str = "", ticks: int = 1) -> list[Any]:
        """Run a batch with letters and further ones without; return what came out."""
        before = len(self.sink.values)
        if letters:
            self.source.send(letters)
        await self.driver.tick(ticks)
        return self.sink.values[before:]

    async def down(self, duration: str) -> list[Any]:
        """Stop, let time pass, start, and return what came out when the app was back."""
        await self.driver.stop()
        before = len(self.sink.values)
        self.driver.clock.advance(duration)
        await self.driver.restart()
        return self.sink.values[before:]


def rolling_sums(letters: Stream[str]) -> KeyedStream[str, int]:
    return keyed(letters).reduce_by_key_and_window(operator.add, "3s", "1s", inverse=operator.sub)


def elements(letters: Stream[str]) -> Stream[str]:
    return letters.window("3s", "1s")


def long_count(letters: Stream[str]) -> Stream[int]:
    return letters.count_by_window("1h", "1s")


async def test_the_windows_that_were_open_come_out_one_by_one_after_an_hour() -> None:
    job = Job(lambda s: s.window("3s", "1s"))
    async with job.driver:
        assert await job.tick("a") == ["a"]
        assert await job.tick("b") == ["a", "b"]
        assert await job.down("1h") == ["a", "b", "b"]
        assert await job.tick(ticks=3) == []
        assert await job.tick("c", ticks=4) == ["c", "c", "c"]


async def test_a_sliding_count_goes_on_from_zero_after_an_hour() -> None:
    job = Job(lambda s: s.count_by_window("3s", "1s"))
    async with job.driver:
        assert await job.tick("ab") == [2]
        # The windows at 2, 3 and 4 s, while letters leave; then none until the one that ends now.
        assert await job.down("1h") == [2, 2, 0, 0]
        assert await job.tick("c") == [1]


async def test_rolling_values_are_right_after_an_hour() -> None:
    job = Job(rolling_sums)
    async with job.driver:
        await job.tick("ab")
        await job.tick("a")
        back = await job.down("1h")
        assert back == [
            *[("a", 2), ("b", 1)],
            *[("a", 1), ("b", 0)],
            *[("a", 0), ("b", 0)],
            *[("a", 0), ("b", 0)],
        ]
        assert await job.tick("b") == [("a", 0), ("b", 1)]


@pytest.mark.parametrize("build", [rolling_sums, elements, long_count])
async def test_a_year_takes_no_more_work_than_the_windows_that_change(build: Build) -> None:
    job = Job(build)
    async with job.driver:
        await job.tick("ab", ticks=4)
        found = await job.down("8760h")
        assert len(found) < 4_000


async def test_a_tumbling_window_takes_what_comes_before_and_after_a_short_stop() -> None:
    job = Job(lambda s: s.window(Tumbling("10s")).aggregate(count()))
    async with job.driver:
        await job.tick("ab")
        assert await job.down("5s") == []
        await job.tick("c")
        assert await job.tick(ticks=4) == [WindowResult(0, 10_000, 3)]


async def test_what_was_sent_while_the_app_was_down_belongs_to_the_time_at_which_it_is_taken() -> None:
    job = Job(lambda s: s.window(Tumbling("10s")).aggregate(count()))
    async with job.driver:
        await job.tick("ab")
        job.source.send("cde")
        assert await job.down("1h") == [WindowResult(0, 10_000, 2)]
        assert await job.tick(ticks=10) == [WindowResult(3_600_000, 3_610_000, 3)]


def pairs(letters: Stream[str]) -> KeyedStream[str, int]:
    return keyed(letters).window("3s", "1s")


def by_letter(letters: Stream[str]) -> KeyedStream[str, str]:
    return letters.window("2s", "1s").key_by(lambda letter: letter)


def numbers_seen(new: list[int], before: list[int] | None) -> list[int]:
    return [*(before or []), len(new)]


def text(letters: Stream[str]) -> Stream[str]:
    return letters.window("3s", "1s").reduce(operator.add)


WHOLE_BATCH: dict[str, Build] = {
    "group_by_key": lambda s: pairs(s).group_by_key(),
    "reduce_by_key": lambda s: pairs(s).reduce_by_key(operator.add),
    "behind other steps": lambda s: pairs(s).map_values(str).filter(lambda _pair: True).reduce_by_key(operator.add),
    "reduce": text,
    "transform": lambda s: s.count_by_value_and_window("3s", "1s").transform(lambda rows: sorted(rows)[:1]),
    "map_partitions": lambda s: s.count_by_value_and_window("3s", "1s").map_partitions(lambda rows: [len(list(rows))]),
    "join": lambda s: pairs(s).join(by_letter(s)),
    "cogroup": lambda s: pairs(s).cogroup(by_letter(s)),
    "update_state_by_key": lambda s: pairs(s).update_state_by_key(numbers_seen),
    "a window behind": lambda s: pairs(s).reduce_by_key(operator.add).reduce_by_window(max, "2s", "2s"),
    "a union of windows": lambda s: s.window("2s", "2s").reduce(operator.add).union(text(s)).window("4s", "4s"),
}


@pytest.mark.parametrize("build", WHOLE_BATCH.values(), ids=list(WHOLE_BATCH))
async def test_operators_of_a_whole_batch_work_window_by_window_when_several_end_at_once(build: Build) -> None:
    kept_up, was_down = Job(build), Job(build)
    async with kept_up.driver, was_down.driver:
        for job in (kept_up, was_down):
            await job.tick("ab")
            await job.tick("abb")
        await kept_up.tick(ticks=10)
        await was_down.down("5s")
        await was_down.tick(ticks=5)
        assert was_down.sink.values == kept_up.sink.values
        assert len(kept_up.sink.values) >= 2
