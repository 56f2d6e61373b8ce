"""`KafkaSource` against a real broker."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streamproc import App, Once, Record, Settings, Tumbling, WindowResult, count
from streamproc.codecs import Msgpack
from streamproc.connectors.kafka import KafkaRecord, KafkaSink, KafkaSource
from streamproc.connectors.memory import MemorySink
from streamproc.errors import SourceError
from streamproc.eventtime.clock import SystemClock
from streamproc.io.source import Limits, SourceContext, SourceReader
from streamproc.testing import check_source
from streamproc.testing.journal import MemoryJournal
from tests.kafka.client import Kafka, Message, unique

pytestmark = pytest.mark.kafka


class Order(Record):
    name: str
    count: int


class Fast(SystemClock):
    """A clock that runs twenty times as fast."""

    real = SystemClock()

    def now(self) -> int:
        return self.real.now() * 20

    async def sleep_until(self, when: int) -> None:
        await self.real.sleep_until(-(-when // 20))


EVERYTHING = Limits(records=1_000_000, bytes=1 << 30)


def context(*, shard: int = 0, shards: int = 1) -> SourceContext:
    return SourceContext("in", SystemClock(), MemoryJournal, shard, shards, app=unique("app"), timed=False)


async def read_all(reader: SourceReader) -> tuple[list[Any], dict[str, Any]]:
    """Read to the end of now; return the raw values, and the positions behind them."""
    await reader.bound()
    values: list[Any] = []
    positions: dict[str, Any] = {}
    while True:
        batch = await reader.take(EVERYTHING)
        assert sum(segment.count for segment in batch.segments) == len(batch.values)
        values += batch.values
        positions |= batch.positions
        if reader.finished:
            return values, positions
        await reader.wait()


async def read(source: KafkaSource[Any], positions: dict[str, Any] | None = None) -> tuple[list[Any], dict[str, Any]]:
    reader = source.open(context())
    try:
        await reader.start(positions or {})
        return await read_all(reader)
    finally:
        await reader.close()


async def test_it_keeps_the_rules_of_sources(kafka: Kafka) -> None:
    topic = await kafka.create_topic(partitions=2)
    expected: dict[str, list[bytes]] = {f"{topic}/0": [], f"{topic}/1": []}
    for number in range(60):
        partition = number % 2
        expected[f"{topic}/{partition}"].append(b"%d" % number)
    for partition in (0, 1):
        await kafka.produce(topic, [Message(value, partition=partition) for value in expected[f"{topic}/{partition}"]])
    settings = {"bootstrap.servers": kafka.bootstrap}
    await check_source(lambda: KafkaSource(topic, kafka=settings), expected, clock=SystemClock(), restarts=3)


@pytest.mark.parametrize("isolation", ["read_committed", "read_uncommitted"])
async def test_it_reads_what_the_plain_consumer_reads(kafka: Kafka, isolation: Any) -> None:
    topic = await kafka.create_topic(config={"cleanup.policy": "compact"})
    for number, codec in enumerate([None, "gzip", "snappy", "lz4", "zstd"]):
        messages = [
            Message(b"%d-%d" % (number, row) if row % 7 else None, b"key %d" % (row % 20), 0, 1_000 + row)
            for row in range(100)
        ]
        headers = (("trace", b"\x01"), ("empty", b""))
        messages.append(Message(b"with headers", b"h", 0, 5, headers))
        await kafka.produce(topic, messages, compression=codec)
        await kafka.produce(topic, messages[:30], compression=codec, transactional_id=unique("good"))
        await kafka.produce(topic, messages[:30], compression=codec, transactional_id=unique("bad"), abort=True)
    plain = await kafka.read(topic, committed=isolation == "read_committed")
    settings = {"bootstrap.servers": kafka.bootstrap}
    source: KafkaSource[Any] = KafkaSource(topic, metadata=True, isolation=isolation, kafka=settings)
    records, positions = await read(source)
    assert [Message(r.value, r.key, r.partition, r.timestamp, r.headers, r.offset) for r in records] == plain
    values, same_positions = await read(KafkaSource(topic, isolation=isolation, kafka=settings))
    assert values == [message.value for message in plain]
    assert positions == same_positions
    middle = plain[len(plain) // 2]
    rest, _ = await read(source, {f"{topic}/0": middle.offset})
    assert [r.offset for r in rest] == [m.offset for m in plain if (m.offset or 0) >= (middle.offset or 0)]


async def test_records_are_decoded_with_their_keys(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    await kafka.produce(topic, [Message(b'{"n": 1}', b"ann", 0, 7), Message(None, b"bob", 0, 8)])
    source = KafkaSource(topic, key=str, value=dict, metadata=True, kafka={"bootstrap.servers": kafka.bootstrap})
    records, _ = await read(source)
    assert source.decoder.decode_many(records) == [
        KafkaRecord("ann", {"n": 1}, topic, 0, 0, 7),
        KafkaRecord("bob", None, topic, 0, 1, 8),
    ]


async def test_a_topic_that_is_not_there_is_named(kafka: Kafka) -> None:
    with pytest.raises(SourceError, match=r"can't read topic 'no-such-topic'.*Make it, mend its name"):
        await read(KafkaSource("no-such-topic", kafka={"bootstrap.servers": kafka.bootstrap}))


async def test_a_position_that_is_gone_follows_the_policy(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    await kafka.produce(topic, [b"a", b"b"])
    settings = {"bootstrap.servers": kafka.bootstrap}
    reader = KafkaSource(topic, kafka=settings).open(context())
    await reader.start({f"{topic}/0": 99})
    with pytest.raises(SourceError, match="to be read on at offset 99, which is not there: it holds 0 to 2"):
        await reader.wait()
    await reader.close()
    reader = KafkaSource(topic, kafka=settings, out_of_range="earliest").open(context())
    await reader.start({f"{topic}/0": 99})
    await reader.wait()
    assert (await reader.take(EVERYTHING)).values == [b"a", b"b"]
    await reader.close()


async def test_shards_share_the_partitions_by_their_numbers(kafka: Kafka) -> None:
    topic = await kafka.create_topic(partitions=5)
    await kafka.produce(topic, [Message(b"%d" % number, partition=number) for number in range(5)])
    source: KafkaSource[bytes] = KafkaSource(topic, kafka={"bootstrap.servers": kafka.bootstrap})
    shares: list[list[bytes]] = []
    for shard in range(2):
        reader = source.open(context(shard=shard, shards=2))
        await reader.start({})
        values, positions = await read_all(reader)
        # The topic itself is among them, as it may be deleted and made anew.
        assert sorted(positions) == [topic, *(f"{topic}/{number}" for number in range(shard, 5, 2))]
        shares.append(sorted(values))
        await reader.close()
    assert shares == [[b"0", b"2", b"4"], [b"1", b"3"]]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("earliest", [b"0", b"1", b"2", b"3"]),
        ("latest", []),
        (datetime.fromtimestamp(2.5, UTC), [b"3"]),
        (datetime.fromtimestamp(2, UTC), [b"2", b"3"]),
        ({0: 1}, [b"1", b"2", b"3"]),
    ],
)
async def test_a_new_job_begins_where_it_is_told_to(kafka: Kafka, start: Any, expected: list[bytes]) -> None:
    topic = await kafka.create_topic()
    await kafka.produce(topic, [Message(b"%d" % number, partition=0, timestamp=number * 1_000) for number in range(4)])
    source: KafkaSource[Any] = KafkaSource(topic, start=start, kafka={"bootstrap.servers": kafka.bootstrap})
    values, positions = await read(source)
    assert values == expected
    # It is decided once: what comes later is read, whatever the start was.
    await kafka.produce(topic, [b"new"])
    assert (await read(source, positions))[0] == [b"new"]


async def test_topics_and_partitions_that_come_while_it_runs_are_read_from_their_beginning(kafka: Kafka) -> None:
    prefix = unique("orders")
    first = await kafka.create_topic(prefix)
    await kafka.produce(first, [b"before"])
    other = await kafka.create_topic("other")
    source: KafkaSource[Any] = KafkaSource(
        re.compile(rf"{prefix}.*"), start="latest", discover_every="50ms", kafka={"bootstrap.servers": kafka.bootstrap}
    )
    reader = source.open(context())
    await reader.start({})
    await kafka.add_partitions(first, 2)
    second = await kafka.create_topic(prefix)
    await kafka.produce(other, [b"not this"])
    await kafka.produce(first, [Message(b"new partition", partition=1)])
    await kafka.produce(second, [b"new topic"])
    found: dict[str, list[bytes]] = {}
    async with asyncio.timeout(60):
        while len(found) < 2:
            await reader.wait()
            batch = await reader.take(EVERYTHING)
            for segment, value in zip(batch.segments, batch.values, strict=True):
                found.setdefault(segment.partition, []).append(value)
    await reader.close()
    assert found == {f"{first}/1": [b"new partition"], f"{second}/0": [b"new topic"]}


async def test_a_batch_has_no_more_than_its_limits_allow(kafka: Kafka) -> None:
    topic = await kafka.create_topic(partitions=2)
    await kafka.produce(topic, [Message(b"x" * 100, partition=number % 2) for number in range(100)])
    source: KafkaSource[Any] = KafkaSource(topic, kafka={"bootstrap.servers": kafka.bootstrap})
    reader = source.open(context())
    await reader.start({})
    await reader.bound()
    await reader.wait()
    assert len((await reader.take(Limits(7, 1 << 20))).values) == 7
    # Never more bytes than that, about, and never nothing.
    assert 1 < len((await reader.take(Limits(1_000, 1_000))).values) <= 10
    assert len((await reader.take(Limits(1_000, 1))).values) == 1
    values, _ = await read_all(reader)
    assert 82 <= len(values) < 92
    await reader.close()


async def test_more_is_read_than_may_wait(kafka: Kafka) -> None:
    topic = await kafka.create_topic(partitions=2)
    await kafka.produce(topic, [Message(b"x" * 10_000, partition=number % 2) for number in range(1_000)])
    source: KafkaSource[Any] = KafkaSource(topic, buffer_bytes=200_000, kafka={"bootstrap.servers": kafka.bootstrap})
    assert len((await read(source))[0]) == 1_000


async def test_a_batch_that_is_too_large_decompressed_is_refused(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    await kafka.produce(topic, [bytes(900_000)], compression="lz4")
    settings = {"bootstrap.servers": kafka.bootstrap}
    with pytest.raises(SourceError, match=r"/0: the batch at offset 0 .*to at most 100000 bytes.*max_batch_bytes"):
        await read(KafkaSource(topic, max_batch_bytes=100_000, kafka=settings))
    assert [len(value) for value in (await read(KafkaSource(topic, kafka=settings)))[0]] == [900_000]


async def test_records_of_msgpack_and_numbers_are_read_and_written(kafka: Kafka, tmp_path: Path) -> None:
    source, sink = await kafka.create_topic("in"), await kafka.create_topic("out")
    settings = {"bootstrap.servers": kafka.bootstrap}
    orders = [Order("a", 3), Order("b", 4)]
    codec = Msgpack(Order)
    await kafka.produce(source, [codec.encode(order) for order in orders])
    app = App(unique("app"), trigger=Once(), settings=Settings(state_dir=str(tmp_path)))
    (
        app.source(KafkaSource(source, value=codec, kafka=settings))
        .key_by(lambda order: order.name)
        .map_values(lambda order: order.count * 2)
        .to(KafkaSink(sink, value_codec=int, kafka=settings))
    )
    await app.serve()
    assert [(m.key, m.value) for m in await kafka.read(sink)] == [
        (b"a", (6).to_bytes(8, "big")),
        (b"b", (8).to_bytes(8, "big")),
    ]


async def test_kafkas_timestamps_are_the_event_time(kafka: Kafka, tmp_path: Path) -> None:
    topic, sink = await kafka.create_topic("in"), MemorySink[WindowResult[int]]()
    messages = [Message(b"%d" % time, partition=0, timestamp=time) for time in (1_000, 1_900, 2_100, 9_000)]
    await kafka.produce(topic, messages)
    app = App(unique("app"), trigger=Once(), settings=Settings(state_dir=str(tmp_path)))
    source: KafkaSource[Any] = KafkaSource(topic, kafka={"bootstrap.servers": kafka.bootstrap})
    app.source(source).event_time().window(Tumbling("1s")).aggregate(count()).to(sink)
    await app.serve()
    assert [(result.start, result.value) for result in sink.values] == [(1_000, 2), (2_000, 1)]


async def test_a_topic_that_is_deleted_stops_the_job(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    await kafka.produce(topic, [b"a"])
    reader = KafkaSource(topic, kafka={"bootstrap.servers": kafka.bootstrap}).open(replace(context(), clock=Fast()))
    await reader.start({})
    await reader.wait()
    assert (await reader.take(EVERYTHING)).values == [b"a"]
    await kafka.delete_topic(topic)
    with pytest.raises(SourceError, match=f"topic '{topic}' or its partition 0 is gone: it was deleted"):
        await reader.wait()
    await reader.close()


async def test_a_topic_that_was_made_anew_is_another_one(kafka: Kafka) -> None:
    settings = {"bootstrap.servers": kafka.bootstrap}
    topic = await kafka.create_topic(partitions=2)
    await kafka.produce(topic, [Message(b"old", partition=0)])
    values, positions = await read(KafkaSource(topic, kafka=settings))
    assert values == [b"old"]
    await kafka.delete_topic(topic)
    await kafka.create_topic_again(topic)
    await kafka.produce(topic, [b"new 1", b"new 2", b"new 3"])
    # The offset is there, and means another record.
    with pytest.raises(
        SourceError, match=f"topic '{topic}' was deleted and made anew.*offsets are those of other records"
    ):
        await read(KafkaSource(topic, kafka=settings), positions)
    values, moved = await read(KafkaSource(topic, kafka=settings, out_of_range="earliest"), positions)
    assert values == [b"new 1", b"new 2", b"new 3"]
    # The second partition is forgotten, and the other is known from now on.
    assert moved[f"{topic}/1"] is None
    later = {name: at for name, at in moved.items() if at is not None}
    assert (await read(KafkaSource(topic, kafka=settings), later))[0] == []


async def test_a_topic_that_is_made_anew_stops_the_job(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    await kafka.produce(topic, [b"a"])
    reader = KafkaSource(topic, kafka={"bootstrap.servers": kafka.bootstrap}).open(context())
    await reader.start({})
    await reader.wait()
    assert (await reader.take(EVERYTHING)).values == [b"a"]
    await kafka.delete_topic(topic)
    await kafka.create_topic_again(topic)
    await kafka.produce(topic, [b"b", b"c"])
    async with asyncio.timeout(60):
        with pytest.raises(SourceError, match="was deleted and made anew"):
            await reader.wait()
    await reader.close()


class Turn:
    """Waits until the loop comes round."""

    def __await__(self) -> Generator[None]:
        yield


async def test_the_identity_of_a_topic_made_anew_is_not_told_with_the_old_offsets(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    await kafka.produce(topic, [b"a", b"b", b"c"])
    reader = KafkaSource(topic, kafka={"bootstrap.servers": kafka.bootstrap}).open(context())
    await reader.start({})
    await reader.wait()
    positions = dict((await reader.take(EVERYTHING)).positions)
    before = positions[topic]

    async def make_anew() -> None:
        await kafka.delete_topic(topic)
        await kafka.create_topic_again(topic)

    async def take_on() -> None:
        # At any moment, also while fetching fails.
        while True:
            positions.update((await reader.take(EVERYTHING)).positions)
            await Turn()

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(make_anew())
        with pytest.raises(SourceError, match="was deleted and made anew"):
            await take_on()
    await reader.close()
    assert positions == {topic: before, f"{topic}/0": 3}


async def test_a_topic_that_is_made_anew_between_two_fetches_is_another_one(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    await kafka.produce(topic, [b"x" * 2_000])
    settings = {"bootstrap.servers": kafka.bootstrap}
    # While so much waits to be taken, nothing is fetched.
    reader = KafkaSource(topic, buffer_bytes=1_000, out_of_range="earliest", kafka=settings).open(context())
    await reader.start({})
    await reader.wait()
    await kafka.delete_topic(topic)
    await kafka.create_topic_again(topic)
    assert len((await reader.take(EVERYTHING)).values) == 1
    # Earlier than anybody looks for new partitions.
    async with asyncio.timeout(20):
        with pytest.raises(SourceError, match="was deleted and made anew"):
            await reader.wait()
    await reader.close()
