"""State across batches: ``update_state_by_key`` and ``map_with_state``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from streamproc import (
    App,
    Asap,
    Interval,
    KeyedProcess,
    KeyedStream,
    List,
    Map,
    OperatorError,
    ProcessContext,
    Stream,
    Value,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver, run
from tests.windowing.ticks import output

Letters = Stream[str]


def ones(letters: Letters) -> KeyedStream[str, int]:
    return letters.key_by(lambda letter: letter).map_values(lambda _letter: 1)


def add(new: list[int], total: int | None) -> int:
    return sum(new) + (total or 0)


def ordered(found: list[list[Any]]) -> list[list[Any]]:
    return [sorted(rows) for rows in found]


def test_only_keys_with_new_values_come_out() -> None:
    found = output([["a"], ["a", "b", "a"], [], ["b"]], lambda s: ones(s).update_state_by_key(add))
    assert found == [[("a", 1)], [("a", 3), ("b", 1)], [], [("b", 2)]]


def test_every_batch_gives_all_keys_that_have_state_as_in_spark() -> None:
    found = output([["a"], ["b"], [], ["b"]], lambda s: ones(s).update_state_by_key(add, every_batch=True))
    assert ordered(found) == [[("a", 1)], [("a", 1), ("b", 1)], [("a", 1), ("b", 1)], [("a", 1), ("b", 2)]]


def test_initial_state_is_there_before_the_first_batch() -> None:
    found = output(
        [["a"], [], ["c", "b"]],
        lambda s: ones(s).update_state_by_key(add, initial={"a": 10, "c": 20}, every_batch=True),
    )
    assert ordered(found) == [
        [("a", 11), ("c", 20)],
        [("a", 11), ("c", 20)],
        [("a", 11), ("b", 1), ("c", 21)],
    ]


def test_initial_state_comes_out_only_with_new_values_if_not_in_every_batch() -> None:
    found = output([["a"], ["c"]], lambda s: ones(s).update_state_by_key(add, initial={"a": 10, "c": 20}))
    assert found == [[("a", 11)], [("c", 21)]]


def test_none_removes_a_key_which_then_begins_anew() -> None:
    def until_three(new: list[int], total: int | None) -> int | None:
        after = add(new, total)
        return after if after < 3 else None

    found = output([["a", "a"], ["a"], ["a"]], lambda s: ones(s).update_state_by_key(until_three))
    assert found == [[("a", 2)], [], [("a", 1)]]


def test_a_key_that_is_silent_twice_can_be_removed() -> None:
    # The life of an object that is changed in place, and expires.
    def live(new: list[int], state: dict[str, int] | None) -> dict[str, int] | None:
        state = state or {"seen": 0, "silent": 0}
        state["seen"] += len(new)
        state["silent"] = 0 if new else state["silent"] + 1
        return None if state["silent"] == 2 else state

    found = output(
        [["a", "b"], [], ["a", "c", "a"], ["c"], [], []],
        lambda s: ones(s).update_state_by_key(live, every_batch=True).map_values(lambda state: state["seen"]),
    )
    assert ordered(found) == [
        [("a", 1), ("b", 1)],
        [("a", 1), ("b", 1)],
        [("a", 3), ("c", 1)],
        [("a", 3), ("c", 2)],
        [("c", 2)],
        [],
    ]


async def test_initial_state_comes_once_also_across_restarts_and_other_initial_states() -> None:
    source, sink = MemorySource([["a"]]), MemorySink[tuple[str, int]]()

    def app(initial: dict[str, int]) -> App:
        app = App("initial", trigger=Asap())
        ones(app.source(source)).update_state_by_key(add, initial=initial, name="totals").to(sink)
        return app

    async with Driver(app({"a": 10, "b": 5})) as driver:
        await driver.settle()
    source.send(["a", "b", "c"])
    async with Driver(app({"a": 1_000, "c": 1_000}), disk=driver.disk) as again:
        assert again.state("totals") == {"a": 12, "b": 6, "c": 1}
    assert sink.values == [("a", 11), ("a", 12), ("b", 6), ("c", 1)]


async def test_a_key_with_initial_state_that_was_removed_stays_removed_after_a_restart() -> None:
    source, sink = MemorySource([["a"]]), MemorySink[tuple[str, int]]()
    app = App("initial", trigger=Asap())
    state: dict[str, int] = {"a": 10}
    ones(app.source(source)).update_state_by_key(lambda new, old: None if old else 1, initial=state).to(sink)
    async with Driver(app) as driver:
        await driver.settle()
    source.send(["a"])
    await driver.restart()
    await driver.stop()
    assert sink.values == [("a", 1)]


@pytest.mark.parametrize("restart", [False, True])
async def test_an_update_that_fails_has_changed_nothing_in_place(restart: bool) -> None:
    source, sink = MemorySource[str](), MemorySink[Any]()

    def append(new: list[str], seen: list[str] | None) -> list[str]:
        seen = seen or []
        for value in new:
            if value.endswith("!"):
                raise ValueError(value)
            seen.append(value)
        return seen

    app = App("skipping", trigger=Asap(), on_error="skip")
    app.source(source).key_by(lambda s: s[0]).update_state_by_key(append, name="seen").to(sink)
    async with Driver(app) as driver:
        for batch in (["a1"], ["a2", "a!"], ["a3"]):
            source.send(batch)
            await driver.settle()
            if restart:
                await driver.stop()
                await driver.restart()
        assert sink.values == [("a", ["a1"]), ("a", ["a1", "a3"])]


def test_a_record_that_fails_with_state_has_changed_nothing_in_place() -> None:
    def append(key: str, value: str, seen: list[str] | None) -> tuple[str, list[str]]:
        seen = seen or []
        seen.append(value)
        if value.endswith("!"):
            raise ValueError(value)
        return " ".join(seen), seen

    results = run(["a1", "a2!", "a3"], lambda s: s.key_by(lambda text: text[0]).map_with_state(append, on_error="skip"))
    assert results == [("a", "a1"), ("a", "a1 a3")]


def lists_by_update(keyed: KeyedStream[str, str]) -> KeyedStream[str, list[str]]:
    return keyed.update_state_by_key(lambda new, seen: [*(seen or ()), *new], name="lists")


def lists_by_map(keyed: KeyedStream[str, str]) -> KeyedStream[str, list[str]]:
    def append(key: str, value: str, seen: list[str] | None) -> tuple[list[str], list[str]]:
        seen = seen or []
        seen.append(value)
        return seen, seen

    return keyed.map_with_state(append, name="lists")


class Lists(KeyedProcess[str, str, list[str]]):
    seen: Value[list[str]] = Value(list, default=[])
    table: Map[str, list[str]] = Map(str, list)
    items: List[list[str]] = List(list)

    def process(self, context: ProcessContext[str], value: str) -> Iterable[list[str]]:
        seen, table, items = context.value(self.seen), context.map(self.table), context.list(self.items)
        mine, of_x, last = seen.get(), table.get("x") or [], [value]
        for each in (mine, of_x):
            each.append(value)
        seen.set(mine)
        table.put("x", of_x)
        items.append(last)
        assert [item for [item] in items] == table.get("x") == mine
        return [mine, of_x, last]


def lists_by_process(keyed: KeyedStream[str, str]) -> KeyedStream[str, list[str]]:
    return keyed.process(Lists(), name="lists")


@pytest.mark.parametrize("build", [lists_by_update, lists_by_map, lists_by_process])
async def test_what_is_done_to_results_in_place_does_not_reach_the_state(build: Any) -> None:
    def spoil(result: list[str]) -> str:
        found = " ".join(result)
        result.append("spoilt")
        return found

    source, sink = MemorySource([["a1"], ["a2"], ["a3"]]), MemorySink[tuple[str, str]]()
    app = App("spoilt", trigger=Interval("1s"))
    build(app.source(source).key_by(lambda text: text[0])).map_values(spoil).to(sink)
    async with Driver(app) as driver:
        for _ in range(3):
            await driver.tick()
    full = [text for _, text in sink.values if text.startswith("a1")]
    assert list(dict.fromkeys(full)) == ["a1", "a1 a2", "a1 a2 a3"]
    assert not any("spoilt" in text for _, text in sink.values)


def test_map_with_state_gives_a_result_for_each_record_in_order() -> None:
    def number(key: str, value: int, seen: int | None) -> tuple[str, int]:
        return f"{key}{(seen or 0) + value}", (seen or 0) + value

    found = output(
        [[], ["a"], ["a", "b", "a"], [], ["b"]], lambda s: ones(s).map_with_state(number).map(lambda pair: pair[1])
    )
    assert found == [[], ["a1"], ["a2", "b1", "a3"], [], ["b2"]]


async def test_map_with_state_removes_a_key_by_none_also_within_a_batch() -> None:
    def toggle(key: str, value: int, on: bool | None) -> tuple[str, bool | None]:
        return ("off", None) if on else ("on", True)

    source, sink = MemorySource[str](), MemorySink[tuple[str, str]]()
    app = App("toggle", trigger=Asap())
    ones(app.source(source)).map_with_state(toggle, name="switch").to(sink)
    async with Driver(app) as driver:
        for letters in ("ab", "a", "aaa", "bb"):
            source.send(letters)
            await driver.settle()
        assert [[state for _, state in rows] for rows in sink.batches.values()] == [
            ["on", "on"],
            ["off"],
            ["on", "off", "on"],
            ["off", "on"],
        ]
        assert driver.state("switch") == {"a": True, "b": True}
        source.send("a")
        await driver.settle()
        assert driver.state("switch") == {"b": True}


def test_a_record_that_fails_with_state_is_skipped_and_the_others_go_on() -> None:
    def divide(key: str, value: int, total: int | None) -> tuple[float, int]:
        return 6 / value, (total or 0) + 1

    results = run(
        [1, 0, 2],
        lambda s: s.key_by(lambda _n: "k").map_with_state(divide, on_error="skip"),
    )
    assert results == [("k", 6.0), ("k", 3.0)]
    with pytest.raises(OperatorError, match=r"position: source-1 \[0\] at 1"):
        run([1, 0, 2], lambda s: s.key_by(lambda _n: "k").map_with_state(divide))


@pytest.mark.parametrize("key", [1, -3, "x", b"x", None, True, 2.5, ("a", 1), ("a", None, (2, b"z"))])
async def test_state_survives_a_restart_for_every_kind_of_key(key: Any) -> None:
    source, sink = MemorySource[int]([[1]]), MemorySink[Any]()
    app = App("keys", trigger=Interval("1s"))
    app.source(source).key_by(lambda _n: key).update_state_by_key(add).to(sink)
    async with Driver(app) as driver:
        await driver.tick()
    source.send([2])
    await driver.restart()
    await driver.tick()
    await driver.stop()
    assert sink.values == [(key, 1), (key, 3)]
    assert [type(found) for found, _ in sink.values] == [type(key)] * 2
