"""Kills a job from Kafka to Kafka at random times, while a plain consumer reads what it publishes.

``python -m tests.kafka.chaos --kills 2000 --seed 1``

The job counts numbers by their last digit. Numbers are written all the time, and the reader compares each record with
the only one that may come next for its key: a lost one, a doubled one and one out of order all show at once.
"""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import mmap
import random
import secrets
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition  # type: ignore[import-untyped]

from streamproc import App, Asap, Settings
from streamproc.connectors.kafka import KafkaSink, KafkaSource
from streamproc.eventtime.clock import SystemClock
from streamproc.state.rocksdb import RocksStore
from tests.kafka.client import Kafka
from tests.kafka.cluster import Cluster
from tests.kafka.kills.kinds import KEYS, KINDS
from tests.kafka.kills.processes import Process
from tests.kafka.program import Program

__all__ = ["Endless", "Reader", "Trial", "run_endless", "start", "write_numbers"]

_PARTITIONS = 2
_CHUNK = 5
"""How many numbers are written at a time."""
_EVERY_MS = 2
_LIFE = (0.0, 0.9)
"""How long the job lives before it is killed, in seconds: from before it has connected to some dozen batches."""
_STALLED_SECONDS = 120
_STEP_LENGTH = 40
_STARTING = "(starting)"


@dataclass(frozen=True, slots=True)
class Endless:
    """A job that runs until it is told to stop.

    Attributes:
        bootstrap: The cluster.
        topic_in: Where numbers come from.
        topic_out: Where counts go.
        directory: For its state.
    """

    bootstrap: str
    topic_in: str
    topic_out: str
    directory: Path

    @property
    def name(self) -> str:
        """The app's name."""
        return f"app-{self.topic_in}"

    @property
    def step_file(self) -> Path:
        """Where it writes the last step that it has reached."""
        return self.directory / "step"

    @property
    def step(self) -> str:
        """The last step that it has reached."""
        return self.step_file.read_bytes().decode().strip()


def start(job: Endless) -> Process:
    """Start the job in a process of its own."""
    job.step_file.write_bytes(_STARTING.encode().ljust(_STEP_LENGTH))
    return Process(run_endless, job)


def run_endless(job: Endless) -> None:
    """Run the job until SIGTERM."""
    asyncio.run(_serve(job))


async def _serve(job: Endless) -> None:
    kafka = {"bootstrap.servers": job.bootstrap}
    app = App(job.name, trigger=Asap(), settings=Settings(state_dir=str(job.directory)))
    numbers = app.source(KafkaSource(job.topic_in, value=str, kafka=kafka)).map(int)
    KINDS["keyed state"].build(numbers).to(KafkaSink(job.topic_out, kafka=kafka))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, app.stop)
    with job.step_file.open("r+b") as file, mmap.mmap(file.fileno(), _STEP_LENGTH) as step_now:

        def step(name: str, /) -> None:
            step_now[:] = name.encode().ljust(_STEP_LENGTH)

        store = RocksStore.open(job.directory / "store")
        try:
            await app.run_shard(app.make_shard(store, where=str(job.directory), step=step))
        finally:
            store.close()


async def write_numbers(kafka: Kafka, topic: str, until: asyncio.Event) -> int:
    """Write numbers from 0 on, each to the partition of its key, until told to stop; return how many there are."""
    clock = SystemClock()
    count = 0
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, enable_idempotence=True, linger_ms=1) as producer:
        while not until.is_set():
            sent = [
                await producer.send(topic, b"%d" % number, partition=number % _PARTITIONS)
                for number in range(count, count + _CHUNK)
            ]
            for future in sent:
                await future
            count += _CHUNK
            await clock.sleep_until(clock.now() + _EVERY_MS)
    return count


@dataclass
class Reader:
    """Reads what a job publishes, and compares each record with what must come.

    Attributes:
        topic: What it reads.
        seen: How many records have come for each key.
        wrong: The first records that were not what must come.
    """

    topic: str
    seen: list[int] = field(default_factory=lambda: [0] * KEYS)
    wrong: list[str] = field(default_factory=list[str])

    @property
    def total(self) -> int:
        """How many records have come."""
        return sum(self.seen)

    async def run(self, kafka: Kafka) -> None:
        """Read until cancelled."""
        async with AIOKafkaConsumer(
            bootstrap_servers=kafka.bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        ) as consumer:
            consumer.assign([TopicPartition(self.topic, number) for number in range(_PARTITIONS)])
            async for record in consumer:
                self.check(record.key, record.value)

    def check(self, key: bytes, value: bytes) -> None:
        """Compare a record with what must come for its key."""
        digit = int(key)
        expected = f"{self.seen[digit] * KEYS + digit} {self.seen[digit]}"
        found = value.decode().rpartition(" ")[0]
        self.seen[digit] += 1
        if found != expected and len(self.wrong) < 10:
            self.wrong.append(f"key {digit}: {found} where {expected} must come")


@dataclass
class Trial:
    """Kills a job again and again.

    Attributes:
        kills: How often.
        seed: Chooses the moments.
    """

    kills: int
    seed: int
    steps: Counter[str] = field(default_factory=Counter[str])

    async def run(self, kafka: Kafka, directory: Path) -> Reader:
        """Run it, and return the reader when it has read everything that was written, or something is wrong."""
        rng = random.Random(self.seed)
        clock = SystemClock()
        topic_in = await kafka.create_topic("in", partitions=_PARTITIONS)
        topic_out = await kafka.create_topic("out", partitions=_PARTITIONS)
        job = Endless(kafka.bootstrap, topic_in, topic_out, directory)
        reader = Reader(topic_out)
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(reader.run(kafka))
            writing = tasks.create_task(write_numbers(kafka, topic_in, enough))
            for number in range(self.kills):
                process = start(job)
                await clock.sleep_until(clock.now() + round(rng.uniform(*_LIFE) * 1000))
                assert process.is_alive, f"the job ended by itself before kill {number + 1}"
                process.kill()
                self.steps[job.step] += 1
                if reader.wrong:
                    break
                if (number + 1) % 100 == 0:
                    print(f"  {number + 1} kills, {reader.total:,} records read", flush=True)
            process = start(job)
            try:
                async with asyncio.timeout(_STALLED_SECONDS):
                    # From here on it can be asked to stop.
                    while job.step == _STARTING and process.is_alive:
                        await clock.sleep_until(clock.now() + 10)
                enough.set()
                count = await writing
                await self._until_all_is_read(reader, count)
                process.terminate()
                code = await process.end()
                assert code == 0, f"told to stop, the job ended with {code}"
            finally:
                process.kill()
                reading.cancel()
        lag = count - sum((await kafka.group_offsets(job.name, topic_in)).values())
        if lag:
            reader.wrong.append(f"the group lags by {lag} records at the end")
        return reader

    async def _until_all_is_read(self, reader: Reader, count: int) -> None:
        clock = SystemClock()
        seen, since = reader.total, clock.monotonic()
        while reader.total < count and not reader.wrong:
            if reader.total != seen:
                seen, since = reader.total, clock.monotonic()
            elif clock.monotonic() - since > _STALLED_SECONDS:
                reader.wrong.append(f"{count - seen} records have not come")
            await clock.sleep_until(clock.now() + 50)


def main(
    kills: Annotated[int, typer.Option(min=1, help="How often to kill the job.")] = 2_000,
    seed: Annotated[int | None, typer.Option(help="Chooses the moments; any by default.")] = None,
) -> None:
    """Kill a job from Kafka to Kafka at random times."""
    clock = SystemClock()
    begin = clock.monotonic()
    trial = Trial(kills, secrets.randbelow(1_000_000) if seed is None else seed)
    print(f"kafka: {kills} kills, seed {trial.seed} ...", flush=True)
    with Cluster.running(Program.find()) as cluster, tempfile.TemporaryDirectory() as directory:
        reader = asyncio.run(trial.run(cluster.kafka, Path(directory)))
    print(f"  {trial.steps.total()} kills in {clock.monotonic() - begin:.0f} s; the last step of the job was")
    for step, times in trial.steps.most_common():
        print(f"    {times:>5} {step}")
    for problem in reader.wrong:
        print(f"  WRONG: {problem}")
    print(f"  {reader.total:,} records: {'FAILED' if reader.wrong else 'none lost, none doubled, all in order'}")
    sys.exit(1 if reader.wrong else 0)


if __name__ == "__main__":
    program = typer.Typer(pretty_exceptions_enable=False)
    program.command()(main)
    program()
