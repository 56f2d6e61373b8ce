"""Keys as bytes: the order of the bytes is the order of the keys, and the keys can be read back.

The layout is that of FoundationDB's tuple layer (https://github.com/apple/foundationdb/blob/main/design/tuple.md),
without its types for single floats, UUIDs and versionstamps, and with a longer form for very large integers. A key is a
code, one byte, and what belongs to it:

    00               None; inside a tuple 00 FF, so that it can't be taken for the tuple's end
    01 ... 00        bytes, in which each 00 is written as 00 FF
    02 ... 00        str as UTF-8, in which each 00 is written as 00 FF
    05 ... 00        tuple: its items one after the other
    0B length ...    int of -2**64 and below, see 1D
    0C .. 13         negative int of 8 .. 1 bytes, big-endian, plus 2**(8 * bytes) - 1: that is, the complement
    14               the int 0
    15 .. 1C         positive int of 1 .. 8 bytes, big-endian
    1D length ...    int of 2**64 and above: the number of bytes as 4 bytes, then the bytes, big-endian; a negative one
                     is written as its positive, each byte, those of the length too, complemented
    21 ........      float: IEEE 754 binary64, big-endian; of a positive one the sign bit is flipped, of a negative one
                     all bits are
    26, 27           False, True

No code is FF, so that encodings can be joined (`encode_prefix`) and taken apart (`decode_parts`), and those that begin
with the same keys are one range (`prefix_end`). Keys of one type are in their natural order: numbers by size, text by
code point, tuples item by item. Keys of different types never mix; their order is that of the codes. -0.0 is written as
0.0, its equal; NaN is refused, as it has no place in an order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from streamproc.errors import DecodeError, EncodeError

__all__ = ["decode_key", "decode_parts", "encode_bound", "encode_key", "encode_prefix", "prefix_end"]

_NONE: Final = 0x00
_BYTES: Final = 0x01
_STR: Final = 0x02
_TUPLE: Final = 0x05
_BIG_NEGATIVE: Final = 0x0B
_ZERO: Final = 0x14
_BIG_POSITIVE: Final = 0x1D
_FLOAT: Final = 0x21
_FALSE: Final = 0x26
_TRUE: Final = 0x27

_SIGN: Final = 1 << 63
_ALL: Final = (1 << 64) - 1
_CODES: Final = [bytes([code]) for code in range(256)]
_COMPLEMENT: Final = bytes(range(255, -1, -1))


def encode_key(key: object) -> bytes:
    """Return a key as bytes.

    Args:
        key: None, bool, int, float, str, bytes, or a tuple of these; of exactly these types, since a key of a subclass
            could not be told from its base when it is read.

    Raises:
        EncodeError: The key is of another type, NaN, or text with lone surrogates.
    """
    if type(key) is str:
        try:
            data = key.encode()
        except UnicodeEncodeError:
            raise EncodeError(f"the key {key!r} holds a lone surrogate, which UTF-8 can't write: replace it") from None
        return b"\x02%b\x00" % (data.replace(b"\x00", b"\x00\xff") if b"\x00" in data else data)
    encode = _ENCODE.get(cast("type", type(key)))
    if encode is None:
        raise EncodeError(_refusal(key))
    return encode(key)


def encode_prefix(*parts: object) -> bytes:
    """Return the encodings of several keys joined: what the encoding of any longer sequence of keys begins with."""
    return b"".join(map(encode_key, parts))


def encode_bound(bound: object) -> bytes:
    """Return a key as the bound of a range; a tuple also bounds the longer tuples that begin with it.

    With ``(5,)`` as the end of a range, neither ``(5,)`` nor ``(5, "a")`` is in it; as its start, both are.
    """
    encoded = encode_key(bound)
    return encoded[:-1] if encoded[0] == _TUPLE else encoded


def prefix_end(prefix: bytes) -> bytes:
    """Return the end of the range of all encodings that begin with a prefix of `encode_prefix` or `encode_bound`."""
    # Not the next larger prefix: "a\0" is 02 61 00 FF 00, which begins with the encoding of "a" but is another key.
    return prefix + b"\xff"


def decode_key(data: bytes) -> Any:
    """Return the key whose encoding is ``data``.

    Raises:
        DecodeError: The bytes are not the encoding of one key.
    """
    parts = decode_parts(data)
    if len(parts) != 1:
        raise DecodeError(f"expected the bytes of one key, got those of {len(parts)}: {data[:40]!r}")
    return parts[0]


def decode_parts(data: bytes, start: int = 0) -> list[Any]:
    """Return the keys whose joined encodings are ``data[start:]``.

    Raises:
        DecodeError: The bytes are not the encodings of keys.
    """
    parts: list[Any] = []
    try:
        while start < len(data):
            part, start = _decode(data, start)
            parts.append(part)
    except (IndexError, ValueError, RecursionError) as error:
        raise DecodeError(f"not the bytes of a key: {data[:40]!r} ({error})") from error
    return parts


def _encode_int(key: int) -> bytes:
    size = (key.bit_length() + 7) >> 3
    if key >= 0:
        if size <= 8:
            return _CODES[_ZERO + size] + key.to_bytes(size, "big")
        return _CODES[_BIG_POSITIVE] + size.to_bytes(4, "big") + key.to_bytes(size, "big")
    if size <= 8:
        return _CODES[_ZERO - size] + (key + (1 << 8 * size) - 1).to_bytes(size, "big")
    return _CODES[_BIG_NEGATIVE] + (size.to_bytes(4, "big") + (-key).to_bytes(size, "big")).translate(_COMPLEMENT)


def _encode_float(key: float) -> bytes:
    if key != key:  # noqa: PLR0124 - the test for NaN
        raise EncodeError("NaN is no key: it equals nothing, not even itself; map it to None or leave the record out")
    bits = int.from_bytes(struct.pack(">d", key + 0.0), "big")
    return _CODES[_FLOAT] + (bits ^ (_ALL if bits & _SIGN else _SIGN)).to_bytes(8, "big")


def _encode_tuple(key: tuple[object, ...]) -> bytes:
    return b"\x05%b\x00" % b"".join([b"\x00\xff" if item is None else encode_key(item) for item in key])


_ENCODE: Final[dict[type, Callable[[Any], bytes]]] = {
    int: _encode_int,
    tuple: _encode_tuple,
    bytes: lambda key: b"\x01%b\x00" % key.replace(b"\x00", b"\x00\xff"),
    float: _encode_float,
    bool: lambda key: b"\x27" if key else b"\x26",
    type(None): lambda _: b"\x00",
}


def _refusal(key: object) -> str:
    name = f"{type(key).__module__}.{type(key).__qualname__}".removeprefix("builtins.")
    if issubclass(type(key), tuple):
        advice = "make it a plain tuple with tuple(key)"
    elif issubclass(type(key), Sequence):
        advice = "make it a tuple"
    else:
        advice = "take one of its fields, a tuple of them, or the value of an enum's member"
    return (
        f"a key is of type {name}: {repr(key)[:80]}; expected None, bool, int, float, str, bytes or a tuple of these, "
        f"exactly: {advice}"
    )


def _decode(data: bytes, start: int) -> tuple[Any, int]:
    """Return the key at an offset and the offset behind it."""
    code = data[start]
    start += 1
    if code in (_STR, _BYTES):
        end = _terminator(data, start)
        content = data[start:end].replace(b"\x00\xff", b"\x00")
        return (content.decode() if code == _STR else content), end + 1
    if _BIG_NEGATIVE < code < _BIG_POSITIVE:
        size = abs(code - _ZERO)
        number = int.from_bytes(_slice(data, start, size), "big")
        return (number if code >= _ZERO else number - (1 << 8 * size) + 1), start + size
    if code == _TUPLE:
        return _decode_tuple(data, start)
    if code in (_BIG_POSITIVE, _BIG_NEGATIVE):
        flip = _COMPLEMENT if code == _BIG_NEGATIVE else None
        size = int.from_bytes(_slice(data, start, 4).translate(flip), "big")
        number = int.from_bytes(_slice(data, start + 4, size).translate(flip), "big")
        return (-number if flip else number), start + 4 + size
    if code == _FLOAT:
        bits = int.from_bytes(_slice(data, start, 8), "big")
        bits ^= _SIGN if bits & _SIGN else _ALL
        return struct.unpack(">d", bits.to_bytes(8, "big"))[0], start + 8
    if code == _NONE:
        return None, start
    if code in (_FALSE, _TRUE):
        return code == _TRUE, start
    raise ValueError(f"unknown code {code:#04x}")


def _decode_tuple(data: bytes, start: int) -> tuple[tuple[Any, ...], int]:
    items: list[Any] = []
    while True:
        if data[start] != 0:
            item, start = _decode(data, start)
            items.append(item)
        elif data[start + 1 : start + 2] == b"\xff":
            items.append(None)
            start += 2
        else:
            return tuple(items), start + 1


def _terminator(data: bytes, start: int) -> int:
    """Return the offset of the 00 that ends text or bytes, skipping the escaped ones."""
    while True:
        start = data.index(b"\x00", start)
        if data[start + 1 : start + 2] != b"\xff":
            return start
        start += 2


def _slice(data: bytes, start: int, size: int) -> bytes:
    part = data[start : start + size]
    if len(part) != size:
        raise ValueError("the end is missing")
    return part
