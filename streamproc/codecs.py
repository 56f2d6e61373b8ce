"""Decoders: how the bytes of a source become values.

A `Decoder` works on whole batches, because that is where C code is fast. When a batch can't be decoded as a whole, the
engine decodes record by record to find the bad ones (see `streamproc.engine.failures`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import orjson

__all__ = ["Decoder", "bytes_decoder", "json_decoder", "text_decoder"]

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
