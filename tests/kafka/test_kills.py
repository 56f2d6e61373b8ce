"""SIGKILL at every step of the loop and of publishing: each result is in the topic once, in order for each key."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from streamproc.engine.protocol import STEPS
from tests.kafka.client import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PUBLISHING = (
    "epoch_taken",
    "taken_over",
    "transaction_begun",
    "records_written",
    "offsets_added",
    "offsets_written",
    "transaction_ended",
)
RECORDS = 200


async def run(*arguments: object) -> int | None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.kafka.job", *map(str, arguments))
    try:
        return await asyncio.wait_for(process.wait(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("step", [*STEPS, *PUBLISHING])
async def test_a_kill_at_any_step_loses_and_doubles_nothing(kafka: Kafka, tmp_path: Path, step: str) -> None:
    topic_in, topic_out = await kafka.create_topic("in", partitions=2), await kafka.create_topic("out", partitions=2)
    await kafka.produce(topic_in, [b"%d" % number for number in range(RECORDS)])
    job = (kafka.bootstrap, topic_in, topic_out, tmp_path)
    assert await run(*job, step, 1) == -signal.SIGKILL
    # The second time, behind a recovery; a step of the start comes once only.
    assert await run(*job, step, 2) == (0 if step in ("epoch_taken", "taken_over") else -signal.SIGKILL)
    assert await run(*job, "none", 0) == 0
    found: dict[bytes | None, list[list[str]]] = defaultdict(list)
    for message in await kafka.read(topic_out):
        found[message.key].append((message.value or b"").decode().split())
    numbers = sorted(int(number) for rows in found.values() for number, _, _ in rows)
    assert numbers == list(range(RECORDS))
    for rows in found.values():
        assert [int(count) for _, count, _ in rows] == list(range(1, len(rows) + 1))
