"""Event time over a real Kafka's partitions: an empty one holds nothing up for ever, and one far ahead waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from streamproc import App, Asap, Settings, Tumbling, WindowResult, count
from streamproc.connectors.callable import BatchInfo
from streamproc.connectors.kafka import KafkaSource
from tests.kafka.client import Kafka, Message, unique

pytestmark = pytest.mark.kafka


async def send(kafka: Kafka, topic: str, partition: int, times: Sequence[int]) -> None:
    await kafka.produce(topic, [Message(b"%d" % time, partition=partition) for time in times])


def app_in(directory: Path) -> App:
    return App(unique("times"), trigger=Asap(), settings=Settings(state_dir=str(directory)))


async def test_an_empty_partition_does_not_hold_windows_open_for_ever(kafka: Kafka, tmp_path: Path) -> None:
    topic = await kafka.create_topic(partitions=2)
    await send(kafka, topic, 0, [1, 2, 15])
    app = app_in(tmp_path)
    closed = asyncio.Event()
    results: list[WindowResult[int]] = []

    async def take(rows: Sequence[WindowResult[int]], _info: BatchInfo) -> None:
        results.extend(rows)
        if len(results) == 2:
            closed.set()

    times = app.source(KafkaSource(topic, value=str, kafka={"bootstrap.servers": kafka.bootstrap})).map(int)
    timed = times.event_time(lambda time: time, idle_after="1s", name="times")
    timed.window(Tumbling("10ms")).aggregate(count()).foreach_batch(take)
    serving = asyncio.create_task(app.serve())
    async with asyncio.timeout(30):
        await closed.wait()
    # The first closes as partition 1 is idle, the second as both are: then time goes on with the clock.
    assert results == [WindowResult(0, 10, 2), WindowResult(10, 20, 1)]
    read, empty = app.event_time_progress["times"].partitions
    assert (read.partition, read.newest, read.idle) == (f"{topic}/0", 15, True)
    assert (empty.partition, empty.newest, empty.idle) == (f"{topic}/1", None, True)
    app.stop()
    await serving


async def test_a_partition_far_ahead_waits_for_the_slowest(kafka: Kafka, tmp_path: Path) -> None:
    topic = await kafka.create_topic(partitions=2)
    await send(kafka, topic, 0, [number * 1_000 for number in range(500)])
    await send(kafka, topic, 1, [number * 100 for number in range(500)])
    app = App(unique("times"), trigger=Asap(), settings=Settings(state_dir=str(tmp_path), max_records=20))
    done = asyncio.Event()
    batches: list[list[int]] = []

    async def take(rows: Sequence[Any], _info: BatchInfo) -> None:
        batches.append([int(row) for row in rows])
        if sum(map(len, batches)) == 1_000:
            done.set()

    times = app.source(KafkaSource(topic, value=str, kafka={"bootstrap.servers": kafka.bootstrap})).map(int)
    times.event_time(lambda time: time, alignment="30s", idle_after=None).foreach_batch(take)
    serving = asyncio.create_task(app.serve())
    async with asyncio.timeout(30):
        await done.wait()
    app.stop()
    await serving
    newest_of_slow = 0
    ahead: list[int] = []
    for batch in batches:
        fast, slow = [time for time in batch if time % 1_000 == 0], [time for time in batch if time % 1_000]
        if newest_of_slow < 49_900:
            ahead.append(max(fast, default=0) - newest_of_slow)
        newest_of_slow = max([newest_of_slow, *slow])
    assert sum(map(len, batches)) == 1_000
    # At most a batch beyond the limit, while there is anything left of the slow one: it ends at 49.9 s.
    assert 30_000 < max(ahead) <= 30_000 + 2 * 20_000
