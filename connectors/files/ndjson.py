"""`Ndjson`: one line is one JSON value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, overload

import msgspec

from streamproc.batch import Batch
from streamproc.codecs import Decoder, json_decoder

from .format import Format, Rows, pairs

__all__ = ["Ndjson"]

T = TypeVar("T")


class _KeyedRow(msgspec.Struct, gc=False):
    """How a row with a key is written."""

    key: Any
    value: Any


_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, init=False)
class Ndjson(Format[T]):
    """Newline-delimited JSON. Empty lines are no records.

    Written, a value is a line of JSON, and a row with a key is ``{"key": …, "value": …}``.

    Args:
        type: What to read each line as: a `Record`, or any other type that msgspec knows. Without it, lines become the
            dicts, lists, strings and numbers that they spell.
    """

    suffix = "ndjson"
    skips_blank = True

    record_type: type[T] | None

    @overload
    def __init__(self: Ndjson[Any], type: None = None) -> None: ...
    @overload
    def __init__(self, type: type[T]) -> None: ...
    def __init__(self, type: type[Any] | None = None) -> None:
        object.__setattr__(self, "record_type", type)

    @property
    def decoder(self) -> Decoder[T]:
        """How to turn the bytes of a line into a value."""
        return json_decoder(self.record_type)

    def encode(self, batch: Batch) -> Rows:
        """Return the rows of a batch as lines of JSON."""
        rows = batch.values if batch.keys is None else [_KeyedRow(key, value) for key, value in pairs(batch)]
        return Rows(b"", _ENCODER.encode_lines(rows))
