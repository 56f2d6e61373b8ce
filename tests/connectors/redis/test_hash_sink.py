"""A hash has the fields of the newest row of its key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import pytest
from redis import Redis

from streamproc import Record
from streamproc.batch import Batch
from streamproc.connectors.redis import RedisHashSink
from streamproc.errors import EncodeError, PipelineError, SinkError
from streamproc.io.sink import SinkContext
from streamproc.testing import VirtualClock
from tests.connectors.redis.writing import publish


class View(Record):
    page: str
    count: int
    share: float | None = None


@dataclass
class Day:
    day: date
    hours: list[int]


class Point(NamedTuple):
    x: int
    y: bytes


def encode(sink: RedisHashSink, batch: Batch) -> bytes:
    return sink.open(SinkContext("shop", "store", VirtualClock())).encode(batch)


@pytest.mark.redis
async def test_the_newest_row_of_a_key_wins(redis: Redis, url: str, unique: str) -> None:
    sink = RedisHashSink(url, key="page", prefix=f"{unique}:")
    await publish(sink, Batch([View("/", 1), View("/a", 5), View("/", 2, 0.5)]))
    assert redis.hgetall(f"{unique}:/") == {"page": "/", "count": "2", "share": "0.5", "_batch": "7"}
    assert redis.hgetall(f"{unique}:/a") == {"page": "/a", "count": "5", "share": "null", "_batch": "7"}


@pytest.mark.redis
async def test_a_hash_has_one_content_for_a_batch_id(redis: Redis, url: str, unique: str) -> None:
    seen: list[Any] = []

    def look(_step: str) -> None:
        seen.append(redis.hgetall(f"{unique}:é"))

    sink = RedisHashSink(url, key=lambda row: row["k"], prefix=f"{unique}:", pipeline=1)
    rows = [{"k": "é", "n": 1, "m": 1}, {"k": "b", "n": 1}, {"k": "é".encode(), "n": 2}, {"k": "é", "o": 3}]
    await publish(sink, Batch(rows), step=look)
    look("published")
    assert [content for content in seen if content] == [{"k": "é", "n": "2", "m": "1", "o": "3", "_batch": "7"}] * 2
    assert redis.hgetall(f"{unique}:b") == {"k": "b", "n": "1", "_batch": "7"}


@pytest.mark.redis
async def test_a_batch_that_is_published_again_changes_nothing(redis: Redis, url: str, unique: str) -> None:
    sink = RedisHashSink(url, prefix=f"{unique}:")
    for _ in range(2):
        await publish(sink, Batch([1, 2, 3], keys=["a", "b", "a"]))
        assert redis.hgetall(f"{unique}:a") == {"value": "3", "_batch": "7"}
        assert redis.hgetall(f"{unique}:b") == {"value": "2", "_batch": "7"}


@pytest.mark.redis
@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ({"text": "é", "flag": True, "list": [1, None]}, {"text": "é", "flag": "true", "list": "[1,null]"}),
        (Day(date(2026, 1, 31), [8, 17]), {"day": "2026-01-31", "hours": "[8,17]"}),
        (Point(-1, b"raw"), {"x": "-1", "y": "raw"}),
        ("only text", {"value": "only text"}),
        ({}, {}),
        (["a"], {"value": '["a"]'}),
    ],
)
async def test_fields_are_text_as_it_is_and_json_otherwise(
    redis: Redis, url: str, unique: str, value: Any, fields: dict[str, str]
) -> None:
    await publish(RedisHashSink(url, prefix=unique), Batch([value], keys=[""]))
    assert redis.hgetall(unique) == fields | {"_batch": "7"}


@pytest.mark.redis
async def test_a_function_names_the_hash_from_the_row(redis: Redis, url: str, unique: str) -> None:
    sink = RedisHashSink(url, key=lambda row: f"{row[0]}@{row[1]['start']}".encode(), prefix=unique)
    await publish(sink, Batch([{"start": 0, "n": 1}, {"start": 10, "n": 2}], keys=["/", "/"]))
    assert redis.hgetall(f"{unique}/@0") == {"start": "0", "n": "1", "_batch": "7"}
    assert redis.hgetall(f"{unique}/@10") == {"start": "10", "n": "2", "_batch": "7"}


@pytest.mark.redis
async def test_a_hash_expires_after_its_last_row(redis: Redis, url: str, unique: str) -> None:
    await publish(RedisHashSink(url, prefix=unique, expire="1h"), Batch([1], keys=[7]))
    left: Any = redis.pttl(f"{unique}7")
    assert 3_500_000 < left <= 3_600_000


@pytest.mark.redis
async def test_a_key_of_another_kind_is_refused_without_the_data(redis: Redis, url: str, unique: str) -> None:
    redis.set(f"{unique}b", "text")
    with pytest.raises(SinkError, match=rf"refuses HSET of '{unique}b': WRONGTYPE.*or prefix. Batch 7") as error:
        await publish(RedisHashSink(url, prefix=unique), Batch([1, "private"], keys=["a", "b"]))
    assert "private" not in str(error.value)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (Batch(["ab"]), r"'ab' is no \(key, value\) pair.*key_by"),
        (Batch([1], keys=[1.5]), "the key 1.5 is of type float: expected text, bytes or an int"),
        (Batch([1], keys=[True]), "the key True is of type bool"),
        (Batch([{"_batch": 1}], keys=["a"]), "the row has a field '_batch', a name that sinks to Redis use"),
    ],
)
def test_a_row_that_no_hash_can_hold_is_refused(batch: Batch, message: str) -> None:
    with pytest.raises(EncodeError, match=message):
        encode(RedisHashSink("redis://localhost"), batch)


@pytest.mark.parametrize("value", [View("/", 1), {"page": "/"}, 7])
def test_a_row_without_the_field_for_the_key_is_refused(value: object) -> None:
    with pytest.raises(EncodeError, match="key='user': the row has no field of this name: "):
        encode(RedisHashSink("redis://localhost", key="user"), Batch([value]))


def test_wrong_arguments_are_refused() -> None:
    wrong: Any = 7
    with pytest.raises(PipelineError, match=r"key=7\): expected the name of a field, or a function"):
        RedisHashSink("redis://localhost", key=wrong)
    with pytest.raises(PipelineError, match=r"RedisHashSink\(expire=…\) is 'soon'"):
        RedisHashSink("redis://localhost", expire="soon")
    with pytest.raises(PipelineError, match=r"RedisHashSink\(pipeline=0\)"):
        RedisHashSink("redis://localhost", pipeline=0)
