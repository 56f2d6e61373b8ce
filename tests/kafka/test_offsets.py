"""``streamproc offsets`` on a real broker, beside Kafka's own tool for consumer groups."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import Command, command_in
from tests.kafka.client import Kafka, Message, unique
from tests.kafka.group_tool import GroupRow, describe_group
from tests.kafka.program import Program

pytestmark = pytest.mark.kafka

_APP = """
from streamproc import App, Once
from streamproc.connectors.kafka import KafkaSink, KafkaSource

KAFKA = {"bootstrap.servers": "%(bootstrap)s"}
app = App("%(app)s", trigger=Once())
words = app.source(KafkaSource("%(topic_in)s", value=str, kafka=KAFKA, max_batch_bytes=100_000), name="words")
words.map(str.upper).to(KafkaSink("%(topic_out)s", kafka=KAFKA))
"""


class Job:
    """An app that reads a topic of two partitions and writes another, in a folder of its own."""

    def __init__(self, kafka: Kafka, folder: Path, topic_in: str, topic_out: str) -> None:
        self.app = unique("app")
        self.topic_in = topic_in
        self._kafka = kafka
        self._topic_out = topic_out
        self._seen = 0
        words = {"bootstrap": kafka.bootstrap, "app": self.app, "topic_in": topic_in, "topic_out": topic_out}
        (folder / "job.py").write_text(_APP % words)
        self._command = command_in(folder)

    async def command(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        streamproc: Command = self._command
        done = await asyncio.to_thread(streamproc, *arguments)
        assert done.returncode == code, done.stderr
        return done

    async def run(self) -> list[str]:
        """Run it once, and return what it has written besides all before."""
        await self.command("run", "job:app")
        written = [(message.value or b"").decode() for message in await self._kafka.read(self._topic_out)]
        new, self._seen = written[self._seen :], len(written)
        return sorted(new)

    async def shown(self) -> dict[int, list[int | None]]:
        """Return position, start, end and lag by partition."""
        done = await self.command("offsets", "show", "job:app", "--json")
        return {
            int(row["partition"].rpartition("/")[2]): [row[name] for name in ("position", "start", "end", "lag")]
            for row in json.loads(done.stdout)
        }


@pytest.fixture
async def job(kafka: Kafka, tmp_path: Path) -> Job:
    """Return a job, and in its first partition the words a to e at 1, 2, … seconds, in the second f to h."""
    topic_in = await kafka.create_topic("in", partitions=2)
    for partition, words in enumerate((b"abcde", b"fgh")):
        messages = [
            Message(bytes([word]), partition=partition, timestamp=1_000 * number)
            for number, word in enumerate(words, start=1)
        ]
        await kafka.produce(topic_in, messages)
    return Job(kafka, tmp_path, topic_in, await kafka.create_topic("out"))


async def test_records_behind_the_new_offset_are_read_again(
    kafka: Kafka, program: Program, job: Job, tmp_path: Path
) -> None:
    def group() -> list[GroupRow]:
        return describe_group(program, kafka.bootstrap, job.app, tmp_path)

    assert await job.shown() == {0: [None, 0, 5, None], 1: [None, 0, 3, None]}
    assert await job.run() == ["A", "B", "C", "D", "E", "F", "G", "H"]
    assert await job.shown() == {0: [5, 0, 5, 0], 1: [3, 0, 3, 0]}

    await job.command("offsets", "reset", "job:app", "--to", "3", "--partition", "0", "--yes")
    assert await job.shown() == {0: [3, 0, 5, 2], 1: [3, 0, 3, 0]}
    # Who looks after the cluster sees it at once.
    assert await asyncio.to_thread(group) == [GroupRow(job.topic_in, 0, 3, 5, 2), GroupRow(job.topic_in, 1, 3, 3, 0)]

    assert await job.run() == ["D", "E"]
    assert await asyncio.to_thread(group) == [GroupRow(job.topic_in, 0, 5, 5, 0), GroupRow(job.topic_in, 1, 3, 3, 0)]
    assert await job.run() == []


async def test_a_source_goes_to_its_ends_and_to_a_time(kafka: Kafka, job: Job) -> None:
    await job.run()
    await job.command("offsets", "reset", "job:app", "--source", "words", "--to", "earliest", "--yes")
    assert await job.run() == ["A", "B", "C", "D", "E", "F", "G", "H"]
    # The second partition has nothing that new.
    await job.command("offsets", "reset", "job:app", "--to", "1970-01-01T00:00:03.500Z", "--yes")
    assert await job.shown() == {0: [3, 0, 5, 2], 1: [3, 0, 3, 0]}
    await kafka.produce(job.topic_in, [Message(b"i", partition=0)])
    await job.command("offsets", "reset", "job:app", "--to", "latest", "--yes")
    assert await job.shown() == {0: [6, 0, 6, 0], 1: [3, 0, 3, 0]}
    assert await job.run() == []
    await kafka.produce(job.topic_in, [Message(b"j", partition=0)])
    assert await job.run() == ["J"]


async def test_the_command_that_an_error_names_goes_on_behind_what_can_not_be_read(kafka: Kafka, job: Job) -> None:
    await job.run()
    await kafka.produce(job.topic_in, [Message(b"x" * 300_000, partition=0)], compression="gzip")
    await kafka.produce(job.topic_in, [Message(b"k", partition=0)])
    failed = await job.command("run", "job:app", code=1)
    named = re.search(r"go on behind it by `streamproc (offsets reset) MODULE:APP ([^`]+)`", failed.stderr)
    assert named is not None, failed.stderr
    assert named[2] == f"--to 6 --partition {job.topic_in}/0"
    await job.command(*named[1].split(), "job:app", *named[2].split(), "--yes")
    assert await job.run() == ["K"]


async def test_a_reset_goes_on_in_a_topic_that_was_made_anew(kafka: Kafka, job: Job) -> None:
    assert await job.run() == list("ABCDEFGH")
    await kafka.delete_topic(job.topic_in)
    await kafka.create_topic_again(job.topic_in, partitions=2)
    await kafka.produce(job.topic_in, [Message(b"x", partition=0), Message(b"y", partition=1)])
    refused = await job.command("run", "job:app", code=1)
    assert "was deleted and made anew" in refused.stderr
    await job.command("offsets", "reset", "job:app", "--to", "earliest", "--yes")
    assert await job.run() == ["X", "Y"]
    assert await job.shown() == {0: [1, 0, 1, 0], 1: [1, 0, 1, 0]}


async def test_a_reset_forgets_the_partitions_that_a_topic_made_anew_has_not(kafka: Kafka, job: Job) -> None:
    assert await job.run() == list("ABCDEFGH")
    await kafka.delete_topic(job.topic_in)
    await kafka.create_topic_again(job.topic_in, partitions=1)
    await kafka.produce(job.topic_in, [b"x"])
    done = await job.command("offsets", "reset", "job:app", "--to", "earliest", "--yes")
    assert [line.split() for line in done.stdout.splitlines()[1:3]] == [
        ["words", f"{job.topic_in}/0", "5", "0", "up", "to", "5", "again"],
        ["words", f"{job.topic_in}/1", "3", "-", "gone,", "and", "forgotten"],
    ]
    assert await job.run() == ["X"]
    assert await job.shown() == {0: [1, 0, 1, 0]}
