"""`KafkaSink` against a real broker, alone and behind a `KafkaSource`."""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import LeaderNotAvailableError  # type: ignore[import-untyped]

from streamproc import App, Once, Settings
from streamproc.batch import Batch
from streamproc.connectors.kafka import KafkaSink, KafkaSource
from streamproc.connectors.kafka.cluster import Cluster, Topic
from streamproc.connectors.kafka.transaction import Producer
from streamproc.errors import EncodeError, FencedError, SinkError
from streamproc.eventtime.clock import SystemClock
from streamproc.io.sink import OutboxEntry, SinkContext, SinkWriter
from streamproc.testing import CrashPoint, SimulatedCrash, Steps
from tests.kafka.client import Kafka, unique

pytestmark = pytest.mark.kafka


def open_writer(
    sink: KafkaSink[Any], app: str, *, committed: int = 0, published: int = 0, steps: Steps | None = None
) -> SinkWriter:
    steps = steps or Steps()
    return sink.open(SinkContext(app, "out", SystemClock(), step=steps, committed=committed, published=published))


def entry(writer: SinkWriter, batch_id: int, *rows: Any) -> OutboxEntry:
    return OutboxEntry(batch_id, 1_700_000_000_000, writer.encode(Batch(list(rows))))


def doubled(text: str) -> int:
    return int(text) * 2


def last_digit(number: int) -> int:
    return number % 10


async def values(kafka: Kafka, topic: str) -> list[bytes | None]:
    return [message.value for message in await kafka.read(topic)]


async def test_rows_become_records(kafka: Kafka) -> None:
    topic = await kafka.create_topic(partitions=3)
    sink = KafkaSink[Any](topic, headers=lambda row: {"kind": "test"}, kafka={"bootstrap.servers": kafka.bootstrap})
    writer = open_writer(sink, unique("app"))
    assert await writer.start() is None
    payload = writer.encode(Batch([{"n": 1}, "text", b"bytes", None], ["k1", "k2", 3, "k1"], [5, 6, 7, 8]))
    await writer.publish(OutboxEntry(1, 1_000, payload))
    await writer.close()
    found = await kafka.read(topic)
    assert sorted((m.key, m.value, m.timestamp) for m in found if m.value is not None) == [
        (b"3", b"bytes", 7),
        (b"k1", b'{"n":1}', 5),
        (b"k2", b"text", 6),
    ]
    assert [m.key for m in found if m.value is None] == [b"k1"]
    assert {m.headers for m in found} == {(("kind", b"test"),)}


async def test_a_batch_is_published_once(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    app = unique("app")
    sink = KafkaSink[Any](topic, kafka={"bootstrap.servers": kafka.bootstrap})
    writer = open_writer(sink, app)
    await writer.start()
    first, second = entry(writer, 1, "a"), entry(writer, 3, "b", "c")
    for each in (first, first, second):
        await writer.publish(each)
    await writer.close()
    writer = open_writer(sink, app, committed=3, published=1)
    assert await writer.start() == 3
    await writer.publish(second)
    await writer.close()
    assert await values(kafka, topic) == [b"a", b"b", b"c"]


async def test_a_crash_at_any_step_changes_nothing(kafka: Kafka) -> None:
    undisturbed = Steps()
    settings = {"bootstrap.servers": kafka.bootstrap}

    async def live(topic: str, app: str, steps: Steps, *, committed: int = 0) -> None:
        writer = open_writer(KafkaSink[Any](topic, kafka=settings), app, committed=committed, steps=steps)
        try:
            await writer.start()
            for batch_id, rows in ((1, ("a", "b")), (2, ("c",))):
                await writer.publish(entry(writer, batch_id, *rows))
        finally:
            await writer.close()

    await live(await kafka.create_topic(), unique("app"), undisturbed)
    points: list[CrashPoint] = undisturbed.reached
    assert len({point.step for point in points}) >= 7
    for point in points:
        topic, app, steps = await kafka.create_topic(), unique("app"), Steps()
        steps.arm(point.step, point.occurrence)
        with pytest.raises(SimulatedCrash):
            await live(topic, app, steps)
        await live(topic, app, Steps(), committed=2)
        assert await values(kafka, topic) == [b"a", b"b", b"c"], point


async def test_the_instance_that_started_last_wins(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    app = unique("app")
    sink = KafkaSink[Any](topic, kafka={"bootstrap.servers": kafka.bootstrap})
    old = open_writer(sink, app)
    await old.start()
    await old.publish(entry(old, 1, "old"))
    new = open_writer(sink, app, committed=1, published=1)
    assert await new.start() == 1
    with pytest.raises(FencedError, match="another instance of app"):
        await old.publish(entry(old, 2, "zombie"))
    await new.publish(entry(new, 2, "new"))
    await old.close()
    await new.close()
    assert await values(kafka, topic) == [b"old", b"new"]


async def test_an_instance_that_is_behind_fences_nobody(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    app = unique("app")
    sink = KafkaSink[Any](topic, kafka={"bootstrap.servers": kafka.bootstrap})
    healthy = open_writer(sink, app)
    await healthy.start()
    await healthy.publish(entry(healthy, 5, "a"))
    behind = open_writer(sink, app, committed=3)
    assert await behind.start() == 5
    await behind.close()
    await healthy.publish(entry(healthy, 6, "b"))
    await healthy.close()
    assert await values(kafka, topic) == [b"a", b"b"]


async def test_a_lost_mark_is_refused(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    sink = KafkaSink[Any](topic, kafka={"bootstrap.servers": kafka.bootstrap})
    writer = open_writer(sink, unique("app"), committed=8, published=7)
    assert await writer.start() is None
    with pytest.raises(SinkError, match="it is not known whether batch 8 is published"):
        await writer.publish(entry(writer, 8, "a"))
    await writer.close()
    assert await values(kafka, topic) == []


async def test_what_can_not_be_sent_is_found_before_the_commit(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    sink = KafkaSink[Any](topic, kafka={"bootstrap.servers": kafka.bootstrap})
    writer = open_writer(sink, unique("app"))
    await writer.start()
    for row, message in ((None, "without a key and without a value"), ("x" * 2_000_000, "1000000 are allowed")):
        with pytest.raises(EncodeError, match=message):
            writer.encode(Batch([row]))
    await writer.close()


async def test_a_moment_without_metadata_changes_nothing(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = await kafka.create_topic(partitions=3)
    writer = open_writer(KafkaSink[Any](topic, kafka={"bootstrap.servers": kafka.bootstrap}), unique("app"))
    await writer.start()
    rows = Batch([f"{number}" for number in range(20)], [f"key {number}" for number in range(20)])
    await writer.publish(OutboxEntry(1, 0, writer.encode(rows)))

    def not_known(_: Cluster, topic: str) -> list[int]:
        return []

    with monkeypatch.context() as moment:
        # As when a broker says that it doesn't know the topic, or when a new client hasn't asked yet.
        moment.setattr(Cluster, "partitions", not_known)
        waiting = writer.encode(rows)
    await writer.publish(OutboxEntry(2, 0, waiting))
    await writer.close()
    found = await kafka.read(topic)
    assert len(found) == 40
    assert len({(message.key, message.partition) for message in found}) == 20


async def test_a_topic_without_a_leader_is_waited_for(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = await kafka.create_topic()
    writer = open_writer(KafkaSink[Any](topic, kafka={"bootstrap.servers": kafka.bootstrap}), unique("app"))
    with monkeypatch.context() as moment:

        async def describe(_: Cluster, topics: Collection[str]) -> dict[str, Topic]:
            moment.undo()
            return {name: Topic(name, LeaderNotAvailableError(name), ()) for name in topics}

        moment.setattr(Cluster, "describe", describe)
        assert await writer.start() is None
    await writer.publish(entry(writer, 1, "a"))
    await writer.close()
    assert await values(kafka, topic) == [b"a"]


async def test_a_topic_that_is_not_there_is_named(kafka: Kafka) -> None:
    writer = open_writer(KafkaSink[Any]("no-such-topic", kafka={"bootstrap.servers": kafka.bootstrap}), unique("app"))
    with pytest.raises(SinkError, match=r"can't write to topic 'no-such-topic'.*Make it, mend its name"):
        await writer.start()
    await writer.close()


async def test_a_time_too_far_ahead_is_refused_until_the_topic_allows_it(kafka: Kafka) -> None:
    topic = await kafka.create_topic(config={"message.timestamp.after.max.ms": "3600000"})
    ahead = SystemClock().now() + 7_200_000
    app = unique("app")
    sink = KafkaSink[Any](topic, timestamp=lambda row: ahead, kafka={"bootstrap.servers": kafka.bootstrap})
    writer = open_writer(sink, app)
    await writer.start()
    waiting = entry(writer, 1, "a")
    async with asyncio.timeout(20):
        with pytest.raises(SinkError, match=r"further ahead of the broker's clock.*message.timestamp.after.max.ms"):
            await writer.publish(waiting)
    await writer.close()
    await kafka.configure(topic, {"message.timestamp.after.max.ms": "36000000"})
    writer = open_writer(sink, app, committed=1)
    await writer.start()
    await writer.publish(waiting)
    await writer.close()
    assert await values(kafka, topic) == [b"a"]


async def test_a_transaction_timeout_that_the_broker_does_not_allow_is_told_at_the_start(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    sink = KafkaSink[Any](topic, transaction_timeout="1h", kafka={"bootstrap.servers": kafka.bootstrap})
    writer = open_writer(sink, unique("app"))
    async with asyncio.timeout(20):
        with pytest.raises(SinkError, match=r"KafkaSink\(transaction_timeout=…\) is more than the brokers'"):
            await writer.start()
    await writer.close()


async def test_from_kafka_to_kafka(kafka: Kafka, tmp_path: Path) -> None:
    source, sink = await kafka.create_topic("in", partitions=2), await kafka.create_topic("out", partitions=2)
    name = unique("app")
    settings = {"bootstrap.servers": kafka.bootstrap}
    await kafka.produce(source, [b"%d" % number for number in range(1_000)])

    async def run() -> None:
        app = App(name, trigger=Once(), settings=Settings(state_dir=str(tmp_path), max_records=100))
        (
            app.source(KafkaSource(source, value=str, kafka=settings))
            .map(doubled)
            .key_by(last_digit)
            .to(KafkaSink(sink, kafka=settings))
        )
        await app.serve()

    await run()
    await kafka.produce(source, [b"%d" % number for number in range(1_000, 1_100)])
    await run()
    found = await kafka.read(sink)
    assert sorted(int(message.value or b"") for message in found) == [2 * number for number in range(1_100)]
    offsets = await kafka.group_offsets(name, source)
    assert sum(offsets.values()) == 1_100


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_a_batch_of_any_size_is_one_transaction(kafka: Kafka, compression: Any) -> None:
    topic = await kafka.create_topic(partitions=2)
    sink = KafkaSink[Any](
        topic, compression=compression, max_record_bytes=20_000, kafka={"bootstrap.servers": kafka.bootstrap}
    )
    writer = open_writer(sink, unique("app"))
    await writer.start()
    # Some dozen record batches for each partition: several requests to a broker.
    rows = [f"{number:06} {'x' * 500}" for number in range(2_000)]
    for batch_id in (1, 2):
        entry = OutboxEntry(batch_id, 0, writer.encode(Batch(rows, [f"{number % 10}" for number in range(2_000)])))
        await writer.publish(entry)
    await writer.close()
    found: dict[bytes | None, list[bytes | None]] = {}
    for message in await kafka.read(topic):
        found.setdefault(message.key, []).append(message.value)
    assert found == {
        b"%d" % digit: 2 * [row.encode() for number, row in enumerate(rows) if number % 10 == digit]
        for digit in range(10)
    }


async def test_a_function_chooses_among_the_topics(kafka: Kafka) -> None:
    odd, even = await kafka.create_topic("odd"), await kafka.create_topic("even", partitions=2)
    sink = KafkaSink[int](
        lambda number: "elsewhere" if number >= 100 else odd if number % 2 else even,
        topics=[odd, even],
        key=lambda number: number // 10,
        value=lambda number: {"n": number},
        timestamp=lambda number: number * 1_000,
        kafka={"bootstrap.servers": kafka.bootstrap},
    )
    writer = open_writer(sink, unique("app"))
    await writer.start()
    await writer.publish(entry(writer, 1, 12, 13, 24))
    with pytest.raises(EncodeError, match="the topic 'elsewhere' is none of KafkaSink"):
        entry(writer, 2, 100)
    await writer.close()
    assert [(m.key, m.value, m.timestamp) for m in await kafka.read(odd)] == [(b"1", b'{"n":13}', 13_000)]
    assert sorted((m.key, m.value, m.timestamp) for m in await kafka.read(even) if m.key is not None) == [
        (b"1", b'{"n":12}', 12_000),
        (b"2", b'{"n":24}', 24_000),
    ]


async def test_at_least_once_needs_no_transaction(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    sink = KafkaSink[str](topic, delivery="at_least_once", kafka={"bootstrap.servers": kafka.bootstrap})
    assert sink.delivery == "at_least_once"
    name = unique("app")
    first = open_writer(sink, name)
    assert await first.start() is None
    payload = entry(first, 1, "a", "b")
    await first.publish(payload)
    await first.close()
    # It can't know that the batch is there: what is published again comes again.
    second = open_writer(sink, name, committed=1)
    assert await second.start() is None
    await second.publish(payload)
    await second.publish(entry(second, 2, "c"))
    await second.close()
    assert await values(kafka, topic) == [b"a", b"b", b"a", b"b", b"c"]


async def test_a_commit_without_markers_is_made_good(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    # As a coordinator does that can't reach the leaders: it says that the transaction is committed, and nobody sees it.
    topic = await kafka.create_topic(partitions=2)
    writer = open_writer(KafkaSink[Any](topic, kafka={"bootstrap.servers": kafka.bootstrap}), unique("app"))
    await writer.start()
    with monkeypatch.context() as broken:
        left_out: list[int] = []

        async def commit(_: Producer) -> None:
            left_out.append(1)
            broken.undo()

        broken.setattr(Producer, "commit", commit)
        await writer.publish(OutboxEntry(1, 0, writer.encode(Batch(["a", "b"], ["1", "2"]))))
        assert left_out == [1]
    await writer.publish(OutboxEntry(2, 0, writer.encode(Batch(["c", "d"], ["1", "2"]))))
    await writer.close()
    assert sorted((m.key, m.offset, m.value) for m in await kafka.read(topic) if m.key) == [
        (b"1", 0, b"a"),
        (b"1", 2, b"c"),
        (b"2", 0, b"b"),
        (b"2", 2, b"d"),
    ]


async def test_the_open_transaction_of_another_producer_is_not_waited_for(kafka: Kafka) -> None:
    topic = await kafka.create_topic()
    writer = open_writer(KafkaSink[Any](topic, kafka={"bootstrap.servers": kafka.bootstrap}), unique("app"))
    await writer.start()
    async with kafka.open_transaction(topic, b"open"):
        async with asyncio.timeout(20):
            await writer.publish(entry(writer, 1, "a"))
            await writer.publish(entry(writer, 2, "b"))
    await writer.close()
    assert await values(kafka, topic) == [b"a", b"b"]
