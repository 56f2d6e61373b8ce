"""`KafkaSource` against a real broker."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc.connectors.kafka import KafkaRecord, KafkaSource
from streamproc.errors import SourceError
from streamproc.eventtime.clock import SystemClock
from streamproc.io.source import Limits, SourceContext, SourceReader
from streamproc.testing import check_source
from streamproc.testing.journal import MemoryJournal
from tests.kafka.client import Kafka, Message, unique

pytestmark = pytest.mark.kafka

EVERYTHING = Limits(records=1_000_000, bytes=1 << 30)


def context(*, shard: int = 0, shards: int = 1) -> SourceContext:
    return SourceContext("in", SystemClock(), MemoryJournal, shard, shards, app=unique("app"), timed=False)


async def read_all(reader: SourceReader) -> tuple[list[Any], dict[str, Any]]:
    """Read to the end of now; return the raw values, and the positions behind them."""
    await reader.bound()
    values: list[Any] = []
    positions: dict[str, Any] = {}
    while not reader.finished:
        await reader.wait()
        batch = await reader.take(EVERYTHING)
        assert sum(segment.count for segment in batch.segments) == len(batch.values)
        values += batch.values
        positions |= batch.positions
    return values, positions


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
