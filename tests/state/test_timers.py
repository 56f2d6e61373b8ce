"""Timers of several kinds, one beside the other."""

from __future__ import annotations

from streamproc.state import Changes, MemoryStore, Tables


async def test_the_timers_of_each_kind_and_operator_are_on_their_own() -> None:
    store = MemoryStore.open()
    tables = Tables(store, cache_bytes=1_000)
    first, second, other = tables.timers("op"), tables.timers("op", "event timers"), tables.timers("other")
    first.add(5, "a")
    second.add(3, "b", "x")
    second.add(7, "b")
    for _ in range(2):
        assert [first.next(), second.next(), other.next()] == [5, 3, None]
        assert first.due(9) == [(5, "a", "")]
        assert second.due(9) == [(3, "b", "x"), (7, "b", "")]
        changes = Changes()
        tables.collect(changes)
        await store.commit(changes)
        tables.committed()
    second.remove(3, "b", "x")
    assert [first.next(), second.next()] == [5, 7]


def test_no_more_are_due_than_asked_for() -> None:
    timers = Tables(MemoryStore.open(), cache_bytes=1_000).timers("op")
    for when in (4, 1, 3, 2):
        timers.add(when, None)
    assert [when for when, _, _ in timers.due(3, limit=2)] == [1, 2]
    assert [when for when, _, _ in timers.due(3, limit=9)] == [1, 2, 3]
