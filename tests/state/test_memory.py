"""The memory disk: what is left of a store when its process, or the machine, dies."""

from __future__ import annotations

import pytest

from streamproc.errors import StateError, StateLockedError
from streamproc.state import Changes, Family, MemoryDisk, MemoryStore


async def test_a_crash_frees_the_disk_and_keeps_what_was_written() -> None:
    disk = MemoryDisk()
    dead = MemoryStore.open(disk)
    await dead.commit(Changes(puts=[(Family.META, b"batch", b"1")]))
    dead.append(Family.JOURNAL, [(b"1", b"received")])
    with pytest.raises(StateLockedError):
        MemoryStore.open(disk)

    disk.crash()

    store = MemoryStore.open(disk)
    assert store.get_many(Family.META, [b"batch"]) == [b"1"]
    assert store.get_many(Family.JOURNAL, [b"1"]) == [b"received"]
    with pytest.raises(StateError):
        dead.append(Family.META, [(b"batch", b"2")])
    dead.close()
    with pytest.raises(StateLockedError):
        MemoryStore.open(disk)


async def test_a_power_loss_undoes_what_was_appended_since_the_last_commit() -> None:
    disk = MemoryDisk()
    store = MemoryStore.open(disk)
    store.append(Family.JOURNAL, [(b"1", b"old")])
    await store.commit(Changes())
    store.append(Family.JOURNAL, [(b"1", b"new"), (b"2", b"new")])
    store.append(Family.JOURNAL, [(b"1", b"newer")])

    disk.crash(power_loss=True)

    assert list(MemoryStore.open(disk).scan(Family.JOURNAL)) == [(b"1", b"old")]
