"""Kafka to Kafka: windows with exactly-once against a loop by hand that only fetches, decodes and counts."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.report import Report, middle
from streamproc import App, Asap, Record, Settings, Tumbling, count
from streamproc.connectors.kafka import KafkaSink, KafkaSource
from streamproc.eventtime.clock import SystemClock
from streamproc.io.source import Limits, SourceContext
from streamproc.state.rocksdb import RocksStore
from streamproc.testing.journal import MemoryJournal
from tests.kafka.client import Kafka, Message, unique
from tests.kafka.cluster import Cluster
from tests.kafka.program import Program

__all__ = ["main", "measure"]

RECORDS = 1_000_000
PER_MS = 20
"""Events a millisecond of event time: 50 s in all, so that windows close while the job runs."""
PARTITIONS = 2
ROUNDS = 3
KINDS = ("view", "click", "purchase")


class AdEvent(Record):
    """The three fields that are asked for, of seven."""

    ad_id: str
    event_type: str
    event_time: int


def event(number: int) -> bytes:
    """Return an event of the Yahoo Streaming Benchmark, about 185 bytes; every third is a view."""
    return (
        b'{"user_id":"%016x","page_id":"%016x","ad_id":"ad-%03d","ad_type":"banner","event_type":"%s",'
        b'"event_time":%d,"ip_address":"1.2.3.%03d"}'
        % (
            number * 0x9E3779B97F4A7C15 % (1 << 64),
            number % 997,
            number * 7919 % 1000,
            KINDS[number % 3].encode(),
            1_700_000_000_000 + number // PER_MS,
            number % 256,
        )
    )


async def fill(kafka: Kafka) -> str:
    """Write the events to a new topic."""
    topic = await kafka.create_topic(partitions=PARTITIONS)
    for start in range(0, RECORDS, 50_000):
        events = [Message(event(number), partition=number % PARTITIONS) for number in range(start, start + 50_000)]
        await kafka.produce(topic, events, compression="lz4")
    return topic


def counting(topic: str, kafka: Kafka) -> KafkaSource[AdEvent]:
    """Return the source that both read."""
    return KafkaSource(topic, value=AdEvent, kafka={"bootstrap.servers": kafka.bootstrap})


async def by_hand(kafka: Kafka, topic: str) -> tuple[float, float]:
    """Count views by ad and ten seconds in a loop, and return the wall and processor time."""
    source = counting(topic, kafka)
    decoder = source.decoder
    assert decoder is not None
    reader = source.open(SourceContext("in", SystemClock(), MemoryJournal, app="benchmark", timed=False))
    await reader.start({})
    counts: Counter[tuple[str, int]] = Counter()
    left = RECORDS
    wall, cpu = time.perf_counter(), time.process_time()
    while left:
        await reader.wait()
        values = (await reader.take(Limits(100_000, 64 << 20))).values
        for ad in decoder.decode_many(values):
            if ad.event_type == "view":
                counts[ad.ad_id, ad.event_time // 10_000] += 1
        left -= len(values)
    spent = time.perf_counter() - wall, time.process_time() - cpu
    assert counts.total() == -(-RECORDS // 3)
    await reader.close()
    return spent


async def by_app(kafka: Kafka, topic: str, topic_out: str) -> tuple[float, float]:
    """Do so with the engine: event time, windows, RocksDB, transactions; until all is published."""
    with tempfile.TemporaryDirectory() as directory:
        app = App(unique("windows"), trigger=Asap(), settings=Settings(state_dir=directory))
        (
            app.source(counting(topic, kafka))
            .event_time(lambda ad: ad.event_time, out_of_orderness="5s")
            .filter(lambda ad: ad.event_type == "view")
            .key_by(lambda ad: ad.ad_id)
            .window(Tumbling("10s"), allowed_lateness="1m")
            .aggregate(count())
            .to(KafkaSink(topic_out, kafka={"bootstrap.servers": kafka.bootstrap}))
        )
        began: tuple[float, float] | None = None
        ended = (0.0, 0.0)

        def step(name: str, /) -> None:
            nonlocal began, ended
            now = time.perf_counter(), time.process_time()
            if name == "before_take" and began is None:
                began = now
            if name == "before_acknowledge":
                ended = now
                if app.metrics.records >= RECORDS and not app.metrics.in_flight - 1:
                    app.stop()

        store = RocksStore.open(Path(directory) / "store")
        try:
            await app.run_shard(app.make_shard(store, where=directory, step=step))
        finally:
            store.close()
        assert began is not None
        assert app.metrics.records == RECORDS
        return ended[0] - began[0], ended[1] - began[1]


async def compare(kafka: Kafka, report: Report) -> None:
    """Measure both, in turn, on the same topic."""
    topic, topic_out = await fill(kafka), await kafka.create_topic(partitions=PARTITIONS)
    spent: dict[str, list[tuple[float, float]]] = {"by hand": [], "streamproc": []}
    for _ in range(ROUNDS):
        spent["by hand"].append(await by_hand(kafka, topic))
        spent["streamproc"].append(await by_app(kafka, topic, topic_out))
    for place, unit in enumerate(("records/s", "records per CPU second")):
        rates = {name: [RECORDS / times[place] for times in found] for name, found in spent.items()}
        for name, found in rates.items():
            rate, note = middle(found)
            report.add(name, rate, unit, note)
        ratio, note = middle([s / h for s, h in zip(rates["streamproc"], rates["by hand"], strict=True)])
        report.add("    ratio", ratio, "", f"{note}, at least 0.4 is wanted")


def measure() -> Report:
    """Start a broker and measure."""
    report = Report(
        "kafka_windows",
        f"{RECORDS:,} events of {len(event(0))} bytes in {PARTITIONS} partitions, lz4, 1,000 ads; the engine with\n"
        "event time, windows, RocksDB and a Kafka transaction a batch; broker and job on one machine; needs Java 17",
    )
    with Cluster.running(Program.find()) as cluster:
        asyncio.run(compare(cluster.kafka, report))
    return report


def main() -> None:
    """Measure and print."""
    print(measure())


if __name__ == "__main__":
    main()
