"""Kafka, reading: records per second of processor time, by plain ``getmany`` of aiokafka and by `KafkaSource`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from statistics import median
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.report import Report, middle
from streamproc.connectors.kafka import KafkaSource
from streamproc.eventtime.clock import SystemClock
from streamproc.io.source import Limits, SourceContext
from streamproc.testing.journal import MemoryJournal
from tests.kafka.client import Kafka, Message
from tests.kafka.cluster import Cluster
from tests.kafka.program import Program

__all__ = ["main", "measure"]

RECORDS = 400_000
PARTITIONS = 2
ROUNDS = 3
CODECS = (None, "lz4")


def event(number: int) -> bytes:
    """Return an event of the Yahoo Streaming Benchmark, about 180 bytes."""
    return (
        b'{"user_id":"%016x","page_id":"%016x","ad_id":"%016x","ad_type":"banner","event_type":"view","event_time":%d,'
        b'"ip_address":"1.2.3.%03d"}'
        % (
            number * 0x9E3779B97F4A7C15 % (1 << 64),
            number % 997,
            number % 1000,
            1_700_000_000_000 + number,
            number % 256,
        )
    )


async def fill(kafka: Kafka, codec: str | None) -> str:
    """Write the events to a new topic."""
    topic = await kafka.create_topic(partitions=PARTITIONS)
    for start in range(0, RECORDS, 50_000):
        events = [Message(event(number), partition=number % PARTITIONS) for number in range(start, start + 50_000)]
        await kafka.produce(topic, events, compression=codec)
    return topic


async def by_getmany(kafka: Kafka, topic: str) -> float:
    """Return the processor time of aiokafka's consumer, in seconds."""
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap, isolation_level="read_committed", enable_auto_commit=False
    ) as consumer:
        consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
        await consumer.seek_to_beginning()
        left, begin = RECORDS, time.process_time()
        while left:
            left -= sum(len(records) for records in (await consumer.getmany(timeout_ms=500)).values())
        return time.process_time() - begin


async def by_source(kafka: Kafka, topic: str) -> float:
    """Return the processor time of the source's reader, in seconds."""
    source = KafkaSource(topic, kafka={"bootstrap.servers": kafka.bootstrap})
    reader = source.open(SourceContext("in", SystemClock(), MemoryJournal, app="benchmark", timed=False))
    await reader.start({})
    left, begin = RECORDS, time.process_time()
    while left:
        await reader.wait()
        left -= len((await reader.take(Limits(100_000, 64 << 20))).values)
    spent = time.process_time() - begin
    await reader.close()
    return spent


async def compare(kafka: Kafka, report: Report) -> None:
    """Measure both, in turn, on the same topics."""
    ways: dict[str, Callable[[Kafka, str], Coroutine[Any, Any, float]]] = {
        "getmany": by_getmany,
        "KafkaSource": by_source,
    }
    for codec in CODECS:
        topic = await fill(kafka, codec)
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                rates[name].append(RECORDS / await way(kafka, topic))
        for name, values in rates.items():
            report.add(f"{codec or 'uncompressed'}: {name}", median(values), "records per CPU second")
        ratios = [ours / plain for ours, plain in zip(rates["KafkaSource"], rates["getmany"], strict=True)]
        value, spread = middle(ratios)
        report.add("    ratio", value, "", f"{spread}, at least 4 is wanted")


def measure() -> Report:
    """Start a broker and measure."""
    report = Report(
        "kafka_fetch",
        f"{RECORDS:,} records of {len(event(0))} bytes in {PARTITIONS} partitions, batches as of aiokafka's producer;\n"
        "read_committed, checksums verified, values as bytes, the default event loop; needs Java 17 and Maven",
    )
    with Cluster.running(Program.find()) as cluster:
        asyncio.run(compare(cluster.kafka, report))
    return report


def main() -> None:
    """Measure and print."""
    print(measure())


if __name__ == "__main__":
    main()
