"""Tables and timers: a dict that is committed, rolled back and opened again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamproc.errors import EncodeError
from streamproc.state import Changes, Family, MemoryDisk, MemoryStore, Table, Tables

LARGE = 1 << 20


async def commit(store: MemoryStore, tables: Tables) -> None:
    changes = Changes()
    tables.collect(changes)
    await store.commit(changes)
    tables.committed()


class Against(RuleBasedStateMachine):
    """A table with a tiny cache, a second one beside it, and timers; against a dict and a set."""

    keys = st.sampled_from(["", "a", "a\0", "b", 0, 1, -5, True, 1.0, None, b"a", (1,), (1, "a"), (1, True), (2, "a")])
    times = st.integers(-2, 3)

    def __init__(self) -> None:
        super().__init__()
        self.disk = MemoryDisk()
        # A dict takes 1, 1.0 and True for one key, a table does not: the type is part of the model's key.
        self.now: dict[str, tuple[Any, list[int]]] = {}
        self.committed: dict[str, tuple[Any, list[int]]] = {}
        self.timers_now: set[tuple[int, str, str]] = set()
        self.timers_committed: set[tuple[int, str, str]] = set()
        self.open()

    def open(self) -> None:
        self.store = MemoryStore.open(self.disk)
        self.tables = Tables(self.store, cache_bytes=1500)
        self.table: Table[Any, Any] = self.tables.table("op", "x")
        self.timers = self.tables.timers("op")

    @rule(key=keys, value=st.lists(st.integers(0, 9), max_size=3))
    def put(self, key: Any, value: list[int]) -> None:
        self.table.put(key, list(value))
        self.now[repr(key)] = key, value

    @rule(key=keys, number=st.integers(0, 9))
    def change_in_place_and_put(self, key: Any, number: int) -> None:
        value: list[int] = self.table.get(key) or []
        value.append(number)
        self.table.put(key, value)
        self.now[repr(key)] = key, [*self.now.get(repr(key), (key, []))[1], number]

    @rule(key=keys)
    def change_in_place_and_fail(self, key: Any) -> None:
        value: list[int] = self.table.get(key) or []
        value.append(99)
        self.rollback()

    @rule(key=keys)
    def delete(self, key: Any) -> None:
        self.table.delete(key)
        self.now.pop(repr(key), None)

    @rule(keys=st.lists(keys))
    def load_and_get(self, keys: list[Any]) -> None:
        self.table.load(keys)
        for key in keys:
            assert self.table.get(key) == self.now.get(repr(key), (key, None))[1]

    @rule(when=times, key=st.sampled_from(["a", "b"]), name=st.sampled_from(["", "n"]))
    def set_a_timer(self, when: int, key: str, name: str) -> None:
        self.timers.add(when, key, name)
        self.timers_now.add((when, key, name))

    @rule(when=times)
    def remove_a_timer_that_may_not_be_set(self, when: int) -> None:
        self.timers.remove(when, "a")
        self.timers_now.discard((when, "a", ""))

    @precondition(lambda self: self.timers_now)
    @rule()
    def remove_the_earliest_timer(self) -> None:
        timer = min(self.timers_now)
        self.timers.remove(*timer)
        self.timers_now.remove(timer)

    @rule()
    def commit(self) -> None:
        asyncio.run(commit(self.store, self.tables))
        self.committed = {place: (key, list(value)) for place, (key, value) in self.now.items()}
        self.timers_committed = set(self.timers_now)

    @rule()
    def rollback(self) -> None:
        self.tables.rollback()
        self.forget()

    @rule()
    def crash_and_open(self) -> None:
        self.disk.crash()
        self.open()
        self.forget()

    def forget(self) -> None:
        self.now = {place: (key, list(value)) for place, (key, value) in self.committed.items()}
        self.timers_now = set(self.timers_committed)

    @invariant()
    def items_are_those_of_the_model(self) -> None:
        # A neighbour by name, whose entries are not this table's.
        self.tables.table("op", "x\0y").put("a", [1])
        found = list(self.table.items())
        assert {repr(key): (key, value) for key, value in found} == self.now
        assert len(found) == len(self.now)
        assert [repr(key) for key in self.table] == [repr(key) for key, _ in found]
        numbers = [key for key, _ in found if type(key) is int]
        assert numbers == sorted(numbers)
        ones = [key for key, _ in self.table.items_with_prefix((1,))]
        assert ones == [key for key, _ in found if type(key) is tuple and key[0] == 1]
        assert [key for key, _ in self.table.items((1,), (2,))] == ones

    @invariant()
    def timers_are_those_of_the_model(self) -> None:
        assert self.timers.next() == min((when for when, _, _ in self.timers_now), default=None)
        for through in (-3, 0, 9):
            assert self.timers.due(through) == sorted(timer for timer in self.timers_now if timer[0] <= through)


Against.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAgainstADict = Against.TestCase


def opened(cache_bytes: int = LARGE) -> tuple[MemoryStore, Tables]:
    store = MemoryStore.open()
    return store, Tables(store, cache_bytes=cache_bytes)


async def test_what_is_loaded_is_read_from_the_store_once() -> None:
    store, tables = opened()
    table = tables.table("op")
    for key in range(10):
        table.put(key, key)
    await commit(store, tables)
    again = Tables(store, cache_bytes=LARGE).table("op")

    again.load([*range(10), "absent"])

    store.close()  # any further read would fail
    assert [again.get(key) for key in [*range(10), "absent"]] == [*range(10), None]


async def test_only_what_changed_is_written() -> None:
    store, tables = opened()
    table = tables.table("op")
    for key in "abc":
        table.put(key, 1)
    await commit(store, tables)
    table.get("a")
    table.put("b", 2)
    table.put("b", 3)
    table.delete("c")
    changes = Changes()
    tables.collect(changes)
    assert [family for family, _, _ in changes.puts] == [Family.STATE]
    assert len(changes.deletes) == 1


async def test_the_cache_of_all_tables_stays_below_one_limit_and_keeps_what_is_used() -> None:
    store, tables = opened(cache_bytes=40_000)
    hot, cold = tables.table("hot"), tables.table("cold")
    hot.put("key", ["hot"])
    await commit(store, tables)
    first = hot.get("key")
    for batch in range(100):
        for number in range(10):
            cold.put(batch * 10 + number, "x" * 100)
        assert hot.get("key") is first, "what is used in every batch was dropped"
        await commit(store, tables)
        usage = tables._usage  # pyright: ignore[reportPrivateUsage] - memory shows nowhere else
        assert usage.young + usage.old <= 40_000
        assert usage.young + usage.old >= 300 * len({**cold._young, **cold._old})  # pyright: ignore[reportPrivateUsage]


async def test_iterating_shows_the_table_as_it_was_and_ends_at_a_commit() -> None:
    store, tables = opened()
    table = tables.table("op")
    for key in range(5):
        table.put(key, key)
    await commit(store, tables)
    seen: list[int] = []
    for key, value in table.items():
        assert value == key
        seen.append(key)
        table.delete(key)
        table.put(key + 100, 0)
    assert seen == [0, 1, 2, 3, 4]
    iterator = table.items()
    next(iterator)
    await commit(store, tables)
    with pytest.raises(RuntimeError, match="committed or rolled back"):
        next(iterator)


async def test_quiet_changes_wait_for_others() -> None:
    store, tables = opened()
    tables.table("op", "quiet", quiet=True).put(None, 1)
    before = tables.dirty
    tables.timers("op").add(5, "key")
    assert (before, tables.dirty) == (False, True)
    await commit(store, tables)
    assert Tables(store, cache_bytes=LARGE).table("op", "quiet").get(None) == 1


async def test_a_value_that_can_not_be_written_is_named_with_operator_variable_and_key() -> None:
    _, tables = opened()
    tables.table("totals", "state").put("ann", object())
    with pytest.raises(EncodeError, match=r"operator 'totals', state 'state', key 'ann'.*builtins:object"):
        tables.collect(Changes())
