"""Both sinks keep the rules of at-least-once, whatever crashes."""

# redis-py's own types leave open what many of its functions take and return.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest
from redis import Redis

from streamproc.connectors.redis import RedisHashSink, RedisStreamSink
from streamproc.io.sink import SinkContext, SinkWriter
from streamproc.testing import check_sink

pytestmark = [
    pytest.mark.redis,
    pytest.mark.usefixtures("crashes"),
    # A process that dies says nothing of its open connections.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

BATCHES = [[("a", 1)], [("b", 2), ("c", 3), ("d", 4)], [("e", 5), ("f", 6)]]


@dataclass(frozen=True)
class KeysByShard(RedisHashSink):
    """As behind a `key_by`, where no two shards have the same key: the suite gives both the same rows."""

    def open(self, context: SinkContext) -> SinkWriter:
        return RedisHashSink.open(replace(self, prefix=f"{self.prefix}{context.shard}:"), context)


# A part of one command: the suite crashes between any two of them.
@pytest.mark.parametrize("pipeline", [1, 1_000])
async def test_hashes_conform(redis: Redis, url: str, unique: str, pipeline: int) -> None:
    numbers = count()

    def read(sink: RedisHashSink) -> list[Any]:
        keys: list[str] = sorted(redis.scan_iter(f"{sink.prefix}*"))
        return [(key.rpartition(":")[2], redis.hget(key, "value")) for key in keys]

    await check_sink(
        lambda: KeysByShard(url, prefix=f"{unique}:{next(numbers)}:", pipeline=pipeline),
        BATCHES,
        read=read,
        expected=[(key, str(number)) for batch in BATCHES for key, number in batch],
    )


@pytest.mark.parametrize("pipeline", [1, 1_000])
async def test_a_stream_conforms(redis: Redis, url: str, unique: str, pipeline: int) -> None:
    numbers = count()

    def read(sink: RedisStreamSink) -> list[Any]:
        entries: Any = redis.xrange(sink.name)
        return [fields for _, fields in entries]

    await check_sink(
        lambda: RedisStreamSink(url, f"{unique}:{next(numbers)}", pipeline=pipeline),
        [[{"word": word} for word, _ in batch] for batch in BATCHES],
        read=read,
    )
