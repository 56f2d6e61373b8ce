"""From rows to what the outbox holds: record batches that are ready to be sent.

    payload     msgpack: [[topic, partition, timed, batch], ...]

A batch is a record batch of Kafka's (see `record_batch`), compressed, without a producer. Where ``timed`` is false its
records have the time zero, and get that of the micro-batch when they are sent: it isn't known earlier. Several batches
of one partition stand in the order of their rows.
"""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

import msgspec
from aiokafka.record.default_records import DefaultRecordBatchBuilder  # type: ignore[import-untyped]

from streamproc.batch import Batch
from streamproc.codecs import Codec
from streamproc.errors import EncodeError

from .compression import Compression
from .partitioner import Partitioner
from .record_batch import compress

__all__ = ["Encoding", "Outgoing", "decode_payload", "encode_payload"]

Function: TypeAlias = Callable[[Any], Any]

_OVERHEAD = 100
"""What a record takes besides key, value and headers, with a part of its batch's header."""


class Outgoing(NamedTuple):
    """A record batch on its way: where to, and whether its records have times of their own."""

    topic: str
    partition: int
    timed: bool
    batch: bytes


def encode_payload(batches: Sequence[Outgoing]) -> bytes:
    """Return batches as a payload of the outbox."""
    return msgspec.msgpack.encode(batches)


def decode_payload(payload: bytes) -> list[Outgoing]:
    """Return the batches of a payload."""
    return msgspec.msgpack.decode(payload, type=list[Outgoing])


@dataclass(frozen=True, slots=True)
class Encoding:
    """How rows become records; see `KafkaSink`."""

    topic: str | Function
    key: Function | None
    value: Function | None
    headers: Function | None
    timestamp: Function | None
    key_codec: Codec[Any] | None
    value_codec: Codec[Any] | None
    compression: Compression
    max_record_bytes: int
    transactional: bool

    def encode(self, batch: Batch, partitioner: Partitioner, partitions: Callable[[str], int]) -> bytes:
        """Return rows as a payload.

        Args:
            batch: The rows.
            partitioner: Chooses partitions.
            partitions: Returns how many a topic has.

        Raises:
            EncodeError: A row can't be written.
        """
        rows = batch.rows()
        keys = self._keys(batch, rows)
        values = self._values(batch, rows)
        times = batch.timestamps
        if self.timestamp is not None:
            times = [_epoch_ms(self.timestamp(row)) for row in rows]
        headers: Iterable[list[tuple[str, bytes | None]]] = ([] for _ in rows)
        if self.headers is not None:
            headers = [_headers(self.headers(row)) for row in rows]
        topics: list[str] = [self.topic] * len(rows) if isinstance(self.topic, str) else list(map(self.topic, rows))
        counts = {topic: partitions(topic) for topic in set(topics)}
        builders: dict[tuple[str, int], _Batches] = {}
        for topic, key, value, time, header in zip(
            topics, keys, values, times or [0] * len(rows), headers, strict=True
        ):
            if key is None and value is None:
                raise EncodeError("a record without a key and without a value can't be sent: give it a key")
            size = len(key or b"") + len(value or b"") + _OVERHEAD
            size += sum(len(name.encode()) + len(content or b"") for name, content in header)
            if size > self.max_record_bytes:
                raise EncodeError(
                    f"the record takes {size} bytes, and {self.max_record_bytes} are allowed: brokers refuse what is "
                    f"larger than the topic's max.message.bytes; raise both, that and KafkaSink(max_record_bytes=…)"
                )
            place = topic, partitioner.partition(key, counts[topic])
            builder = builders.get(place)
            if builder is None:
                builder = builders[place] = _Batches(self)
            builder.append(time, key, value, header)
        partitioner.next_batch()
        return encode_payload(
            [
                Outgoing(topic, partition, times is not None, built)
                for (topic, partition), builder in builders.items()
                for built in builder.build()
            ]
        )

    def _keys(self, batch: Batch, rows: Sequence[Any]) -> list[bytes | None]:
        if self.key is not None:
            keys = [self.key(row) for row in rows]
        elif batch.keys is not None:
            keys = batch.keys
        else:
            return [None] * len(rows)
        return _encoded(keys, self.key_codec)

    def _values(self, batch: Batch, rows: Sequence[Any]) -> list[bytes | None]:
        values = batch.values if self.value is None else [self.value(row) for row in rows]
        return _encoded(values, self.value_codec)


class _Batches:
    """Builds the batches of one partition, none larger than a record may be."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._full: list[Any] = []
        self._offset = 0
        self._builder = self._begin()

    def append(
        self, time: int, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
    ) -> None:
        if self._builder.append(self._offset, time, key, value, headers) is None:
            self._full.append(self._builder)
            self._builder, self._offset = self._begin(), 0
            self._builder.append(0, time, key, value, headers)
        self._offset += 1

    def build(self) -> list[bytes]:
        return [compress(builder.build(), self._encoding.compression) for builder in (*self._full, self._builder)]

    def _begin(self) -> Any:
        encoding = self._encoding
        return DefaultRecordBatchBuilder(2, 0, int(encoding.transactional), -1, -1, 0, encoding.max_record_bytes)


_JSON = msgspec.json.Encoder()


def _encoded(values: Sequence[Any], codec: Codec[Any] | None) -> list[bytes | None]:
    """Return keys or values as bytes; None stays None."""
    if codec is not None:
        encode = codec.encode
        return [None if value is None else encode(value) for value in values]
    kinds = set(map(type, values))
    if kinds == {str}:
        return [value.encode() for value in values]
    if kinds == {bytes}:
        return list(values)
    return [_usual(value) for value in values]


def _usual(value: Any) -> bytes | None:
    """Return a value as its type suggests: bytes and text as they are, all else as JSON."""
    if value is None or isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else _JSON.encode(value)


def _headers(given: Any) -> list[tuple[str, bytes | None]]:
    """Return headers as Kafka takes them, from a dict or from pairs."""
    pairs = given.items() if hasattr(given, "items") else given or ()
    headers = [(name, content.encode() if isinstance(content, str) else content) for name, content in pairs]
    for name, content in headers:
        if not isinstance(name, str) or not isinstance(content, bytes | None):
            raise EncodeError(f"the header {name!r}: {content!r}: expected a name, and text, bytes or None")
    return headers


def _epoch_ms(time: Any) -> int:
    if isinstance(time, datetime) and time.tzinfo is not None:
        return int(time.timestamp() * 1000)
    if type(time) is int and time >= 0:
        return time
    raise EncodeError(f"the timestamp {time!r}: expected epoch milliseconds, or a datetime with a time zone")
