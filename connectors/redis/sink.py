"""`RedisSink`: what the sinks that write to Redis have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

from streamproc.batch import Batch
from streamproc.durations import Duration, to_ms
from streamproc.errors import MissingExtraError, PipelineError
from streamproc.io.sink import Delivery, OutboxEntry, Sink, SinkContext, SinkWriter

from .address import shown_address
from .command import Command, Text

__all__ = ["RedisSink"]


@dataclass(frozen=True)
class RedisSink(Sink[Any]):
    """Writes to a Redis server; use `RedisHashSink` or `RedisStreamSink`.

    At-least-once: what a batch writes is sent again if a crash or a lost connection leaves open whether it arrived.
    While the server can't be reached or is starting, the sink tries again for as long as it takes, and says so in
    `JobMetrics.blocked`; what the server refuses ends the job with a `SinkError`.

    Attributes:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, as redis-py takes it. Its password is shown nowhere.
        timeout: How long the server may take to accept a connection, or to answer, before it counts as unreachable.
        pipeline: How many commands are sent at once.
    """

    delivery: ClassVar[Delivery] = "at_least_once"

    url: str = field(repr=False)
    _: KW_ONLY
    timeout: Duration = "10s"
    pipeline: int = 1_000

    def __post_init__(self) -> None:
        shown_address(self.url)
        to_ms(self.timeout, what=f"{type(self).__name__}(timeout=…)")
        if self.pipeline < 1:
            raise PipelineError(f"{type(self).__name__}(pipeline={self.pipeline}): expected at least 1")

    @property
    def address(self) -> str:
        """The URL without user, password and options."""
        return shown_address(self.url)

    @abstractmethod
    def rows(self, batch: Batch) -> list[list[Text]]:
        """Return what the outbox keeps of each row; see `Commands`."""

    @abstractmethod
    def commands(self, rows: Sequence[Sequence[Text]], entry: OutboxEntry, producer: str) -> list[Command]:
        """Return the commands that publish a batch; see `Commands`."""

    def open(self, context: SinkContext) -> SinkWriter:
        """Make the writer for one shard; nothing is opened before its ``start``.

        Raises:
            MissingExtraError: redis-py is not installed.
        """
        try:
            from .writer import RedisWriter, WriteOptions  # noqa: PLC0415  # redis-py is an extra
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "redis":
                raise
            raise MissingExtraError("Redis", "redis") from None
        return RedisWriter(self, WriteOptions(self.url, self.address, to_ms(self.timeout), self.pipeline), context)
