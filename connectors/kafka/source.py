"""`KafkaSource`: records of Kafka topics."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, TypeVar, overload

from streamproc.codecs import Bytes, Codec, Decoder, codec_of
from streamproc.durations import Duration, to_ms
from streamproc.errors import PipelineError
from streamproc.io.source import PositionFinder, Source, SourceContext, SourceReader

from .positions import KafkaPositions
from .reader import KafkaReader, ReadOptions
from .record import KafkaRecord, RecordDecoder, ValueDecoder
from .settings import KafkaSettings
from .start import Start, check_start

__all__ = ["KafkaSource"]

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, init=False)
class KafkaSource(Source[T]):
    """Reads topics, exactly-once: the positions are kept with the app's state.

    Partitions belong to the shards of the app by their numbers, and no consumer group decides that. The group, by
    default the app's name, is told every ``commit_every`` how far results are published, for lag tools.

    Elements are the values; with ``metadata=True`` they are `KafkaRecord`s. ``event_time()`` without a function takes
    Kafka's own timestamps.

    Args:
        topics: A topic, several, or a compiled pattern that the whole name must match.
        value: How values are read: a type (a `Record` and most others are JSON, ``str``, ``bytes``, ``int``) or a
            `Codec` such as ``Msgpack(Order)``; by default they stay bytes.
        key: How keys are read, with ``metadata=True``.
        metadata: Whether elements are `KafkaRecord`s with key, headers, topic, partition, offset and timestamp, and
            tombstones are records too. Without it a tombstone fails, as the source's ``on_error`` says.
        kafka: How to reach the cluster: `KafkaSettings`, or a dict of settings with their names there or in librdkafka
            (``"bootstrap.servers"``). The environment (``KAFKA_BOOTSTRAP_SERVERS`` …) overrides it.
        start: Where partitions begin for which the app has no position yet: ``"earliest"``, ``"latest"``, a `datetime`,
            or a dict of offsets by partition number.
        out_of_range: What to do when a position is no longer there, because of retention or since the topic was made
            anew: ``"fail"``, or go on at the ``"earliest"`` or the ``"latest"`` record.
        isolation: Whether to read what transactions have committed only, or all.
        group: The consumer group that is told offsets; by default the app's name.
        discover_every: How often to look for new partitions, and new topics that fit the pattern.
        commit_every: How often the group is told offsets.
        buffer_bytes: How many bytes, compressed, are fetched ahead.
        max_batch_bytes: How large a batch of Kafka's may be when it is decompressed.

    Raises:
        PipelineError: An argument is wrong.
        SettingsError: A setting of ``kafka`` is unknown.
    """

    topics: tuple[str, ...] | re.Pattern[str]
    _: KW_ONLY
    value: Codec[Any]
    key: Codec[Any]
    metadata: bool
    kafka: KafkaSettings
    options: ReadOptions

    @overload
    def __init__(
        self: KafkaSource[KafkaRecord[K, V]],
        topics: str | Sequence[str] | re.Pattern[str],
        *,
        value: type[V] | Codec[V] = ...,
        key: type[K] | Codec[K] = ...,
        metadata: Literal[True],
        kafka: KafkaSettings | Mapping[str, Any] | None = None,
        start: Start = "earliest",
        out_of_range: Literal["fail", "earliest", "latest"] = "fail",
        isolation: Literal["read_committed", "read_uncommitted"] = "read_committed",
        group: str | None = None,
        discover_every: Duration = "30s",
        commit_every: Duration = "5s",
        buffer_bytes: int = 64 << 20,
        max_batch_bytes: int = 64 << 20,
    ) -> None: ...
    @overload
    def __init__(
        self,
        topics: str | Sequence[str] | re.Pattern[str],
        *,
        value: type[T] | Codec[T] = ...,
        key: type[Any] | Codec[Any] = ...,
        metadata: Literal[False] = False,
        kafka: KafkaSettings | Mapping[str, Any] | None = None,
        start: Start = "earliest",
        out_of_range: Literal["fail", "earliest", "latest"] = "fail",
        isolation: Literal["read_committed", "read_uncommitted"] = "read_committed",
        group: str | None = None,
        discover_every: Duration = "30s",
        commit_every: Duration = "5s",
        buffer_bytes: int = 64 << 20,
        max_batch_bytes: int = 64 << 20,
    ) -> None: ...
    def __init__(
        self,
        topics: str | Sequence[str] | re.Pattern[str],
        *,
        value: Any = Bytes(),  # noqa: B008 - frozen
        key: Any = Bytes(),  # noqa: B008 - frozen
        metadata: bool = False,
        kafka: KafkaSettings | Mapping[str, Any] | None = None,
        start: Start = "earliest",
        out_of_range: Literal["fail", "earliest", "latest"] = "fail",
        isolation: Literal["read_committed", "read_uncommitted"] = "read_committed",
        group: str | None = None,
        discover_every: Duration = "30s",
        commit_every: Duration = "5s",
        buffer_bytes: int = 64 << 20,
        max_batch_bytes: int = 64 << 20,
    ) -> None:
        names = topics if isinstance(topics, re.Pattern) else (topics,) if isinstance(topics, str) else tuple(topics)
        if isinstance(names, tuple) and not (names and all(names)):
            raise PipelineError(f"KafkaSource({topics!r}): expected a topic, several, or a compiled pattern")
        check_start(start)
        if isinstance(start, Mapping) and (not isinstance(names, tuple) or len(names) != 1):
            raise PipelineError("KafkaSource(start={…}): offsets by partition are for a source of one topic")
        for name, given, expected in (
            ("out_of_range", out_of_range, ("fail", "earliest", "latest")),
            ("isolation", isolation, ("read_committed", "read_uncommitted")),
        ):
            if given not in expected:
                raise PipelineError(f"KafkaSource({name}={given!r}): expected {', '.join(map(repr, expected))}")
        for name, size in (("buffer_bytes", buffer_bytes), ("max_batch_bytes", max_batch_bytes)):
            if size < 1:
                raise PipelineError(f"KafkaSource({name}={size}): expected at least 1")
        options = ReadOptions(
            topics=names if isinstance(names, tuple) else (),
            pattern=names if isinstance(names, re.Pattern) else None,
            start=start,
            out_of_range=out_of_range,
            committed=isolation == "read_committed",
            whole=metadata,
            group=group,
            discover_ms=to_ms(discover_every, what="KafkaSource(discover_every=…)"),
            commit_ms=to_ms(commit_every, what="KafkaSource(commit_every=…)"),
            buffer_bytes=buffer_bytes,
            max_batch_bytes=max_batch_bytes,
        )
        fields = {
            "topics": names,
            "value": codec_of(value),
            "key": codec_of(key),
            "metadata": metadata,
            "kafka": KafkaSettings.of(kafka),
            "options": options,
        }
        for name, field in fields.items():
            object.__setattr__(self, name, field)

    @property
    def decoder(self) -> Decoder[Any]:
        """How to read the records."""
        if self.metadata:
            return RecordDecoder(self.key.decoder, self.value.decoder)
        return ValueDecoder(self.value.decoder)

    def open(self, context: SourceContext) -> SourceReader:
        """Make the reader for one shard."""
        return KafkaReader(self.kafka, self.options, context)

    def finder(self, context: SourceContext) -> PositionFinder:
        """Make what finds offsets for ``streamproc offsets``."""
        options = self.options
        return KafkaPositions(
            self.kafka,
            options.topics,
            options.pattern,
            committed=options.committed,
            group=options.group or context.app,
            context=context,
        )
