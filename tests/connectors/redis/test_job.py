"""A job that writes to both sinks, and crashes between its commit and its publishing, or after it."""

# redis-py's own types leave open what many of its functions take and return.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import pytest
from redis import Redis

from streamproc import App
from streamproc.connectors.memory import MemorySource
from streamproc.connectors.redis import RedisHashSink, RedisStreamSink
from streamproc.testing import Driver
from tests.connectors.redis.reading import entries, without_repeats

pytestmark = [
    pytest.mark.redis,
    pytest.mark.usefixtures("crashes"),
    # A process that dies says nothing of its open connections.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def added_up(new: list[int], total: int | None) -> int:
    return (total or 0) + sum(new)


# Both sinks have published behind the second time.
@pytest.mark.parametrize(("step", "occurrence", "repeats"), [("before_publish", 1, 0), ("after_publish", 2, 2)])
async def test_totals_are_in_hashes_and_all_rows_in_a_stream(
    redis: Redis, url: str, unique: str, step: str, occurrence: int, repeats: int
) -> None:
    app = App("shop")
    words = app.source(MemorySource([["a", "b"], ["a"], ["b", "b"]])).key_by(lambda word: word)
    totals = words.map_values(lambda _: 1).update_state_by_key(added_up)
    totals.to(RedisHashSink(url, prefix=f"{unique}:"))
    totals.to(RedisStreamSink(url, unique), name="log")

    driver = Driver(app)
    driver.crash_at(step, occurrence)
    await driver.start()
    await driver.tick(2)
    assert driver.crashed
    await driver.restart()
    await driver.tick(4)
    await driver.stop()

    assert redis.hget(f"{unique}:a", "value") == "2"
    assert redis.hget(f"{unique}:b", "value") == "3"
    written = entries(redis, unique)
    found = without_repeats(written)
    assert [(entry["_producer"], entry["_key"], entry["value"]) for entry in found] == [
        ("shop/log/0", key, value) for key, value in [("a", "1"), ("b", "1"), ("a", "2"), ("b", "3")]
    ]
    assert len(written) - len(found) == repeats
