"""The example `examples.ad_counts`: its programs, as processes, on a real broker."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from operator import attrgetter
from pathlib import Path

import pytest

from examples.ad_counts.pipeline import AdEvent, count_views
from examples.ad_counts.traffic import Traffic
from streamproc import App, WindowResult
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from tests.kafka.client import Kafka, unique

SECONDS = 120
START = 1_700_000_000_000
WINDOW_MS = 10_000
OUT_OF_ORDERNESS_MS = 5_000

Counts = dict[tuple[str, int], int]
"""The views of an ad in the window that began at a time in epoch milliseconds."""


def views(events: Iterable[AdEvent]) -> Counts:
    """Count the views in all windows that the events close."""
    listed = list(events)
    closed = max(event.event_time for event in listed) - OUT_OF_ORDERNESS_MS
    counts = Counter(
        (event.ad_id, event.event_time // WINDOW_MS * WINDOW_MS) for event in listed if event.event_type == "view"
    )
    return {(ad, start): count for (ad, start), count in counts.items() if start + WINDOW_MS <= closed}


def parsed(line: str) -> tuple[tuple[str, int], int]:
    time, ad, count = line.split()
    return (ad, round(datetime.fromisoformat(time).timestamp() * 1_000)), int(count)


@asynccontextmanager
async def program(
    kafka: Kafka, state: Path, name: str, *arguments: str, stderr: int | None = None
) -> AsyncGenerator[Process]:
    """Run one of the example's programs; it is killed if it runs in the end."""
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap, "STREAMPROC_STATE_DIR": str(state)}
    command = [sys.executable, "-m", f"examples.ad_counts{name}", *arguments]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=stderr)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def lines(process: Process, count: int) -> list[str]:
    """Return the next lines that a program prints."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return [(await process.stdout.readline()).decode() for _ in range(count)]


async def events(kafka: Kafka, ads: str) -> list[AdEvent]:
    """Return what is in the topic, read by a path that is none of the job's."""
    return [AdEvent(**json.loads(message.value or b"")) for message in await kafka.read(ads)]


@pytest.mark.kafka
@pytest.mark.slow
async def test_the_programs_count_each_view_once_over_a_stop(kafka: Kafka, tmp_path: Path) -> None:
    ads, counts = unique("ads"), unique("ad-counts")
    async with program(kafka, tmp_path, ".topics", ads, counts) as topics:
        assert await lines(topics, 1) == [f"made: {ads}, {counts}\n"]
    printed: list[str] = []
    async with program(kafka, tmp_path, ".show", "--counts", counts) as show:
        for start in (START, START + 1_000 * SECONDS):
            traffic = ("--rate=100", f"--seconds={SECONDS}", f"--start={start}")
            async with program(kafka, tmp_path, ".generate", "--ads", ads, *traffic) as generate:
                assert await lines(generate, 1) == [f"wrote 12,000 events to {ads}\n"]
            async with program(kafka, tmp_path, "", "--ads", ads, "--counts", counts) as job:
                expected = views(await events(kafka, ads))
                printed += await lines(show, len(expected) - len(printed))
                job.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(job.wait(), 30) == 0
    assert dict(map(parsed, printed)) == expected
    assert len(await kafka.read(counts)) == len(printed) == len(expected)


@pytest.mark.kafka
async def test_what_kafka_refuses_is_said(kafka: Kafka, tmp_path: Path) -> None:
    topic = unique("ads")
    async with program(kafka, tmp_path, ".topics", "--replicas=7", topic, stderr=STDOUT) as topics:
        [said] = await lines(topics, 1)
        assert "failed: " in said
        assert f"topic '{topic}' can't be made: " in said
        assert await topics.wait() == 1


async def test_late_views_count_and_clicks_do_not() -> None:
    traffic = Traffic(seed=7, rate=50, seconds=60, start=START)
    sent = [event for _, event in traffic.events()]
    assert len(sent) == len(traffic) == 3_000
    assert sent != sorted(sent, key=attrgetter("event_time"))
    app = App("ads")
    sink: MemorySink[tuple[str, WindowResult[int]]] = MemorySink()
    count_views(app.source(MemorySource([sent[n : n + 500] for n in range(0, 3_000, 500)]))).to(sink)
    driver = Driver(app)
    await driver.start()
    await driver.tick(8)
    await driver.stop()
    found = {(key, result.start): result.value for key, result in sink.values}
    expected = views(sent)
    assert {window: found[window] for window in expected} == expected
