"""`RedisHashSink`: one hash for each key, with the fields of its newest row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import chain
from typing import Any

from streamproc.batch import Batch
from streamproc.durations import Duration, to_ms
from streamproc.errors import EncodeError, PipelineError
from streamproc.io.sink import OutboxEntry

from .command import Command, Text
from .fields import fields_of, key_text, look_up
from .sink import RedisSink

__all__ = ["RedisHashSink"]


@dataclass(frozen=True)
class RedisHashSink(RedisSink):
    """Sets the fields of a hash for each key of a batch (HSET), so that Redis has the newest row of each key.

    At-least-once: a batch that is sent again sets the same fields to the same values. If several batches are sent
    again, a reader may see an older one for a moment. The field ``_batch`` is the batch id of the newest row. A batch
    sets a hash once, whatever number of rows it has for it: an id that is not above those that were seen in the hash
    is a repeat. Ids begin at 1 again in an app that is started anew with other state.

    Fields that a later row lacks keep their values. Rows of different shards should have different keys, as those of a
    keyed stream have; otherwise the shard that comes last wins.

    Args:
        key: What names the hash, behind the prefix: the name of a field of the record; or a function of the row, which
            of a keyed stream is a ``(key, value)`` pair. None is the key of a keyed stream.
        prefix: What the names of all hashes begin with.
        expire: How long a hash is kept after its last row; None for ever.

    Raises:
        PipelineError: The URL, the key or a duration is none.

    Example:
        >>> sink = RedisHashSink("redis://:secret@localhost/0", key="page", prefix="views:")
        >>> sink.address
        'redis://localhost:6379/0'
    """

    _: KW_ONLY
    key: Callable[[Any], Text | int] | str | None = None
    prefix: str = ""
    expire: Duration | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.key is None or isinstance(self.key, str) or callable(self.key)):
            raise PipelineError(
                f"RedisHashSink(key={self.key!r}): expected the name of a field, or a function of the row"
            )
        if self.expire is not None:
            to_ms(self.expire, what="RedisHashSink(expire=…)")

    def rows(self, batch: Batch) -> list[list[Text]]:
        """Return for each hash its name, then names and values of the fields, those of later rows if they differ."""
        prefix = self.prefix
        names: dict[bytes, Text] = {}
        hashes: dict[bytes, dict[Text, Text]] = {}
        for key, value in self._keyed(batch):
            text = key_text(key)
            name = prefix + text if isinstance(text, str) else prefix.encode() + text
            # Redis knows no text: it is the same hash.
            place = name.encode() if isinstance(name, str) else name
            names.setdefault(place, name)
            fields = iter(fields_of(value))
            hashes.setdefault(place, {}).update(zip(fields, fields, strict=True))
        return [[names[place], *chain.from_iterable(fields.items())] for place, fields in hashes.items()]

    def commands(self, rows: Sequence[Sequence[Text]], entry: OutboxEntry, producer: str) -> list[Command]:
        """Return an HSET for each hash, each with a PEXPIRE if hashes expire."""
        sets: list[Command] = [("HSET", *row, "_batch", entry.batch_id) for row in rows]
        if self.expire is None:
            return sets
        expire = to_ms(self.expire)
        return [command for each in sets for command in (each, ("PEXPIRE", each[1], expire))]

    def _keyed(self, batch: Batch) -> list[tuple[object, object]]:
        key = self.key
        if isinstance(key, str):
            return [(look_up(value, key), value) for value in batch.values]
        if key is not None:
            return list(zip(map(key, batch.rows()), batch.values, strict=True))
        return list(map(_pair, batch.rows()))


def _pair(row: Any) -> tuple[object, object]:
    if type(row) is tuple and len(row) == 2:  # pyright: ignore[reportUnknownArgumentType]
        return row  # pyright: ignore[reportUnknownVariableType]
    raise EncodeError(
        f"{row!r:.80} is no (key, value) pair, and RedisHashSink has no key=: expected a keyed stream (key_by), or "
        'key= with the name of a field or a function, such as key="user"'
    )
