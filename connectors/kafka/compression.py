"""The codecs of record batches, and decompression into memory that is limited and used again.

A few kilobytes can stand for gigabytes, and no size that is written in them need be true. So what is decompressed goes
into a buffer that exists before, and a batch that doesn't fit is refused. The buffer is kept for the next batch: to get
fresh memory for each would take longer than to decompress it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from enum import IntEnum

import cramjam

from streamproc.errors import DecodeError

__all__ = ["COMPRESS", "Compression", "DecompressionLimitError", "Scratch", "decompress"]


class Compression(IntEnum):
    """The codecs, by their numbers in a batch's attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


class DecompressionLimitError(DecodeError):
    """A batch would need more memory than is allowed, or is damaged."""


class Scratch:
    """Memory for one decompressed batch at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def room(self, size: int) -> memoryview:
        """Return room of at least a size; what it held before is lost."""
        if len(self._buffer) < size:
            self._buffer = bytearray(size)
        return memoryview(self._buffer)


def decompress(data: bytes, codec: int, max_bytes: int, scratch: Scratch, *, before: int) -> tuple[memoryview, int]:
    """Decompress records, and return the memory they are in and how many bytes they take.

    Args:
        data: The compressed records.
        codec: The number of their codec.
        max_bytes: How large they may be.
        scratch: Where they go.
        before: How many bytes are left free in front of them.

    Raises:
        DecompressionLimitError: They are larger, or damaged.
        DecodeError: The codec is not known.
    """
    try:
        into = _DECOMPRESS[Compression(codec)]
    except ValueError:
        raise DecodeError(f"it is compressed by an unknown codec, {codec}") from None
    size = min(max_bytes, 8 * len(data) + 4096)
    while True:
        room = scratch.room(before + size)[: before + max_bytes]
        try:
            return room, into(data, room[before:])
        except (cramjam.DecompressionError, ValueError, zlib.error, struct.error) as error:
            if len(room) >= before + max_bytes:
                raise DecompressionLimitError(
                    f"it can't be decompressed ({Compression(codec).name}) to at most {max_bytes} bytes: {error}"
                ) from error
            size = min(max_bytes, 4 * size)


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


_FRAME = struct.Struct("<IBB")
_FRAME_MAGIC = 0x184D2204
_VERSION, _INDEPENDENT, _BLOCK_CHECKSUM, _CONTENT_SIZE, _DICTIONARY = 0x40, 0x20, 0x10, 0x08, 0x01
_PLAIN_BLOCK = 1 << 31


def _unlz4(data: bytes, into: memoryview) -> int:
    """Decompress a frame of lz4, block by block: cramjam's own reader of frames clears a buffer for each of them.

    Checksums in the frame are passed over, as the batch around it has one.
    """
    magic, flags, _ = _FRAME.unpack_from(data)
    if magic != _FRAME_MAGIC or flags & (_VERSION | _INDEPENDENT | _DICTIONARY) != _VERSION | _INDEPENDENT:
        return cramjam.lz4.decompress_into(data, into)
    at = _FRAME.size + (8 if flags & _CONTENT_SIZE else 0) + 1
    view = memoryview(data)
    used = 0
    while header := struct.unpack_from("<I", data, at)[0]:
        at += 4
        size = header & ~_PLAIN_BLOCK
        block = view[at : at + size]
        if header & _PLAIN_BLOCK:
            into[used : used + size] = block
            used += size
        else:
            room = into[used:]
            # Without the length it would look for a size in front of the block, and could find one by chance.
            used += cramjam.lz4.decompress_block_into(block, room, output_len=len(room))
        at += size + (4 if flags & _BLOCK_CHECKSUM else 0)
    return used


_DECOMPRESS: dict[Compression, Callable[[bytes, memoryview], int]] = {
    Compression.GZIP: _gunzip,
    Compression.SNAPPY: _unsnap,
    Compression.LZ4: _unlz4,
    Compression.ZSTD: cramjam.zstd.decompress_into,
}


def _lz4(data: bytes) -> bytes:
    # Brokers don't read blocks that refer to one another.
    compressor = cramjam.lz4.Compressor(level=1, content_checksum=False, block_linked=False)
    compressor.compress(data)
    return bytes(compressor.finish())


COMPRESS: dict[Compression, Callable[[bytes], bytes]] = {
    Compression.NONE: bytes,
    Compression.GZIP: lambda data: zlib.compress(data, 6, wbits=31),
    Compression.SNAPPY: lambda data: bytes(cramjam.snappy.compress_raw(data)),
    Compression.LZ4: _lz4,
    Compression.ZSTD: lambda data: bytes(cramjam.zstd.compress(data, level=3)),
}
"""How to compress records."""
