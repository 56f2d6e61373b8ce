"""Makes jobs to be killed, and checks what has become of their results."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.kafka.client import Kafka, Message, unique
from tests.kafka.kills.job import Job, run
from tests.kafka.kills.kinds import KINDS, RECORDS, without_random
from tests.kafka.kills.outputs import FilesOutput, KafkaOutput, Output, PostgresOutput
from tests.kafka.kills.processes import Process, run_in_process

__all__ = ["SINKS", "Place", "Sinks", "check", "frozen", "killed", "make_job", "refused"]

_PARTITIONS = 2


@dataclass(frozen=True, slots=True)
class Sinks:
    """Sinks that a job writes to.

    Attributes:
        outputs: What they are.
        steps: The steps that they name.
    """

    outputs: Sequence[str]
    steps: Sequence[str]


_KAFKA = (
    "epoch_taken",
    "taken_over",
    "transaction_begun",
    "records_written",
    "offsets_added",
    "offsets_written",
    "transaction_ended",
)
_FILES = (
    "part_begun",
    "part_written",
    "part_renamed",
    "part_name_synced",
    "manifest_written",
    "manifest_renamed",
    "manifest_name_synced",
)

_POSTGRES = (
    "tables_made",
    "owner_written",
    "taken_over",
    "batch_marked",
    "rows_written",
    "sql_committed",
)

SINKS = {
    "kafka": Sinks(("kafka",), _KAFKA),
    "postgres": Sinks(("postgres",), _POSTGRES),
    "kafka and postgres": Sinks(("kafka", "postgres"), tuple(dict.fromkeys(_KAFKA + _POSTGRES))),
    "files": Sinks(("files",), _FILES),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where jobs are made.

    Attributes:
        kafka: The Kafka.
        postgres: The URL of the PostgreSQL.
        directory: For states and files.
    """

    kafka: Kafka
    postgres: str
    directory: Path


async def make_job(place: Place, name: str, kind: str, outputs: Sequence[str], *, mutant: str = "") -> Job:
    """Return a job that has run nowhere yet, with its input and with outputs of its own.

    Args:
        place: Where.
        name: Of the job's directory.
        kind: The kind of its batches.
        outputs: The kinds of its sinks.
        mutant: How the protocol is broken; empty if it isn't.
    """
    kafka, directory = place.kafka, place.directory / name
    partitions = KINDS[kind].partitions
    topic = await kafka.create_topic("in", partitions=partitions)
    await kafka.produce(topic, [Message(b"%d" % number, partition=number % partitions) for number in range(RECORDS)])
    await asyncio.to_thread(directory.mkdir, parents=True)
    made = [await _output(output, place, directory) for output in outputs]
    return Job(kind, kafka.bootstrap, topic, made, directory, mutant)


async def _output(name: str, place: Place, directory: Path) -> Output:
    match name:
        case "kafka":
            topic = await place.kafka.create_topic("out", partitions=_PARTITIONS)
            return KafkaOutput(place.kafka.bootstrap, topic)
        case "postgres":
            output = PostgresOutput(place.postgres, unique("out"))
            output.make()
            return output
        case "files":
            return FilesOutput(directory / "out")
        case _:
            raise AssertionError(name)


async def killed(job: Job, step: str) -> int:
    """Run a job that is killed at a step, once more, and to its end; return how often it was killed.

    Raises:
        AssertionError: It does not come to its end, or its results are not what they should be.
    """
    first = await run_in_process(run, job, step)
    # Behind the recovery; some steps come once only.
    second = await run_in_process(run, job, step, 2)
    last = await run_in_process(run, job)
    assert last == 0, f"{step}: it ended with {first}, {second} and {last}"
    await check(job, step)
    return [first, second].count(-signal.SIGKILL)


async def frozen(job: Job) -> None:
    """Freeze a job in the midst of a transaction, let another instance run to its end, and let the first go on.

    Raises:
        AssertionError: The second does not come to its end, the first does not notice, or their results are wrong.
    """
    first = Process(run, job, "offsets_written", 3, signal.SIGSTOP)
    try:
        await first.is_frozen()
        # As a volume of a machine that is cut off comes up on another one.
        copy = job.directory.with_name(f"{job.directory.name}-copy")
        await asyncio.to_thread(shutil.copytree, job.directory / "store", copy / "store")
        second = await run_in_process(run, replace(job, directory=copy))
        first.thaw()
        ends = await first.end(), second
    finally:
        first.kill()
    assert ends == (1, 0), f"the frozen one ended with {ends[0]}, the other with {ends[1]}"
    await check(job, "frozen")


async def refused(place: Place, job: Job) -> None:
    """Run a job whose results the broker refuses until its topic is changed.

    Raises:
        AssertionError: It does not fail before, or does not come to its end behind that, or its results are wrong.
    """
    [output] = job.outputs
    assert isinstance(output, KafkaOutput)
    await place.kafka.configure(output.topic, {"max.message.bytes": "100"})
    first = await run_in_process(run, job)
    await place.kafka.configure(output.topic, {"max.message.bytes": "1000000"})
    last = await run_in_process(run, job)
    assert (first, last) == (1, 0), f"refused, it ended with {first}, and then with {last}"
    await check(job, "refused")


async def check(job: Job, when: str) -> None:
    """Compare what a job has given with what it was to give.

    Raises:
        AssertionError: Something is lost, doubled, out of order, or not the same in all outputs.
    """
    kind = KINDS[job.kind]
    found = [await output.read() for output in job.outputs]
    for rows in found:
        texts = without_random(rows)
        if not kind.ordered:
            texts = {key: sorted(of_key) for key, of_key in texts.items()}
        assert texts == kind.expected, when
    for rows in found[1:]:
        assert rows == found[0], f"{when}: the outputs differ"
