"""`KafkaSink`: results to Kafka topics, each batch in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

from streamproc.codecs import Codec, codec_of
from streamproc.durations import Duration, to_ms
from streamproc.errors import PipelineError
from streamproc.io.sink import Delivery, Sink, SinkContext, SinkWriter

from .compression import Compression
from .outgoing import Encoding
from .settings import KafkaSettings
from .source import KafkaSource
from .writer import KafkaWriter, WriteOptions

__all__ = ["KafkaSink"]

T = TypeVar("T")


@dataclass(frozen=True)
class KafkaSink(Sink[T]):
    """Writes to topics, exactly-once.

    A batch is one Kafka transaction, with the batch id and the offsets of the app's Kafka sources in the same cluster:
    read the topic with ``read_committed``, and each result is there once, whatever crashes. Another instance of the
    same app and shard that is started takes over, and the older one stops with a `FencedError`.

    Of a keyed stream the key becomes the record's key and the value its value; otherwise records have no key unless
    ``key`` is given. Text becomes UTF-8, bytes stay as they are, None is a tombstone, and all else becomes JSON.
    Records with the same key go to the partition that Kafka's Java clients choose.

    Args:
        topic: The topic, or a function of the element that returns it; then ``topics`` names all there are.
        key: A function of the element that returns the key.
        value: A function of the element that returns the value.
        headers: A function of the element that returns headers: a dict, or pairs of name and text, bytes or None.
        timestamp: A function of the element that returns the time: epoch milliseconds or an aware `datetime`. By
            default the element's event time, or that of the batch. Brokers refuse what is an hour ahead of their clock,
            unless the topic's ``message.timestamp.after.max.ms`` is raised.
        topics: The topics that a function may return.
        key_codec: How keys are written: a type or a `Codec`.
        value_codec: How values are written.
        kafka: How to reach the cluster, as of `KafkaSource`.
        delivery: ``"exactly_once"``, or ``"at_least_once"``: without transactions results are there some milliseconds
            earlier, and a batch that was cut short by a crash comes twice.
        compression: ``"none"``, ``"gzip"``, ``"snappy"``, ``"lz4"`` or ``"zstd"``.
        max_record_bytes: How large a record may be, and a batch of records before it is compressed. Brokers allow 1 MiB
            unless they are told otherwise.
        transaction_timeout: After how long brokers abort a transaction whose producer is silent; at most 15 minutes,
            unless they are told otherwise. Readers of the topic wait that long for nothing when the process dies for
            good.

    Raises:
        PipelineError: An argument is wrong.
        SettingsError: A setting of ``kafka`` is unknown.
    """

    topic: str | Callable[[T], str]
    _: KW_ONLY
    key: Callable[[T], Any] | None = None
    value: Callable[[T], Any] | None = None
    headers: Callable[[T], Any] | None = None
    timestamp: Callable[[T], int | datetime] | None = None
    topics: Sequence[str] = ()
    key_codec: Codec[Any] | type[Any] | None = None
    value_codec: Codec[Any] | type[Any] | None = None
    kafka: KafkaSettings | Mapping[str, Any] | None = None
    # What is a property of other sinks is a choice here.
    delivery: Delivery = "exactly_once"  # type: ignore[misc]  # pyright: ignore[reportIncompatibleVariableOverride]
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "lz4"
    max_record_bytes: int = 1_000_000
    transaction_timeout: Duration = "60s"

    def __post_init__(self) -> None:
        if isinstance(self.topic, str):
            if not self.topic:
                raise PipelineError("KafkaSink(''): expected the name of a topic")
        elif not self.topics:
            raise PipelineError(
                "KafkaSink(topic=<function>): name all topics that it may return: topics=[…]. Their partitions must be "
                "known before a batch is committed"
            )
        if self.delivery not in ("exactly_once", "at_least_once"):
            raise PipelineError(f'KafkaSink(delivery={self.delivery!r}): expected "exactly_once" or "at_least_once"')
        if self.compression.upper() not in Compression.__members__:
            expected = ", ".join(name.lower() for name in Compression.__members__)
            raise PipelineError(f"KafkaSink(compression={self.compression!r}): expected {expected}")
        if self.max_record_bytes < 1_000:
            raise PipelineError(f"KafkaSink(max_record_bytes={self.max_record_bytes}): expected at least 1000")
        to_ms(self.transaction_timeout, what="KafkaSink(transaction_timeout=…)")
        object.__setattr__(self, "topics", tuple(self.topics) or (self.topic,))
        object.__setattr__(self, "kafka", KafkaSettings.of(self.kafka))

    def open(self, context: SinkContext) -> SinkWriter:
        """Make the writer for one shard."""
        settings = KafkaSettings.of(self.kafka)
        options = WriteOptions(
            topics=tuple(self.topics),
            encoding=Encoding(
                topic=self.topic,
                key=self.key,
                value=self.value,
                headers=self.headers,
                timestamp=self.timestamp,
                key_codec=None if self.key_codec is None else codec_of(self.key_codec),
                value_codec=None if self.value_codec is None else codec_of(self.value_codec),
                compression=Compression[self.compression.upper()],
                max_record_bytes=self.max_record_bytes,
                transactional=self.delivery == "exactly_once",
            ),
            exactly_once=self.delivery == "exactly_once",
            timeout_ms=to_ms(self.transaction_timeout),
            groups={
                name: source.options.group or context.app
                for name, source in context.sources.items()
                if isinstance(source, KafkaSource) and source.kafka == settings
            },
        )
        return KafkaWriter(settings, options, context)
