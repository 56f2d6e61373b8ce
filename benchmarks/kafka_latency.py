"""Kafka to Kafka: how long a record takes with exactly-once, and what that consists of."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.report import Report, percentile
from streamproc import App, Asap, Settings
from streamproc.connectors.kafka import KafkaSink, KafkaSource
from streamproc.state.rocksdb import RocksStore
from tests.kafka.client import Kafka, unique
from tests.kafka.cluster import Cluster
from tests.kafka.program import Program

__all__ = ["main", "measure"]

PER_SECOND = 1_000
WARM_UP = 5
SECONDS = 30
PARTITIONS = 2
KEYS = 100

PARTS = {
    "after_take": "take what has come",
    "after_process": "process",
    "after_commit": "commit to RocksDB, synced",
    "transaction_begun": "transaction: add partitions",
    "records_written": "transaction: write records",
    "offsets_written": "transaction: write offsets of a group (of two)",
    "transaction_ended": "transaction: end",
}
"""What a batch spends its time on, by the step that ends each part."""
PUBLISHING = {"before_publish", "transaction_begun", "records_written", "offsets_written", "transaction_ended"}


def count_up(_key: int, sent: int, before: int | None) -> tuple[str, int]:
    """Return when the record was sent, and count it."""
    return str(sent), (before or 0) + 1


def key_of(sent: int) -> int:
    """Return the key of a record."""
    return sent // 1_000_000 % KEYS


async def serve(brokers: str, topic_in: str, topic_out: str, directory: str) -> None:
    """Run the job until SIGTERM, and write how long the parts of its batches took."""
    kafka = {"bootstrap.servers": brokers}
    app = App(unique("latency"), trigger=Asap(), settings=Settings(state_dir=directory))
    (
        app.source(KafkaSource(topic_in, value=str, kafka=kafka))
        .map(int)
        .key_by(key_of)
        .map_with_state(count_up)
        .to(KafkaSink(topic_out, kafka=kafka))
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, app.stop)
    parts: dict[str, list[float]] = defaultdict(list)
    began = {"drive": 0.0, "publish": 0.0}

    def step(name: str, /) -> None:
        # A batch is published while the next one is processed: two lines of steps, each of one task.
        line = "publish" if name in PUBLISHING else "drive"
        now = time.perf_counter()
        if name in PARTS:
            parts[name].append(now - began[line])
        began[line] = now

    store = RocksStore.open(Path(directory) / "store")
    try:
        await app.run_shard(app.make_shard(store, where=directory, step=step))
    finally:
        store.close()
    (Path(directory) / "parts.json").write_text(json.dumps(parts))


async def send(kafka: Kafka, topic: str) -> None:
    """Send records at an even rate, each with the time when it is sent."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        begin = time.monotonic()
        for number in range((WARM_UP + SECONDS) * PER_SECOND):
            await asyncio.sleep(begin + number / PER_SECOND - time.monotonic())
            await producer.send(topic, b"%d" % time.time_ns(), partition=number % PARTITIONS)


async def read(kafka: Kafka, topic: str) -> list[float]:
    """Return how long each record took, in seconds, in the order in which they came."""
    found: list[float] = []
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap, isolation_level="read_committed", enable_auto_commit=False
    ) as consumer:
        consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
        await consumer.seek_to_beginning()
        while len(found) < (WARM_UP + SECONDS) * PER_SECOND:
            batches = await consumer.getmany(timeout_ms=1_000)
            now = time.time_ns()
            found += [(now - int(record.value)) / 1e9 for records in batches.values() for record in records]
    return found


async def run(kafka: Kafka, directory: str) -> tuple[list[float], dict[str, list[float]]]:
    """Return the latencies behind the warm-up, and how long the parts of batches took, in seconds."""
    topics = [await kafka.create_topic(name, partitions=PARTITIONS) for name in ("in", "out")]
    job = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.kafka_latency", kafka.bootstrap, *topics, directory
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(read(kafka, topics[1]))
            await send(kafka, topics[0])
        job.terminate()
        await job.wait()
    finally:
        if job.returncode is None:
            job.kill()
            await job.wait()
    parts = json.loads((Path(directory) / "parts.json").read_text())
    return reading.result()[WARM_UP * PER_SECOND :], parts


def measure() -> Report:
    """Start a broker and measure."""
    report = Report(
        "kafka_latency",
        f"{PER_SECOND:,} records a second for {SECONDS} s, keyed state, a Kafka transaction a batch, batches asap;\n"
        "broker, job, and a process that sends and reads with read_committed on one machine; needs Java 17 and Maven",
    )
    with Cluster.running(Program.find()) as cluster, tempfile.TemporaryDirectory() as directory:
        latencies, parts = asyncio.run(run(cluster.kafka, directory))
    for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        report.add(f"sent to read, {name}", percentile(latencies, share) * 1e3, "ms")
    report.add("batches a second", len(parts["after_commit"]) / (WARM_UP + SECONDS), "")
    for step, what in PARTS.items():
        times = parts[step]
        report.add(f"    {what}", median(times) * 1e3, "ms", f"p99 {percentile(times, 0.99) * 1e3:.2f}")
    return report


def main() -> None:
    """Measure and print; with arguments, be the job."""
    if arguments := sys.argv[1:]:
        asyncio.run(serve(*arguments))
    else:
        print(measure())


if __name__ == "__main__":
    main()
