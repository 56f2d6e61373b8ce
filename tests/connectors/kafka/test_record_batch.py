"""Record batches: every codec is read, whoever wrote it, and nothing is read that is damaged or too large."""

# aiokafka and cramjam have no type information for what they take.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import os
from typing import Any

import cramjam
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder  # type: ignore[import-untyped]
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from streamproc.connectors.kafka.columns import readable
from streamproc.connectors.kafka.compression import Compression, DecompressionLimitError, Scratch
from streamproc.connectors.kafka.partitioner import Partitioner, murmur2
from streamproc.connectors.kafka.record_batch import HEADER_SIZE, RawBatch, compress, seal

Row = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]
MIB = 1 << 20


def build(rows: list[Row], codec: int = 0, size: int = 16 * MIB) -> bytes:
    """Return a batch as aiokafka's producer writes it."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, 7, 0, 0, size)
    for offset, (time, key, value, headers) in enumerate(rows):
        assert builder.append(offset, time, key, value, headers) is not None
    return bytes(builder.build())


def read(batch: bytes, max_bytes: int = MIB) -> list[Row]:
    [raw] = RawBatch.all_in(batch)
    assert raw.intact()
    records, size = raw.records(max_bytes, Scratch())
    rows = [(r.timestamp, r.key, r.value, list(r.headers)) for r in records]
    assert raw.count == len(rows)
    assert size >= sum(len(key or b"") + len(value or b"") for _, key, value, _ in rows)
    return rows


rows = st.lists(
    st.tuples(
        st.integers(0, 1 << 42),
        st.none() | st.binary(max_size=20),
        st.none() | st.binary(max_size=200),
        st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2),
    ),
    min_size=1,
    max_size=50,
)


@given(rows)
def test_a_batch_of_every_codec_is_read(rows: list[Row]) -> None:
    plain = build(rows)
    for codec in Compression:
        assert read(build(rows, codec)) == rows, "what aiokafka compressed"
        assert read(bytes(seal(compress(plain, codec), 1, 2, 3))) == rows, "what we compressed"


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("value", [b"abc" * 200_000, os.urandom(300_000)], ids=["text", "noise"])
def test_frames_of_lz4_may_differ(linked: bool, checksum: bool, value: bytes) -> None:
    # Noise makes blocks that are stored as they are.
    rows: list[Row] = [(5, b"key", value, [])]
    compressor = cramjam.lz4.Compressor(level=1, content_checksum=checksum, block_linked=linked)
    compressor.compress(build(rows)[HEADER_SIZE:])
    batch = bytearray(compress(build(rows), Compression.LZ4)[:HEADER_SIZE]) + bytes(compressor.finish())
    batch[8:12] = (len(batch) - 12).to_bytes(4, "big")
    assert read(bytes(seal(bytes(batch), 1, 2, 3))) == rows


@pytest.mark.parametrize("codec", [codec for codec in Compression if codec is not Compression.NONE])
def test_what_is_too_large_decompressed_is_refused(codec: Compression) -> None:
    rows: list[Row] = [(0, None, bytes(4 * MIB), [])]
    batch = bytes(seal(compress(build(rows), codec), 1, 2, 3))
    assert len(batch) < MIB
    [raw] = RawBatch.all_in(batch)
    with pytest.raises(DecompressionLimitError, match=f"at offset 0.*{codec.name}.*to at most {MIB} bytes"):
        raw.records(MIB, Scratch())
    assert read(batch, 5 * MIB) == rows
    # Memory that a larger batch has left does not count.
    scratch = Scratch()
    raw.records(5 * MIB, scratch)
    with pytest.raises(DecompressionLimitError):
        raw.records(MIB, scratch)


@pytest.mark.parametrize("codec", [Compression.GZIP, Compression.SNAPPY, Compression.LZ4])
def test_what_is_too_large_in_an_old_format_is_refused(codec: Compression) -> None:
    builder = LegacyRecordBatchBuilder(1, int(codec), 16 * MIB)
    builder.append(0, 1_000, None, bytes(4 * MIB))
    batch = bytes(builder.build())
    assert len(batch) < MIB
    [raw] = RawBatch.all_in(batch)
    with pytest.raises(DecompressionLimitError, match=f"at offset 0.*{codec.name}.*to at most {MIB} bytes"):
        raw.records(MIB, Scratch())
    records, _ = raw.records(5 * MIB, Scratch())
    assert [len(record.value) for record in records] == [4 * MIB]


@given(st.data())
def test_a_changed_bit_is_found(data: Any) -> None:
    batch = bytearray(build([(1, b"key", b"value %d" % number, []) for number in range(5)]))
    # From the attributes on: what is before is set by brokers.
    bit = data.draw(st.integers(21 * 8, len(batch) * 8 - 1))
    batch[bit // 8] ^= 1 << bit % 8
    assert not any(raw.intact() for raw in RawBatch.all_in(bytes(batch)))


def test_what_is_cut_off_is_left_for_the_next_fetch() -> None:
    first, second = build([(0, None, b"a", [])]), build([(0, None, b"b", [])])
    both = bytearray(first + second)
    both[len(first) : len(first) + 8] = (1).to_bytes(8, "big")
    for cut in range(1, len(second) + 1):
        batches, position = readable(bytes(both[:-cut]), [], 0, committed=True)
        assert [batch.base_offset for batch in batches] == [0]
        assert position == 1
    batches, position = readable(bytes(both), [], 0, committed=True)
    assert [batch.base_offset for batch in batches] == [0, 1]
    assert position == 2


def test_times_are_moved_without_building_a_batch_anew() -> None:
    rows: list[Row] = [(0, None, b"a", []), (0, None, b"b", [])]
    assert read(bytes(seal(build(rows), 1, 2, 3, shift=1_700_000_000_000))) == [
        (1_700_000_000_000, None, b"a", []),
        (1_700_000_000_000, None, b"b", []),
    ]


@pytest.mark.parametrize(
    ("key", "expected"),
    # From the tests of Kafka's Java clients (UtilsTest.testMurmur2).
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_are_hashed_as_by_kafka(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected % (1 << 32)
    assert Partitioner().partition(key, 7) == (expected & 0x7FFFFFFF) % 7
