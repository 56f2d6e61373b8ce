"""Kafka's record batch, version 2: the bytes that brokers keep and give, as they are.

    offset  size  field
         0     8  base offset                      absolute; records have deltas to it
         8     4  length                           of what follows
        12     4  partition leader epoch           set by the broker
        16     1  magic                            2
        17     4  CRC-32C                          of everything behind it
        21     2  attributes                       bits 0-2 codec, 3 log append time, 4 transactional, 5 control
        23     4  last offset delta                also when compaction has removed the last record
        27     8  base timestamp                   epoch milliseconds; records have deltas to it
        35     8  max timestamp                    the time of all records where bit 3 is set
        43     8  producer id                      -1 without idempotence
        51     2  producer epoch
        53     4  base sequence
        57     4  count of records
        61        records, compressed together by the codec

What identifies the producer, and the base timestamp, lie outside of what is compressed. So a batch can be built and
compressed before the commit, kept in the outbox, and be sealed for whichever producer publishes it.

Records are parsed by aiokafka's C extension, from a batch that isn't compressed: decompression happens here, into
memory that is limited, as a few kilobytes can stand for gigabytes.

Topics that are older than Kafka 0.11 may hold messages of the formats 0 and 1: each a record, or a set of records that
are compressed together. They have offset, length and magic in the same places, then

        17     1  attributes                       bits 0-2 codec
        18     8  timestamp                        in format 1 only
     18/26        key and value, each behind its length (4 bytes, -1 for none)
"""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatch  # type: ignore[import-untyped]
from aiokafka.record.legacy_records import LegacyRecordBatch  # type: ignore[import-untyped]
from google_crc32c import value as crc32c

from streamproc.errors import DecodeError

from .compression import COMPRESS, Compression, Scratch, decompress

__all__ = ["HEADER_SIZE", "RawBatch", "compress", "seal"]

_HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_SIZE = _HEADER.size
_PRODUCER = struct.Struct(">qhi")
_LENGTH_AT, _MAGIC_AT, _CRC_AT, _ATTRIBUTES_AT, _TIMES_AT, _PRODUCER_AT = 8, 16, 17, 21, 27, 43
_OLD_ATTRIBUTES_AT, _OLD_KEYS_AT = 17, (18, 26)
_BEFORE_LENGTH = 12
_CODEC, _TRANSACTIONAL, _CONTROL = 0x07, 0x10, 0x20


@dataclass(frozen=True, slots=True)
class RawBatch:
    """A batch as it was fetched; of batches of the old formats 0 and 1 only the place is known.

    Attributes:
        data: All its bytes.
        base_offset: The offset of its first record, which compaction may have removed.
        next_offset: The offset behind its last record, which compaction may have removed too.
        attributes: Codec and flags.
        producer_id: Who wrote it; -1 if that isn't known.
        count: How many records it has; -1 if that isn't known.
        magic: The version of the format.
    """

    data: memoryview
    base_offset: int
    next_offset: int
    attributes: int
    producer_id: int
    count: int
    magic: int

    @classmethod
    def all_in(cls, data: bytes | memoryview) -> Iterator[RawBatch]:
        """Yield the complete batches in what a broker gave; what is cut off at its end is left out."""
        view = memoryview(data)
        at = 0
        # So many bytes every format has: messages of the old ones may be shorter than a header of today's.
        while len(view) - at > _MAGIC_AT:
            end = at + _BEFORE_LENGTH + struct.unpack_from(">i", view, at + _LENGTH_AT)[0]
            if end > len(view):
                return
            if view[at + _MAGIC_AT] < 2:
                yield cls._old(view[at:end])
            else:
                base, _, _, magic, _, attributes, last, _, _, producer, _, _, count = _HEADER.unpack_from(view, at)
                yield cls(view[at:end], base, base + last + 1, attributes, producer, count, magic)
            at = end

    @classmethod
    def _old(cls, data: memoryview) -> RawBatch:
        # A compressed set of messages has the offset of the last of them.
        magic = data[_MAGIC_AT]
        next_offset: int = LegacyRecordBatch(data.tobytes(), magic).next_offset
        return cls(data, struct.unpack_from(">q", data)[0], next_offset, 0, -1, -1, magic)

    @property
    def is_control(self) -> bool:
        """Whether it holds a marker of a transaction, and no records."""
        return bool(self.attributes & _CONTROL)

    @property
    def is_transactional(self) -> bool:
        """Whether its records belong to a transaction."""
        return bool(self.attributes & _TRANSACTIONAL)

    @property
    def is_abort(self) -> bool:
        """Whether it is the marker of an aborted transaction."""
        if not self.is_control:
            return False
        # The only record's key holds a version and a type: 0 is an abort. Compaction may have removed the record.
        record: Any = next(iter(DefaultRecordBatch(self.data.tobytes())), None)
        return record is not None and record.key[2:4] == b"\x00\x00"

    def intact(self) -> bool:
        """Return whether the bytes are those that were written."""
        if self.magic < 2:
            return bool(LegacyRecordBatch(self.data.tobytes(), self.magic).validate_crc())
        expected: int = struct.unpack_from(">I", self.data, _CRC_AT)[0]
        return bool(crc32c(bytes(self.data[_ATTRIBUTES_AT:])) == expected)

    def records(self, max_bytes: int, scratch: Scratch) -> tuple[Iterator[Any], int]:
        """Return an iterator over the records, and how many bytes they take at most.

        Records are objects with ``offset, timestamp, key, value, headers``.

        Args:
            max_bytes: How large the records may be together, decompressed.
            scratch: Where to decompress them; what it held before is lost.

        Raises:
            DecompressionLimitError: They are larger, or damaged.
        """
        if self.magic < 2:
            return iter(LegacyRecordBatch(self.data.tobytes(), self.magic)), self._old_size(max_bytes, scratch)
        codec = self.attributes & _CODEC
        plain = self.data if codec == Compression.NONE else self._plain(codec, max_bytes, scratch)
        return iter(DefaultRecordBatch(plain)), len(plain)

    def _plain(self, codec: int, max_bytes: int, scratch: Scratch) -> memoryview:
        """Return the batch as if it had never been compressed, but for its checksum."""
        room, used = self._decompressed(HEADER_SIZE, codec, max_bytes, scratch)
        room[:HEADER_SIZE] = self.data[:HEADER_SIZE]
        struct.pack_into(">h", room, _ATTRIBUTES_AT, self.attributes & ~_CODEC)
        return room[: HEADER_SIZE + used]

    def _old_size(self, max_bytes: int, scratch: Scratch) -> int:
        """Return how many bytes a message takes, or the set in it decompressed."""
        codec = self.data[_OLD_ATTRIBUTES_AT] & _CODEC
        if codec == Compression.NONE:
            return len(self.data)
        key_at = _OLD_KEYS_AT[self.magic]
        key_size: int = struct.unpack_from(">i", self.data, key_at)[0]
        # aiokafka decompresses it again, but without a limit.
        _, used = self._decompressed(key_at + 4 + max(0, key_size) + 4, codec, max_bytes, scratch)
        return used

    def _decompressed(self, start: int, codec: int, max_bytes: int, scratch: Scratch) -> tuple[memoryview, int]:
        """Decompress what is behind a place; return the memory, with room for a header in front, and the size."""
        try:
            return decompress(self.data[start:].tobytes(), codec, max_bytes, scratch, before=HEADER_SIZE)
        except DecodeError as error:
            raise type(error)(f"the batch at offset {self.base_offset} ({len(self.data)} bytes): {error}") from error


def compress(batch: bytes | bytearray, codec: Compression) -> bytes:
    """Return a batch of records that aren't compressed with its records compressed; its checksum is to be set yet."""
    packed = COMPRESS[codec](bytes(memoryview(batch)[HEADER_SIZE:]))
    header = bytearray(batch[:HEADER_SIZE])
    struct.pack_into(">i", header, _LENGTH_AT, HEADER_SIZE - _BEFORE_LENGTH + len(packed))
    attributes: int = struct.unpack_from(">h", header, _ATTRIBUTES_AT)[0]
    struct.pack_into(">h", header, _ATTRIBUTES_AT, attributes & ~_CODEC | codec)
    return bytes(header) + packed


def seal(batch: bytes, producer_id: int, epoch: int, sequence: int, *, shift: int = 0) -> bytearray:
    """Return a batch as a producer sends it.

    Args:
        batch: A batch that was built before.
        producer_id: The producer.
        epoch: Its epoch.
        sequence: How many records it has sent to the partition before.
        shift: What to add to the timestamps of all records, in milliseconds.
    """
    sealed = bytearray(batch)
    _PRODUCER.pack_into(sealed, _PRODUCER_AT, producer_id, epoch, sequence)
    if shift:
        first, last = struct.unpack_from(">qq", sealed, _TIMES_AT)
        struct.pack_into(">qq", sealed, _TIMES_AT, first + shift, last + shift)
    struct.pack_into(">I", sealed, _CRC_AT, crc32c(bytes(memoryview(sealed)[_ATTRIBUTES_AT:])))
    return sealed
