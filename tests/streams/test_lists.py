"""``batch``: several elements as one list."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc import App, Asap, Interval, OperatorError, PipelineError, Stream, Tumbling, WindowResults, collect
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.state import Family
from streamproc.testing import Driver, run
from tests.windowing.ticks import output


class Run:
    """Lists of letters with a batch each second; keyed by the letter in lower case, or not keyed."""

    def __init__(self, n: int, *, keyed: bool, trigger: Any = None, **options: Any) -> None:
        self.source, self.sink = MemorySource[str](), MemorySink[Any]()
        self.app = App("lists", trigger=trigger or Interval("1s"))
        letters = self.app.source(self.source)
        self.keyed = keyed
        if keyed:
            letters.key_by(str.lower).batch(n, name="lists", **options).to(self.sink)
        else:
            letters.batch(n, name="lists", **options).to(self.sink)
        self.driver = Driver(self.app)

    async def tick(self, letters: str = "") -> list[Any]:
        """Run a batch and return the lists that came out, as text."""
        before = len(self.sink.values)
        if letters:
            self.source.send(letters)
        await self.driver.tick()
        lists: list[Any] = self.sink.values[before:]
        if self.keyed:
            return [(key, "".join(letters)) for key, letters in lists]
        return ["".join(letters) for letters in lists]

    def stored(self) -> list[bytes]:
        return [key for family in (Family.STATE, Family.TIMERS) for key in self.driver.disk.rows[family].values]


async def test_a_list_is_given_when_it_is_full() -> None:
    lists = Run(3, keyed=False)
    async with lists.driver as driver:
        assert await lists.tick("ab") == []
        assert await lists.tick("cdefghi") == ["abc", "def", "ghi"]
        assert await lists.tick("jk") == []
        await driver.stop()
        await driver.restart()
        assert await lists.tick() == []
        assert await lists.tick("lmn") == ["jkl"]
        assert driver.state("lists", "waiting") == {(None, 0): ["m", "n"]}


async def test_each_key_has_its_own_lists() -> None:
    lists = Run(2, keyed=True)
    async with lists.driver:
        assert await lists.tick("abA") == [("a", "aA")]
        assert await lists.tick("BaBab") == [("b", "bB"), ("b", "Bb"), ("a", "aa")]
        assert lists.stored() == []


@pytest.mark.parametrize("keyed", [False, True])
async def test_a_list_waits_no_longer_than_said_for_the_batch_of_its_first_element(keyed: bool) -> None:
    lists = Run(9, keyed=keyed, within="2s")

    def given(letters: str) -> Any:
        return ("a", letters) if keyed else letters

    async with lists.driver as driver:
        assert await lists.tick("a") == []
        assert await lists.tick("A") == []
        await driver.stop()
        await driver.restart()
        assert await lists.tick("a") == [given("aAa")]
        assert await lists.tick() == []
        # The next list's time begins with its own first element.
        assert await lists.tick("A") == []
        assert await lists.tick() == []
        assert await lists.tick() == [given("A")]
        assert lists.stored() == []


async def test_what_is_left_of_a_full_list_begins_its_own_time() -> None:
    lists = Run(3, keyed=False, within="2s")
    async with lists.driver:
        assert await lists.tick("ab") == []
        assert await lists.tick("cd") == ["abc"]
        assert await lists.tick() == []
        assert await lists.tick() == ["d"]


async def test_an_app_that_waits_for_records_wakes_for_a_list_that_has_waited() -> None:
    lists = Run(3, keyed=False, within="700ms", trigger=Asap())
    async with lists.driver as driver:
        lists.source.send("a")
        await driver.settle()
        await driver.advance("699ms")
        assert lists.sink.values == []
        await driver.advance("1ms")
        assert lists.sink.values == [["a"]]


@pytest.mark.parametrize("keyed", [False, True])
async def test_nothing_is_lost_at_the_end_of_bounded_input(keyed: bool) -> None:
    lists = Run(3, keyed=keyed, within="1h")
    async with lists.driver as driver:
        await lists.tick("abca")
        lists.source.close()
        await driver.tick()
        await driver.finish()
        found = ["".join(given[1] if keyed else given) for given in lists.sink.values]
        assert found == (["aa", "b", "c"] if keyed else ["abc", "a"])
        assert lists.stored() == []


def test_lists_are_in_batch_time_whatever_time_the_elements_had() -> None:
    def build(numbers: Stream[int]) -> WindowResults[list[int], list[list[int]]]:
        lists = numbers.event_time(lambda n: n, idle_after=None).batch(2)
        return lists.window(Tumbling("2s")).aggregate(collect())

    found = output([[5], [1, 9], [7], []], build)
    assert [[(result.start, result.value) for result in tick] for tick in found] == [
        [],
        [(0, [[5, 1]])],
        [],
        [(2_000, [[9, 7]])],
    ]


def test_lists_can_be_made_behind_windows() -> None:
    assert run(
        [1, 4, 12],
        lambda s: (
            s.event_time(lambda n: n)
            .window(Tumbling("10ms"))
            .aggregate(collect())
            .map(lambda result: result.value)
            .batch(5)
        ),
    ) == [[[1, 4], [12]]]


async def test_a_key_that_state_cannot_have_fails_its_record() -> None:
    def lists(on_error: Any) -> list[Any]:
        return run([["a"], 1], lambda s: s.key_by(lambda value: value).batch(2, on_error=on_error))

    assert await asyncio.to_thread(lists, "skip") == [(1, [1])]
    with pytest.raises(OperatorError, match="make it a tuple"):
        await asyncio.to_thread(lists, "fail")


def by_definition(ticks: list[str], n: int, within: int | None, *, keyed: bool) -> list[list[tuple[str, str]]]:
    """Return which lists are given at each tick and at the end, of which key: letter by letter."""
    waiting: dict[str, tuple[str, int]] = {}
    found: list[list[tuple[str, str]]] = []
    for tick, text in enumerate(ticks, start=1):
        found.append([])
        for letter in text:
            key = letter.lower() if keyed else ""
            letters, since = waiting.pop(key, ("", tick))
            if len(letters) + 1 == n:
                found[-1].append((key, letters + letter))
            else:
                waiting[key] = letters + letter, since
        for key, (letters, since) in list(waiting.items()):
            if within is not None and tick >= since + within:
                found[-1].append((key, letters))
                del waiting[key]
    return [*found, [(key, letters) for key, (letters, _) in waiting.items()]]


@settings(max_examples=100, deadline=None, print_blob=True)
@given(
    ticks=st.lists(st.text("abAB", max_size=7), min_size=1, max_size=8),
    n=st.integers(1, 4),
    within=st.none() | st.integers(1, 3),
    keyed=st.booleans(),
    restart_after=st.none() | st.integers(1, 8),
)
def test_it_does_what_it_does_by_definition(
    ticks: list[str], n: int, within: int | None, keyed: bool, restart_after: int | None
) -> None:
    async def drive() -> list[list[Any]]:
        lists = Run(n, keyed=keyed, within=None if within is None else f"{within}s")
        await lists.driver.start()
        found: list[list[Any]] = []
        for tick, letters in enumerate(ticks, start=1):
            found.append(await lists.tick(letters))
            if tick == restart_after:
                await lists.driver.stop()
                await lists.driver.restart()
        lists.source.close()
        found.append(await lists.tick())
        await lists.driver.finish()
        assert lists.stored() == []
        return found

    expected = by_definition(ticks, n, within, keyed=keyed)
    found = asyncio.run(drive())
    if not keyed:
        assert found == [[letters for _, letters in lists] for lists in expected]
        return
    # The order of keys within a batch is open.
    for key in "ab":
        of_key = [[each for each in lists if each[0] == key] for lists in found]
        assert of_key == [[each for each in lists if each[0] == key] for lists in expected]


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (0, {}, "batch: n is 0: expected a whole number of at least 1"),
        (1.5, {}, "batch: n is 1.5: expected a whole number"),
        (2, {"within": "0s"}, "within of batch-1 is '0s': expected more than zero"),
    ],
)
def test_wrong_use_is_refused(n: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        App("wrong").source(MemorySource[int]()).batch(n, **options)
