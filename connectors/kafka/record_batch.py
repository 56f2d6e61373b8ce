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
"""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import cramjam
from aiokafka.record.default_records import DefaultRecordBatch  # type: ignore[import-untyped]
from aiokafka.record.legacy_records import LegacyRecordBatch  # type: ignore[import-untyped]
from aiokafka.record.util import calc_crc32c  # type: ignore[import-untyped]

from streamproc.errors import DecodeError

__all__ = ["HEADER_SIZE", "Compression", "DecompressionLimitError", "RawBatch", "compress", "seal"]

_HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_SIZE = _HEADER.size
_PRODUCER = struct.Struct(">qhi")
_LENGTH_AT, _MAGIC_AT, _CRC_AT, _ATTRIBUTES_AT, _TIMES_AT, _PRODUCER_AT = 8, 16, 17, 21, 27, 43
_BEFORE_LENGTH = 12
_CODEC, _TRANSACTIONAL, _CONTROL = 0x07, 0x10, 0x20


class Compression(IntEnum):
    """The codecs, by their numbers in a batch's attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


class DecompressionLimitError(DecodeError):
    """A batch would need more memory than is allowed."""


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
    def all_in(cls, data: bytes) -> Iterator[RawBatch]:
        """Yield the complete batches in what a broker gave; what is cut off at its end is left out."""
        view = memoryview(data)
        at = 0
        while len(view) - at >= HEADER_SIZE:
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
        # The only record's key holds a version and a type: 0 is an abort.
        [record] = DefaultRecordBatch(self.data.tobytes())
        key: bytes = record.key
        return key[2:4] == b"\x00\x00"

    def intact(self) -> bool:
        """Return whether the bytes are those that were written."""
        if self.magic < 2:
            return bool(LegacyRecordBatch(self.data.tobytes(), self.magic).validate_crc())
        expected: int = struct.unpack_from(">I", self.data, _CRC_AT)[0]
        return bool(calc_crc32c(self.data[_ATTRIBUTES_AT:]) == expected)

    def records(self, max_bytes: int) -> tuple[Iterator[Any], int]:
        """Return an iterator over the records, and how many bytes they take at most.

        Records are objects with ``offset, timestamp, key, value, headers``.

        Args:
            max_bytes: How large the records may be together, decompressed.

        Raises:
            DecompressionLimitError: They are larger, or damaged.
        """
        if self.magic < 2:
            return iter(LegacyRecordBatch(self.data.tobytes(), self.magic)), max_bytes
        codec = self.attributes & _CODEC
        plain = self.data if codec == Compression.NONE else self._decompressed(codec, max_bytes)
        return iter(DefaultRecordBatch(plain)), len(plain)

    def _decompressed(self, codec: int, max_bytes: int) -> memoryview:
        """Return the batch as if it had never been compressed, but for its checksum."""
        try:
            decompress = _DECOMPRESS[Compression(codec)]
        except ValueError:
            raise DecodeError(
                f"the batch at offset {self.base_offset} is compressed by an unknown codec {codec}"
            ) from None
        packed = self.data[HEADER_SIZE:].tobytes()
        size = min(max_bytes, 8 * len(packed) + 4096)
        while True:
            room = bytearray(HEADER_SIZE + size)
            try:
                used = decompress(packed, memoryview(room)[HEADER_SIZE:])
                break
            except (cramjam.DecompressionError, ValueError, zlib.error) as error:
                if size >= max_bytes:
                    raise DecompressionLimitError(
                        f"the batch at offset {self.base_offset} ({len(self.data)} bytes, {Compression(codec).name}) "
                        f"can't be decompressed to at most {max_bytes} bytes: {error}"
                    ) from error
                size = min(max_bytes, 4 * size)
        room[:HEADER_SIZE] = self.data[:HEADER_SIZE]
        struct.pack_into(">h", room, _ATTRIBUTES_AT, self.attributes & ~_CODEC)
        return memoryview(room)[: HEADER_SIZE + used]


def _gunzip(data: bytes, into: memoryview) -> int:
    unpacker = zlib.decompressobj(wbits=31)
    plain = unpacker.decompress(data, len(into) + 1)
    if len(plain) > len(into) or not unpacker.eof:
        raise ValueError("it is larger, or cut off")
    into[: len(plain)] = plain
    return len(plain)


_XERIAL = b"\x82SNAPPY\x00"


def _unsnap(data: bytes, into: memoryview) -> int:
    """Decompress snappy: raw, or in the blocks of xerial's Java library, with a header and lengths of their own."""
    if data[: len(_XERIAL)] != _XERIAL:
        return _unsnap_block(data, into)
    at, used = 16, 0
    while at < len(data):
        length: int = struct.unpack_from(">i", data, at)[0]
        used += _unsnap_block(data[at + 4 : at + 4 + length], into[used:])
        at += 4 + length
    return used


def _unsnap_block(data: bytes, into: memoryview) -> int:
    if cramjam.snappy.decompress_raw_len(data) > len(into):
        raise ValueError("it is larger")
    return cramjam.snappy.decompress_raw_into(data, into)


_DECOMPRESS: dict[Compression, Callable[[bytes, memoryview], int]] = {
    Compression.GZIP: _gunzip,
    Compression.SNAPPY: _unsnap,
    Compression.LZ4: cramjam.lz4.decompress_into,
    Compression.ZSTD: cramjam.zstd.decompress_into,
}


def compress(batch: bytes | bytearray, codec: Compression) -> bytes:
    """Return a batch of records that aren't compressed with its records compressed; its checksum is to be set yet."""
    packed = _COMPRESS[codec](bytes(memoryview(batch)[HEADER_SIZE:]))
    header = bytearray(batch[:HEADER_SIZE])
    struct.pack_into(">i", header, _LENGTH_AT, HEADER_SIZE - _BEFORE_LENGTH + len(packed))
    attributes: int = struct.unpack_from(">h", header, _ATTRIBUTES_AT)[0]
    struct.pack_into(">h", header, _ATTRIBUTES_AT, attributes & ~_CODEC | codec)
    return bytes(header) + packed


def _lz4(data: bytes) -> bytes:
    # Brokers don't read blocks that refer to one another.
    compressor = cramjam.lz4.Compressor(level=1, content_checksum=False, block_linked=False)
    compressor.compress(data)
    return bytes(compressor.finish())


_COMPRESS: dict[Compression, Callable[[bytes], bytes]] = {
    Compression.NONE: bytes,
    Compression.GZIP: lambda data: zlib.compress(data, 6, wbits=31),
    Compression.SNAPPY: lambda data: bytes(cramjam.snappy.compress_raw(data)),
    Compression.LZ4: _lz4,
    Compression.ZSTD: lambda data: bytes(cramjam.zstd.compress(data, level=3)),
}


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
    struct.pack_into(">I", sealed, _CRC_AT, calc_crc32c(memoryview(sealed)[_ATTRIBUTES_AT:]))
    return sealed
