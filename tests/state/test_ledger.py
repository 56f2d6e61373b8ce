"""The ledger: what the next start finds."""

from __future__ import annotations

import pytest

from streamproc.errors import CorruptStateError, StateFormatError
from streamproc.state import Changes, Family, Identity, Ledger, MemoryDisk, MemoryStore, OutboxRow
from streamproc.state.keys import encode_prefix
from streamproc.values import encode_value

IDENTITY = Identity("clicks", 0, 2)


class Life:
    """One life of a shard on a disk: ends with the next one, without a word of farewell."""

    def __init__(self, disk: MemoryDisk, identity: Identity = IDENTITY) -> None:
        disk.crash()
        self.store = MemoryStore.open(disk)
        self.ledger = Ledger.open(self.store, identity)

    async def commit(
        self,
        batch_id: int,
        positions: dict[str, dict[str, int | str | None]] | None = None,
        outputs: dict[str, bytes] | None = None,
        published_through: int = 0,
        plan: bytes | None = None,
        trim: tuple[str, int] | None = None,
    ) -> None:
        changes = Changes()
        self.ledger.record(
            changes,
            batch_id=batch_id,
            time=batch_id * 1000,
            positions=positions or {},
            outputs=outputs or {},
            published_through=published_through,
            plan=plan,
        )
        if trim:
            self.ledger.trim_journal(changes, *trim)
        await self.store.commit(changes)
        self.ledger.applied(batch_id, batch_id * 1000)


def test_an_empty_store_has_nothing_behind_it() -> None:
    ledger = Life(MemoryDisk()).ledger
    assert (ledger.batch_id, ledger.time, ledger.plan) == (0, None, None)
    assert ledger.positions("tcp") == {}
    assert ledger.outbox() == []


async def test_a_new_life_finds_batch_positions_plan_and_outbox() -> None:
    disk = MemoryDisk()
    life = Life(disk)
    await life.commit(1, {"files": {"a": 10, "b": "inode 5, 80"}}, {"two": b"1b", "one": b""}, plan=b"{}")
    await life.commit(2, {"files": {"a": 20, "b": None}, "tcp": {"0": 7}}, {"one": b"2"}, plan=b"{}")
    for current in (life, None):
        ledger = (current or Life(disk)).ledger
        assert (ledger.batch_id, ledger.time, ledger.plan) == (2, 2000, b"{}")
        assert ledger.positions("files") == {"a": 20}
        assert ledger.positions("tcp") == {"0": 7}
        assert ledger.outbox() == [
            OutboxRow(1, 1000, "one", b""),
            OutboxRow(1, 1000, "two", b"1b"),
            OutboxRow(2, 2000, "one", b"2"),
        ]


async def test_the_outbox_is_in_the_order_of_batches_and_loses_what_is_published() -> None:
    disk = MemoryDisk()
    life = Life(disk)
    for batch in (1, 2, 255, 256, 70_000):
        await life.commit(batch, outputs={"sink": b"%d" % batch})
    life = Life(disk)
    assert [row.batch_id for row in life.ledger.outbox()] == [1, 2, 255, 256, 70_000]
    await life.commit(70_001, published_through=255)
    assert [row.batch_id for row in Life(disk).ledger.outbox()] == [256, 70_000]
    assert Life(disk).ledger.published == life.ledger.published == {"sink": 255}


async def test_the_outbox_can_be_emptied_at_the_end() -> None:
    disk = MemoryDisk()
    life = Life(disk)
    await life.commit(1, outputs={"sink": b"1"})
    await life.commit(2, outputs={"sink": b"2"})
    changes = Changes()
    life.ledger.clear_outbox(changes, published_through=2)
    await life.store.commit(changes)
    assert Life(disk).ledger.outbox() == []


async def test_what_was_recorded_but_not_committed_never_was() -> None:
    disk = MemoryDisk()
    life = Life(disk)
    await life.commit(1, {"files": {"a": 10}})
    life.ledger.record(
        Changes(), batch_id=2, time=5, positions={"files": {"a": 99}}, outputs={"s": b""}, published_through=0
    )
    assert (life.ledger.batch_id, life.ledger.positions("files")) == (1, {"a": 10})
    assert Life(disk).ledger.positions("files") == {"a": 10}


async def test_journal_entries_are_there_in_the_next_life_and_numbers_go_on() -> None:
    disk = MemoryDisk()
    journal = Life(disk).ledger.journal("tcp")
    assert journal.append([b"a", b"b"]) == 2
    assert journal.append([]) == 2
    assert Life(disk).ledger.journal("tcp\0b").append([b"of another source"]) == 1
    journal = Life(disk).ledger.journal("tcp")
    assert journal.append([b"c"]) == 3
    assert list(journal.read(0)) == [(1, b"a"), (2, b"b"), (3, b"c")]
    assert list(journal.read(2)) == [(3, b"c")]


async def test_numbers_go_on_after_all_entries_were_removed() -> None:
    disk = MemoryDisk()
    life = Life(disk)
    life.ledger.journal("tcp").append([b"a", b"b", b"c"])
    await life.commit(1, trim=("tcp", 2))
    assert list(life.ledger.journal("tcp").read(0)) == [(3, b"c")]
    await life.commit(2, trim=("tcp", 3))
    await life.commit(3, trim=("tcp", 1))
    life = Life(disk)
    assert list(life.ledger.journal("tcp").read(0)) == []
    assert list(life.store.scan(Family.JOURNAL)) == []
    assert life.ledger.journal("tcp").append([b"d"]) == 4
    assert list(life.ledger.journal("tcp").read(0)) == [(4, b"d")]


async def test_numbers_go_on_behind_what_was_removed_even_if_it_was_not_there() -> None:
    life = Life(MemoryDisk())
    life.ledger.journal("tcp").append([b"a"])
    await life.commit(1, trim=("tcp", 5))
    assert life.ledger.journal("tcp").append([b"b"]) == 6


async def test_a_power_loss_takes_only_what_was_received_since_the_last_commit() -> None:
    disk = MemoryDisk()
    life = Life(disk)
    life.ledger.journal("tcp").append([b"a"])
    await life.commit(1, {"tcp": {"0": 1}})
    life.ledger.journal("tcp").append([b"b"])
    disk.crash(power_loss=True)
    life = Life(disk)
    assert list(life.ledger.journal("tcp").read(0)) == [(1, b"a")]
    assert life.ledger.journal("tcp").append([b"c"]) == 2


async def test_a_gap_in_the_journal_is_corruption() -> None:
    life = Life(MemoryDisk())
    journal = life.ledger.journal("tcp")
    journal.append([b"a", b"b", b"c"])
    await life.store.commit(Changes(deletes=[(Family.JOURNAL, journal.key(2))]))
    with pytest.raises(CorruptStateError, match="'tcp' has entry 3 where 2 should be"):
        list(journal.read(0))


@pytest.mark.parametrize("other", [Identity("orders", 0, 2), Identity("clicks", 1, 2), Identity("clicks", 0, 3)])
def test_the_state_of_another_job_or_shard_is_refused(other: Identity) -> None:
    disk = MemoryDisk()
    Life(disk)
    with pytest.raises(StateFormatError, match=r"belongs to app 'clicks', shard 0 of 2.*use another state directory"):
        Life(disk, other)


async def test_another_format_is_refused() -> None:
    disk = MemoryDisk()
    await Life(disk).store.commit(Changes(puts=[(Family.META, encode_prefix("format"), encode_value(99))]))
    with pytest.raises(StateFormatError, match="has format 99, and this version of streamproc reads format 1"):
        Life(disk)


async def test_a_store_that_holds_something_but_no_format_is_refused() -> None:
    disk = MemoryDisk()
    store = MemoryStore.open(disk)
    await store.commit(Changes(puts=[(Family.STATE, b"who", b"knows")]))
    with pytest.raises(StateFormatError, match="no format version"):
        Life(disk)
