"""A stream has an entry for each row, and what a reader needs to drop repeats."""

from __future__ import annotations

import pytest
from redis import Redis

from streamproc.batch import Batch
from streamproc.connectors.redis import RedisStreamSink
from streamproc.errors import EncodeError, PipelineError
from streamproc.io.sink import SinkContext
from streamproc.testing import VirtualClock
from tests.connectors.redis.reading import entries, without_repeats
from tests.connectors.redis.writing import publish


@pytest.mark.redis
async def test_an_entry_has_the_fields_of_the_row_and_its_place(redis: Redis, url: str, unique: str) -> None:
    await publish(RedisStreamSink(url, unique), Batch([{"n": 1}, "text"], keys=["a", 2]), shard=1)
    assert entries(redis, unique) == [
        {"_producer": "shop/store/1", "_batch": "7", "_seq": "0", "_key": "a", "n": "1"},
        {"_producer": "shop/store/1", "_batch": "7", "_seq": "1", "_key": "2", "value": "text"},
    ]


@pytest.mark.redis
async def test_a_reader_drops_what_comes_again(redis: Redis, url: str, unique: str) -> None:
    sink = RedisStreamSink(url, unique)
    for batch_id, shard in [(9, 0), (9, 1), (9, 0), (10, 0), (10, 1)]:
        await publish(sink, Batch([f"{batch_id}a", f"{batch_id}b"]), batch_id=batch_id, shard=shard)
    assert len(entries(redis, unique)) == 10
    assert [(entry["_producer"][-1], entry["value"]) for entry in without_repeats(entries(redis, unique))] == [
        ("0", "9a"), ("0", "9b"), ("1", "9a"), ("1", "9b"), ("0", "10a"), ("0", "10b"), ("1", "10a"), ("1", "10b"),
    ]  # fmt: skip


@pytest.mark.redis
async def test_a_stream_keeps_about_maxlen_entries(redis: Redis, url: str, unique: str) -> None:
    await publish(RedisStreamSink(url, unique, maxlen=10), Batch(list(range(1_000))))
    kept = entries(redis, unique)
    assert 10 <= len(kept) < 200
    assert kept[-1]["value"] == "999"


def test_a_field_with_a_name_of_the_sink_is_refused() -> None:
    writer = RedisStreamSink("redis://localhost", "ads").open(SinkContext("shop", "store", VirtualClock()))
    with pytest.raises(EncodeError, match="'_batch', a name that sinks to Redis use themselves"):
        writer.encode(Batch([{"_batch": 1}]))


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(PipelineError, match="expected the key of a stream"):
        RedisStreamSink("redis://localhost", "")
    with pytest.raises(PipelineError, match=r"maxlen=0\): expected at least 1"):
        RedisStreamSink("redis://localhost", "ads", maxlen=0)
