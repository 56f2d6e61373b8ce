"""`KafkaRecord`: a message with all that Kafka knows of it, for those who ask for more than values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from streamproc.codecs import Decoder
from streamproc.errors import DecodeError
from streamproc.records import Record

__all__ = ["KafkaRecord", "RecordDecoder", "ValueDecoder"]

K = TypeVar("K")
V = TypeVar("V")


class KafkaRecord(Record, Generic[K, V], frozen=True):
    """A message as Kafka has it.

    Attributes:
        key: The key; None if it has none.
        value: The value; None is a tombstone, which says that the key is deleted.
        topic: The topic.
        partition: The number of its partition there.
        offset: Its place in the partition.
        timestamp: In epoch milliseconds: when it was made or appended, as the topic says.
        headers: Names and values.
    """

    key: K | None
    value: V | None
    topic: str
    partition: int
    offset: int
    timestamp: int
    headers: tuple[tuple[str, bytes | None], ...] = ()


class ValueDecoder(Decoder[V]):
    """Decodes values; a tombstone is no value.

    Args:
        decoder: Decodes the bytes.
    """

    def __init__(self, decoder: Decoder[V]) -> None:
        self._decoder = decoder

    def decode(self, data: bytes | None, /) -> V:
        """Return a value.

        Raises:
            DecodeError: There is none.
        """
        if data is None:
            raise DecodeError(
                "a tombstone (a record without a value): read with KafkaSource(…, metadata=True), where its value is "
                'None, or skip it with on_error="skip"'
            )
        return self._decoder.decode(data)

    def decode_many(self, data: Sequence[bytes | None], /) -> list[V]:
        """Return the values of a batch; fails as a whole when one can't be read."""
        if None in data:
            raise DecodeError("a batch with tombstones")
        return self._decoder.decode_many(data)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class RecordDecoder(Decoder[KafkaRecord[Any, Any]]):
    """Decodes the keys and values of records.

    Args:
        key: Decodes keys.
        value: Decodes values.
    """

    def __init__(self, key: Decoder[Any], value: Decoder[Any]) -> None:
        self._key = key
        self._value = value

    def decode(self, data: Any, /) -> KafkaRecord[Any, Any]:
        """Return a record with key and value decoded."""
        key = None if data.key is None else self._key.decode(data.key)
        value = None if data.value is None else self._value.decode(data.value)
        return msgspec.structs.replace(data, key=key, value=value)

    def decode_many(self, data: Sequence[Any], /) -> list[KafkaRecord[Any, Any]]:
        """Return the records of a batch; fails as a whole when one can't be read."""
        return [self.decode(record) for record in data]
