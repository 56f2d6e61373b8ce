"""`RedisStreamSink`: a Redis stream with an entry for each row, by which a reader can tell repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from streamproc.batch import Batch
from streamproc.errors import PipelineError
from streamproc.io.sink import OutboxEntry

from .command import Command, Text
from .fields import fields_of, key_text
from .sink import RedisSink

__all__ = ["RedisStreamSink"]


@dataclass(frozen=True)
class RedisStreamSink(RedisSink):
    """Appends an entry to a Redis stream for each row (XADD), with the fields of the record.

    At-least-once: the entries of a batch that is sent again come again, the same but for their ids. Each has three more
    fields, by which a reader drops repeats: ``_producer`` (app, sink and shard), ``_batch`` and ``_seq`` (the place in
    the batch, from zero). For each producer the pair of ``_batch`` and ``_seq``, as numbers, only grows: an entry whose
    pair is not above all that were seen is a repeat. On a keyed stream, ``_key`` is the key.

    Batch ids begin at 1 again in an app that is started anew with other state, and a reader would drop all that it
    writes: give it another app name, sink name or stream then.

    Args:
        name: The key of the stream.
        maxlen: About how many entries the stream keeps, repeats included: Redis drops the oldest when it can drop many
            at once. None for all.

    Raises:
        PipelineError: The URL is none, the name is empty, or the length is below 1.

    Example:
        >>> RedisStreamSink("redis://localhost", "ads", maxlen=100_000).name
        'ads'
    """

    name: str
    _: KW_ONLY
    maxlen: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.name:
            raise PipelineError("RedisStreamSink(name=''): expected the key of a stream")
        if self.maxlen is not None and self.maxlen < 1:
            raise PipelineError(f"RedisStreamSink(maxlen={self.maxlen}): expected at least 1, or None to keep all")

    def rows(self, batch: Batch) -> list[list[Text]]:
        """Return names and values of each row's fields."""
        if batch.keys is None:
            return list(map(fields_of, batch.values))
        return [["_key", key_text(key), *fields_of(value)] for key, value in batch.rows()]

    def commands(self, rows: Sequence[Sequence[Text]], entry: OutboxEntry, producer: str) -> list[Command]:
        """Return an XADD for each row."""
        limit = () if self.maxlen is None else ("MAXLEN", "~", self.maxlen)
        batch = (*limit, "*", "_producer", producer, "_batch", entry.batch_id, "_seq")
        return [("XADD", self.name, *batch, seq, *row) for seq, row in enumerate(rows)]
