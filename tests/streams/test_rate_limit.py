"""``rate_limit``: so many records of each key in each period; the others aside."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc import App, Interval, KeyedStream, PipelineError, Tumbling, collect
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from tests.streams.timed import Event, Timed


class Run:
    """Two letters of each kind in three seconds, with a batch each second."""

    def __init__(self, n: int = 2, after: Run | None = None) -> None:
        self.source: MemorySource[str] = after.source if after else MemorySource[str]()
        self.passed, self.excess = MemorySink[Any](), MemorySink[Any]()
        app = App("limit", trigger=Interval("1s"))
        limited = app.source(self.source).key_by(str.lower).rate_limit(n, per="3s", name="limit")
        limited.to(self.passed)
        limited.excess().to(self.excess)
        self.driver: Driver = Driver(app, disk=after.driver.disk if after else None)

    async def tick(self, letters: str = "") -> tuple[str, str]:
        """Run a batch and return which letters passed, and which were above the limit."""
        before = len(self.passed.values), len(self.excess.values)
        if letters:
            self.source.send(letters)
        await self.driver.tick()
        passed, excess = self.passed.values[before[0] :], self.excess.values[before[1] :]
        assert all(key == letter.lower() for key, letter in passed + excess)
        return "".join(letter for _, letter in passed), "".join(letter for _, letter in excess)


async def test_what_is_above_the_limit_goes_aside_until_the_next_period() -> None:
    limit = Run()
    async with limit.driver as driver:
        assert await limit.tick("abAaB") == ("abAB", "a")
        assert await limit.tick("bc") == ("c", "b")
        await driver.stop()
        await driver.restart()
        # The batch of 3 s still belongs to the period that ends there.
        assert await limit.tick("acc") == ("c", "ac")
        assert await limit.tick("aAaA") == ("aA", "aA")


async def test_a_lower_limit_holds_at_once_behind_a_restart() -> None:
    generous = Run(n=3)
    async with generous.driver:
        assert await generous.tick("aaa") == ("aaa", "")
    strict = Run(n=2, after=generous)
    async with strict.driver:
        assert await strict.tick("aab") == ("b", "aa")


async def test_state_goes_away() -> None:
    limit = Run()
    async with limit.driver as driver:
        await limit.tick("aab")
        assert set(driver.state("limit", "passed")) == {"a", "b"}
        for _ in range(3):
            await limit.tick()
        assert driver.state("limit", "passed") == {}


async def test_records_keep_their_times() -> None:
    def windows(keyed: KeyedStream[str, Any]) -> KeyedStream[str, Any]:
        return keyed.rate_limit(1, per="1s").excess().window(Tumbling("50ms")).aggregate(collect())

    timed = Timed(windows)
    async with timed.driver:
        await timed.tick(Event("a", 10, 1), Event("a", 20, 2), Event("a", 40, 3))
        results = await timed.tick(Event("b", 90, 4))
        assert [(result.start, result.value) for _, result in results] == [(0, [2, 3])]


def test_wrong_use_is_refused() -> None:
    keyed = App("wrong").source(MemorySource[str]()).key_by(str)
    with pytest.raises(PipelineError, match="rate_limit: n is 0: expected a whole number of at least 1"):
        keyed.rate_limit(0, per="1s")
    with pytest.raises(PipelineError, match="the period of a rate limit is 'often'"):
        keyed.rate_limit(1, per="often")
    limited = keyed.rate_limit(1, per="1s")
    assert limited.excess() is limited.excess()
    with pytest.raises(PipelineError, match=r"excess\(\): filter-1 is no rate limit: ask what rate_limit\(\)"):
        limited.filter(lambda _: True).excess()
