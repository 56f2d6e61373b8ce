"""What others see of an app: librdkafka reads its results, and Kafka's own tool its progress."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from streamproc import App, Once, Settings
from streamproc.connectors.kafka import KafkaSink, KafkaSource
from tests.kafka.client import Kafka, Message, unique
from tests.kafka.group_tool import describe_group
from tests.kafka.program import Program

pytestmark = pytest.mark.kafka


async def kcat(kafka: Kafka, topic: str) -> list[str]:
    """Return what kcat prints of a topic: partition, offset, key and value of each record."""
    command = shutil.which("kcat")
    assert command is not None, "this test reads a topic by kcat: install it (Debian: apt-get install kcat)"
    process = await asyncio.create_subprocess_exec(
        *(command, "-C", "-q", "-e", "-b", kafka.bootstrap, "-t", topic, "-o", "beginning"),
        *("-X", "isolation.level=read_committed", "-f", "%p %o %k %s\n"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors
    return output.decode().splitlines()


async def test_kcat_reads_the_results_and_the_group_has_no_lag(kafka: Kafka, program: Program, tmp_path: Path) -> None:
    source, sink = await kafka.create_topic("in", partitions=2), await kafka.create_topic("out")
    await kafka.produce(source, [Message(b"%d" % number, partition=number % 2) for number in range(100)])
    await kafka.produce(source, [Message(b"no number", partition=0)], transactional_id=unique("other"), abort=True)
    settings = {"bootstrap.servers": kafka.bootstrap}
    app = App(unique("app"), trigger=Once(), settings=Settings(state_dir=str(tmp_path), max_records=30))
    (
        app.source(KafkaSource(source, value=str, kafka=settings))
        .map(int)
        .key_by(lambda number: number % 2)
        .map_with_state(lambda _key, number, total: (number + (total or 0), number + (total or 0)))
        .to(KafkaSink(sink, kafka=settings))
    )
    await app.serve()
    await kafka.settle(sink)

    totals: dict[str, int] = {}
    for line in await kcat(kafka, sink):
        _, _, key, value = line.split()
        assert int(value) >= totals.get(key, 0)
        totals[key] = int(value)
    assert totals == {"0": sum(range(0, 100, 2)), "1": sum(range(1, 100, 2))}

    await kafka.settle("__consumer_offsets")
    rows = await asyncio.to_thread(describe_group, program, kafka.bootstrap, app.name, tmp_path)
    assert [(row.topic, row.partition, row.lag) for row in rows] == [(source, 0, 0), (source, 1, 0)]
