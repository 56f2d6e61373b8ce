"""Codecs: how the bytes of a message and the values that programs work with become each other.

A `Codec` is what the user chooses for the keys or values of a messaging system. It brings a `Decoder`, which works on
whole batches, because that is where C code is fast. When a batch can't be decoded as a whole, the engine decodes record
by record to find the bad ones (see `streamproc.engine.failures`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import orjson

from streamproc.errors import EncodeError, PipelineError

__all__ = [
    "Bytes",
    "Codec",
    "Decoder",
    "Integer",
    "Json",
    "Msgpack",
    "Text",
    "bytes_decoder",
    "codec_of",
    "json_decoder",
    "text_decoder",
]

T = TypeVar("T")


class Decoder(Protocol, Generic[T]):
    """Turns bytes into values of one type."""

    def decode(self, data: bytes, /) -> T:
        """Return the value of one record; any exception means that it can't be read."""
        ...

    def decode_many(self, data: Sequence[bytes], /) -> list[T]:
        """Return the values of a batch in order; fails as a whole when one record can't be read."""
        ...


@dataclass(frozen=True)
class _Each(Generic[T]):
    """Decodes each record on its own."""

    decode: Callable[[bytes], T]
    """The function for one record."""

    def decode_many(self, data: Sequence[bytes], /) -> list[T]:
        """Return the values of a batch in order."""
        # Not list(map(...)): a function that raises StopIteration would end the list early, and silently.
        return [self.decode(record) for record in data]


@dataclass(frozen=True)
class _JsonRecords(Generic[T]):
    """Decodes JSON to a type through msgspec, a batch at a time."""

    decoder: msgspec.json.Decoder[T]

    def decode(self, data: bytes, /) -> T:
        """Return the value of one record."""
        return self.decoder.decode(data)

    def decode_many(self, data: Sequence[bytes], /) -> list[T]:
        """Return the values of a batch in order."""
        # One call into C for the batch: a quarter faster than one per record.
        joined = b"\n".join(data)
        # With a line break inside of a record, lines would no longer be records.
        if joined.count(b"\n") == len(data) - 1:
            values = self.decoder.decode_lines(joined)
            # An empty line is no value: then each record is read alone, which finds it.
            if len(values) == len(data):
                return values
        return [self.decoder.decode(record) for record in data]


def json_decoder(type: type[T] | None = None) -> Decoder[Any]:
    """Return a decoder for JSON: to a `Record` or any other type that msgspec knows, or untyped through orjson."""
    return _Each(orjson.loads) if type is None else _JsonRecords(msgspec.json.Decoder(type))


def text_decoder(encoding: str = "utf-8", errors: str = "strict") -> Decoder[str]:
    """Return a decoder for text; ``errors`` as in `bytes.decode`."""
    if errors == "strict" and encoding in {"utf-8", "utf8"}:
        return _Each(bytes.decode)
    return _Each(lambda data: data.decode(encoding, errors))


def bytes_decoder() -> Decoder[bytes]:
    """Return a decoder that leaves bytes as they are."""
    return _Each(bytes)


class Codec(ABC, Generic[T]):
    """How values of ``T`` are written as bytes and read back: frozen, comparable, and without state.

    Derive from it for a format of your own.
    """

    @property
    @abstractmethod
    def decoder(self) -> Decoder[T]:
        """How to read."""

    @abstractmethod
    def encode(self, value: T, /) -> bytes:
        """Return a value as bytes.

        Raises:
            Exception: It can't be written; any exception means that.
        """


@dataclass(frozen=True)
class Json(Codec[T]):
    """JSON: of a `Record` or any other type that msgspec knows; without a type, of what the JSON itself says.

    Attributes:
        type: What to read.
    """

    type: type[T] | None = None

    @property
    def decoder(self) -> Decoder[T]:
        """How to read."""
        return json_decoder(self.type)

    def encode(self, value: T, /) -> bytes:
        """Return a value as JSON."""
        return msgspec.json.encode(value)


@dataclass(frozen=True)
class Msgpack(Codec[T]):
    """MessagePack of a `Record` or any other type that msgspec knows.

    Attributes:
        type: What to read.
    """

    type: type[T]

    @property
    def decoder(self) -> Decoder[T]:
        """How to read."""
        return _Each(msgspec.msgpack.Decoder(self.type).decode)

    def encode(self, value: T, /) -> bytes:
        """Return a value as MessagePack."""
        return msgspec.msgpack.encode(value)


@dataclass(frozen=True)
class Text(Codec[str]):
    """Text.

    Attributes:
        encoding: How characters are bytes.
    """

    encoding: str = "utf-8"

    @property
    def decoder(self) -> Decoder[str]:
        """How to read."""
        return text_decoder(self.encoding)

    def encode(self, value: str, /) -> bytes:
        """Return text as bytes."""
        return value.encode(self.encoding)


@dataclass(frozen=True)
class Bytes(Codec[bytes]):
    """Bytes as they are."""

    @property
    def decoder(self) -> Decoder[bytes]:
        """How to read."""
        return bytes_decoder()

    def encode(self, value: bytes, /) -> bytes:
        """Return the bytes."""
        if not isinstance(value, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise EncodeError(f"expected bytes, got {type(value).__name__}")
        return value


@dataclass(frozen=True)
class Integer(Codec[int]):
    """An integer, signed and big-endian, as Java's ByteBuffer and Kafka's own serializers write it.

    Attributes:
        size: How many bytes are written: 1, 2, 4 or 8. All of these are read.
    """

    size: int = 8

    def __post_init__(self) -> None:
        if self.size not in _INTEGER_SIZES:
            raise PipelineError(f"Integer(size={self.size}): expected 1, 2, 4 or 8 bytes")

    @property
    def decoder(self) -> Decoder[int]:
        """How to read."""
        return _Each(_read_integer)

    def encode(self, value: int, /) -> bytes:
        """Return an integer as bytes."""
        return value.to_bytes(self.size, "big", signed=True)


_INTEGER_SIZES = (1, 2, 4, 8)


def _read_integer(data: bytes) -> int:
    if len(data) not in _INTEGER_SIZES:
        raise ValueError(f"{len(data)} bytes are no integer of 1, 2, 4 or 8 bytes")
    return int.from_bytes(data, "big", signed=True)


def codec_of(codec: Codec[T] | type[T]) -> Codec[Any]:
    """Return the codec that the user means: itself, or the usual one of a type.

    ``str`` is UTF-8 text, ``bytes`` stays as it is, ``int`` has eight bytes; `Record`s, dicts and all else are JSON.

    Raises:
        PipelineError: It is neither.
    """
    if isinstance(codec, Codec):
        return codec
    if codec is str:
        return Text()
    if codec is bytes:
        return Bytes()
    if codec is int:
        return Integer()
    if codec is dict or codec is object:
        return Json()
    try:
        msgspec.json.Decoder(codec)
    except TypeError as error:
        raise PipelineError(
            f"{codec!r} is no codec: expected a type such as a Record, str or bytes, or a Codec ({error})"
        ) from None
    return Json(codec)
