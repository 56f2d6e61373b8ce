"""What every state store must do, as a test that any implementation can run."""

from __future__ import annotations

from collections.abc import Callable

from streamproc.errors import StateError, StateLockedError
from streamproc.state.store import Changes, Family, StateStore

__all__ = ["check_store"]


async def check_store(open_store: Callable[[], StateStore]) -> None:
    """Check that a store keeps its contract (`streamproc.state.StateStore`).

    Args:
        open_store: Opens the store, empty at the first call; at each later call with what it held when it was closed.

    Raises:
        AssertionError: It does not; the message says where.

    Example:
        >>> import asyncio
        >>> from streamproc.state import MemoryDisk, MemoryStore
        >>> disk = MemoryDisk()
        >>> asyncio.run(check_store(lambda: MemoryStore.open(disk)))
    """
    for check in (
        _reads_what_was_written,
        _keeps_families_apart,
        _applies_changes_in_order,
        _scans_ranges_in_order,
        _scans_what_was_there_at_the_first_step,
        _keeps_everything_when_closed,
        _is_open_once,
    ):
        store = open_store()
        try:
            await store.commit(Changes(ranges=[(family, b"", b"\xff" * 64) for family in Family]))
            await check(store, open_store)
        finally:
            store.close()


async def _reads_what_was_written(store: StateStore, _: Callable[[], StateStore]) -> None:
    large = bytes(range(256)) * 8192
    for family in Family:
        await store.commit(
            Changes(puts=[(family, b"a", b"1"), (family, b"", b"empty key"), (family, b"\x00\xff", b"")])
        )
        store.append(family, [(b"large", large), (b"a\x00", b"2")])
        found = store.get_many(family, [b"large", b"none", b"\x00\xff", b"a", b"a\x00", b"", b"a"])
        assert found == [large, None, b"", b"1", b"2", b"empty key", b"1"], f"{family}: get_many gave other values"
        assert store.get_many(family, []) == [], f"{family}: no keys, yet values"
        store.append(family, [])
    await store.commit(Changes())
    assert store.size_bytes() >= len(large), "size_bytes is less than one of the values"


async def _keeps_families_apart(store: StateStore, _: Callable[[], StateStore]) -> None:
    await store.commit(Changes(puts=[(family, b"key", family.value.encode()) for family in Family]))
    await store.commit(Changes(deletes=[(Family.STATE, b"key")], ranges=[(Family.TIMERS, b"", b"z")]))
    for family in Family:
        gone = family in (Family.STATE, Family.TIMERS)
        expected = [None if gone else family.value.encode()]
        assert store.get_many(family, [b"key"]) == expected, f"{family} was touched by what happened in another family"


async def _applies_changes_in_order(store: StateStore, _: Callable[[], StateStore]) -> None:
    state = Family.STATE
    await store.commit(Changes(puts=[(state, bytes([i]), b"old") for i in range(10)]))
    await store.commit(
        Changes(
            puts=[(state, b"\x03", b"first"), (state, b"\x03", b"last"), (state, b"\x05", b"new")],
            deletes=[(state, b"\x05"), (state, b"\x08"), (state, b"not there")],
            ranges=[(state, b"\x02", b"\x07"), (state, b"\x06", b"\x06"), (Family.META, b"a", b"z")],
        )
    )
    found = list(store.scan(state))
    expected = [(b"\x00", b"old"), (b"\x01", b"old"), (b"\x03", b"last"), (b"\x05", b"new"), (b"\x07", b"old")]
    assert found == [*expected, (b"\x09", b"old")], f"expected ranges, then deletes, then puts; found {found}"


async def _scans_ranges_in_order(store: StateStore, _: Callable[[], StateStore]) -> None:
    keys = [b"", b"\x00", b"\x00\x00", b"\x00\xff", b"\x01", b"a", b"a\x00", b"aa", b"b", b"\xfe", b"\xff", b"\xff\xff"]
    await store.commit(Changes(puts=[(Family.TIMERS, key, key + b"!") for key in reversed(keys)]))
    for start in [*keys, b"\x00\x01", b"az"]:
        for end in [*keys, b"aa\x00", None]:
            expected = [(key, key + b"!") for key in keys if key >= start and (end is None or key < end)]
            found = list(store.scan(Family.TIMERS, start, end))
            assert found == expected, f"scan({start!r}, {end!r}): expected {expected}, found {found}"
    assert list(store.scan(Family.OUTBOX)) == [], "a family without entries has some"


async def _scans_what_was_there_at_the_first_step(store: StateStore, _: Callable[[], StateStore]) -> None:
    before = [(b"%04d" % i, b"old") for i in range(3000)]
    await store.commit(Changes(puts=[(Family.STATE, key, value) for key, value in before]))
    scan, other = store.scan(Family.STATE), store.scan(Family.STATE)
    found = [next(scan)]
    await store.commit(
        Changes(
            puts=[(Family.STATE, b"%04d" % i, b"new") for i in range(1000, 4000)],
            deletes=[(Family.STATE, b"%04d" % i) for i in range(500)],
        )
    )
    store.append(Family.STATE, [(b"0001", b"appended")])
    found.extend(scan)
    assert found == before, "a scan saw a commit that came after its first step"
    assert next(other) == (b"0001", b"appended"), "a scan did not see a commit that came before its first step"


async def _keeps_everything_when_closed(store: StateStore, open_store: Callable[[], StateStore]) -> None:
    # More than one commit, with overwriting, so that a store with a log replays it in order.
    for batch in range(20):
        puts = [(Family.STATE, b"%d" % (i % 7), b"%d" % batch) for i in range(batch, batch + 5)]
        await store.commit(Changes(puts=puts, deletes=[(Family.STATE, b"%d" % (batch % 3))]))
    store.append(Family.JOURNAL, [(b"1", b"appended")])
    expected = {family: list(store.scan(family)) for family in Family}
    unfinished = store.scan(Family.STATE)
    next(unfinished)
    store.close()
    store.close()
    try:
        store.get_many(Family.STATE, [b"1"])
    except StateError:
        pass
    else:
        raise AssertionError("a closed store still answers")
    again = open_store()
    try:
        found = {family: list(again.scan(family)) for family in Family}
        assert found == expected, "what was written before close is not what is there after it"
    finally:
        again.close()


async def _is_open_once(store: StateStore, open_store: Callable[[], StateStore]) -> None:
    try:
        open_store().close()
    except StateLockedError:
        pass
    else:
        raise AssertionError("the store could be opened while it is open")
    await store.commit(Changes(puts=[(Family.META, b"still", b"open")]))
    assert store.get_many(Family.META, [b"still"]) == [b"open"], "the attempt to open a store again harmed the first"
