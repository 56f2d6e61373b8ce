"""The rules of reading a partition: what is given, and where the position is behind it."""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import struct
from typing import Literal

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder  # type: ignore[import-untyped]
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder  # type: ignore[import-untyped]

from streamproc.connectors.kafka.columns import PartitionLog, readable
from streamproc.connectors.kafka.compression import Scratch
from streamproc.connectors.kafka.offsets import Partition
from streamproc.connectors.kafka.record_batch import HEADER_SIZE, RawBatch, seal

PRODUCER = 7
ABORT, COMMIT = b"\x00\x00\x00\x00", b"\x00\x00\x00\x01"
MIB = 1 << 20


def records(first: int, count: int) -> bytes:
    """Return a batch of a transaction; its values are its offsets."""
    builder = DefaultRecordBatchBuilder(2, 0, 1, PRODUCER, 0, 0, MIB)
    for number in range(count):
        builder.append(number, 0, None, b"%d" % (first + number), [])
    return placed(builder.build(), first)


def marker(offset: int, kind: bytes, *, removed: bool = False) -> bytes:
    """Return what ends a transaction; compaction may leave the batch without its record."""
    builder = DefaultRecordBatchBuilder(2, 0, 1, PRODUCER, 0, 0, MIB)
    builder.append(0, 0, kind, bytes(6), [])
    batch = bytearray(builder.build())
    batch[22] |= 0x20
    if removed:
        del batch[HEADER_SIZE:]
        struct.pack_into(">i", batch, 8, HEADER_SIZE - 12)
        struct.pack_into(">i", batch, 57, 0)
    return placed(batch, offset)


def placed(batch: bytes | bytearray, offset: int) -> bytes:
    sealed = seal(bytes(batch), PRODUCER, 0, 0)
    struct.pack_into(">q", sealed, 0, offset)
    return bytes(sealed)


def old(offset: int, *values: bytes, magic: Literal[0, 1] = 1, codec: int = 0) -> bytes:
    """Return messages of an old format; those that are compressed together have the offset of the last."""
    builder = LegacyRecordBatchBuilder(magic, codec, MIB)
    for number, value in enumerate(values):
        builder.append(number if codec else offset + number, 1_000, None, value)
    messages = bytearray(builder.build())
    struct.pack_into(">q", messages, 0, offset + len(values) - 1 if codec else offset)
    return bytes(messages)


def log(position: int = 0) -> PartitionLog:
    return PartitionLog(
        Partition("t", 0), position, committed=True, whole=False, max_batch_bytes=MIB, scratch=Scratch()
    )


def taken(partition_log: PartitionLog, end: int | None = None) -> list[bytes | None]:
    """Take all there is."""
    values: list[bytes | None] = []
    while (columns := partition_log.take(1_000, MIB, end)) is not None:
        values += columns.values
    return values


def test_an_end_behind_a_marker_is_reached_though_there_is_more() -> None:
    partition_log = log()
    partition_log.add(records(0, 3) + marker(3, COMMIT) + records(4, 2) + marker(6, COMMIT), [])
    assert taken(partition_log, end=4) == [b"0", b"1", b"2"]
    assert partition_log.position == 4
    assert taken(partition_log) == [b"4", b"5"]
    assert partition_log.position == 7


def test_a_limit_does_not_pass_over_records_in_front_of_the_end() -> None:
    partition_log = log()
    partition_log.add(records(0, 3), [])
    assert partition_log.take(0, MIB, 2) is None
    assert partition_log.take(10, 0, 2, some=False) is None
    assert partition_log.position == 0
    assert taken(partition_log, end=2) == [b"0", b"1"]
    assert partition_log.position == 2


def test_behind_a_log_that_was_cut_off_all_that_is_there_is_read() -> None:
    # To offset 100 it is read, from 90 on it waits to be taken; the broker says that it begins at 0 now.
    partition_log = log(90)
    partition_log.add(records(90, 10), [])
    partition_log.go_to(0)
    assert (partition_log.position, partition_log.fetch_from, partition_log.bytes) == (0, 0, 0)
    partition_log.add(records(0, 120), [])
    assert taken(partition_log) == [b"%d" % number for number in range(120)]


def test_a_log_that_was_cut_off_behind_the_position_loses_nothing_else() -> None:
    partition_log = log(90)
    partition_log.add(records(90, 10), [])
    partition_log.go_to(95)
    assert (partition_log.position, partition_log.fetch_from) == (90, 90)
    partition_log.add(records(90, 5), [])
    assert taken(partition_log) == [b"90", b"91", b"92", b"93", b"94"]


def test_what_waits_is_given_before_a_gap() -> None:
    partition_log = log(90)
    partition_log.add(records(90, 2), [])
    partition_log.go_to(200)
    partition_log.add(records(200, 1), [])
    assert taken(partition_log) == [b"90", b"91", b"200"]


def test_a_move_to_another_offset_is_no_end() -> None:
    partition_log = log(90)
    partition_log.answered(90, now=5)
    assert partition_log.caught_up(5)
    partition_log.go_to(0)
    assert not partition_log.caught_up(5)


def test_a_marker_that_compaction_has_emptied_ends_nothing() -> None:
    data = records(0, 1) + marker(1, ABORT, removed=True) + records(2, 1) + marker(3, ABORT) + records(4, 1)
    batches, position = readable(data, [(PRODUCER, 0)], 0, committed=True)
    assert [batch.base_offset for batch in batches] == [4]
    assert position == 5


@pytest.mark.parametrize("magic", [0, 1])
def test_messages_of_an_old_format_are_read_to_the_last(magic: Literal[0, 1]) -> None:
    # Each is shorter than the header of a batch of today.
    partition_log = log()
    partition_log.add(old(0, b"", magic=magic) + old(1, b"", magic=magic), [])
    assert taken(partition_log) == [b"", b""]
    assert partition_log.position == 2


def test_many_messages_of_an_old_format_are_taken_at_once() -> None:
    partition_log = log()
    partition_log.add(b"".join(old(number, b"x" * 1_000) for number in range(100)), [])
    sizes = 0
    for _ in range(100):
        columns = partition_log.take(1_000, MIB)
        assert columns is not None
        sizes += columns.size
    assert 100_000 < sizes < 110_000


@pytest.mark.parametrize(("magic", "codec"), [(0, 1), (0, 2), (1, 1), (1, 2), (1, 3)])
def test_a_compressed_set_of_an_old_format_has_its_real_size(magic: Literal[0, 1], codec: int) -> None:
    [raw] = RawBatch.all_in(old(10, *[b"x" * 1_000] * 20, magic=magic, codec=codec))
    found, size = raw.records(MIB, Scratch())
    assert [record.value for record in found] == [b"x" * 1_000] * 20
    assert 20_000 < size < 21_000
