"""`Load`: a job from Kafka to Kafka under load: what writes its input, the job itself, and what reads its results.

The job counts numbers by their last digit. Numbers are written all the time, and the reader compares each record with
the only one that may come next for its key: a lost one, a doubled one and one out of order all show at once.
"""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition  # type: ignore[import-untyped]

from streamproc import App, Asap, Settings
from streamproc.connectors.kafka import KafkaSink, KafkaSource
from streamproc.eventtime.clock import SystemClock
from streamproc.state.rocksdb import RocksStore
from tests.kafka.client import Kafka
from tests.kafka.kills.kinds import KEYS, KINDS
from tests.kafka.kills.processes import Process

__all__ = ["EndlessJob", "Load", "Reader", "quiet_plain_clients"]

_STARTING = "(starting)"
"""The step of a job that has reached none."""
_STEP_LENGTH = 40
_PARTITIONS = 2
_CHUNK = 5
"""How many numbers are written at a time."""
_EVERY_MS = 2
_STALLED_SECONDS = 150
"""Without a new result for so long, records are lost."""


def quiet_plain_clients() -> None:
    """Have the plain clients in this process log nothing; jobs log in theirs.

    The consumer logs thousands of lines a second while there is no broker.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class EndlessJob:
    """A job that runs until it is told to stop.

    Attributes:
        bootstrap: The cluster.
        topic_in: Where numbers come from.
        topic_out: Where counts go.
        directory: For its state.
        transaction_timeout: As of `KafkaSink`.
        freeze_at: The step at which it stops itself by SIGSTOP, the third time it gets there; none if empty.
    """

    bootstrap: str
    topic_in: str
    topic_out: str
    directory: Path
    transaction_timeout: str = "60s"
    freeze_at: str = ""

    @property
    def name(self) -> str:
        """The app's name."""
        return f"app-{self.topic_in}"

    @property
    def step(self) -> str:
        """The last step that it has reached."""
        return self._step_file.read_bytes().decode().strip()

    @property
    def _step_file(self) -> Path:
        return self.directory / "step"

    def start(self) -> Process:
        """Start it in a process of its own."""
        self.directory.mkdir(exist_ok=True)
        self._step_file.write_bytes(_STARTING.encode().ljust(_STEP_LENGTH))
        return Process(self.run)

    def run(self) -> None:
        """Run it until SIGTERM."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        kafka = {"bootstrap.servers": self.bootstrap}
        app = App(self.name, trigger=Asap(), settings=Settings(state_dir=str(self.directory)))
        numbers = app.source(KafkaSource(self.topic_in, value=str, kafka=kafka)).map(int)
        sink = KafkaSink[tuple[int, str]](self.topic_out, kafka=kafka, transaction_timeout=self.transaction_timeout)
        KINDS["keyed state"].build(numbers).to(sink)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, app.stop)
        with self._step_file.open("r+b") as file, mmap.mmap(file.fileno(), _STEP_LENGTH) as step_now:
            reached = 0

            def step(name: str, /) -> None:
                nonlocal reached
                step_now[:] = name.encode().ljust(_STEP_LENGTH)
                if name == self.freeze_at:
                    reached += 1
                    if reached == 3:
                        os.kill(os.getpid(), signal.SIGSTOP)

            store = RocksStore.open(self.directory / "store")
            try:
                await app.run_shard(app.make_shard(store, where=str(self.directory), step=step))
            finally:
                store.close()


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
                self.check(record.key or b"", record.value or b"")

    def check(self, key: bytes, value: bytes) -> None:
        """Compare a record with what must come for its key."""
        digit = int(key)
        expected = f"{self.seen[digit] * KEYS + digit} {self.seen[digit]}"
        found = value.decode().rpartition(" ")[0]
        self.seen[digit] += 1
        if found != expected and len(self.wrong) < 10:
            self.wrong.append(f"key {digit}: {found} where {expected} must come")


class Load:
    """A job under load; made by `on`."""

    def __init__(self, kafka: Kafka, job: EndlessJob) -> None:
        self.kafka = kafka
        self.job = job
        self.reader = Reader(job.topic_out)
        self.written = 0
        """How many numbers are written."""
        self._enough = asyncio.Event()
        self._clock = SystemClock()

    @classmethod
    @asynccontextmanager
    async def on(cls, kafka: Kafka, directory: Path, *, transaction_timeout: str = "60s") -> AsyncGenerator[Load]:
        """Write and read all the time, on new topics; the job is up to who calls.

        Args:
            kafka: Where.
            directory: For the job's state.
            transaction_timeout: As of `KafkaSink`.
        """
        topic_in = await kafka.create_topic("in", partitions=_PARTITIONS)
        topic_out = await kafka.create_topic("out", partitions=_PARTITIONS)
        load = cls(kafka, EndlessJob(kafka.bootstrap, topic_in, topic_out, directory, transaction_timeout))
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(load.reader.run(kafka)), tasks.create_task(load._write())]
            try:
                yield load
            finally:
                for task in background:
                    task.cancel()

    def variant(self, directory: Path | None = None, *, freeze_at: str = "") -> EndlessJob:
        """Return the same job elsewhere, or with a step to freeze at."""
        return replace(self.job, directory=directory or self.job.directory, freeze_at=freeze_at)

    @asynccontextmanager
    async def running(self, job: EndlessJob) -> AsyncGenerator[Process]:
        """Start a job; in the end it is killed if it runs."""
        process = job.start()
        try:
            yield process
        finally:
            process.kill()

    async def goes_on(self, records: int = 100) -> None:
        """Return once further results have come.

        Raises:
            AssertionError: They don't, or one is wrong.
        """
        goal = self.reader.total + records
        await self.until(lambda: self.reader.total >= goal, "results come")
        assert not self.reader.wrong, self.reader.wrong

    async def ends(self, process: Process, job: EndlessJob | None = None) -> None:
        """Write nothing more, wait until all results have come, and stop the job.

        Args:
            process: Its process.
            job: The job, if it is a variant.

        Raises:
            AssertionError: Results are lost or wrong, the job doesn't stop as it should, or its group lags.
        """
        # From its first step on it can be asked to stop.
        await self.until(lambda: (job or self.job).step != _STARTING or not process.is_alive, "the job starts")
        self._enough.set()
        await self.until(lambda: self.reader.total >= self.written, "all results come")
        assert not self.reader.wrong, self.reader.wrong
        process.terminate()
        code = await process.end()
        assert code == 0, f"told to stop, the job ended with {code}"
        assert self.reader.total == self.written, f"{self.reader.total} results of {self.written} numbers"
        offsets = await self.kafka.group_offsets(self.job.name, self.job.topic_in)
        assert sum(offsets.values()) == self.written, (
            f"the group is at {offsets}, and {self.written} numbers are written"
        )

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something holds.

        Raises:
            AssertionError: It doesn't, and no results come; or one is wrong.
        """
        seen, since = self.reader.total, self._clock.monotonic()
        while not condition():
            assert not self.reader.wrong, self.reader.wrong
            if self.reader.total != seen:
                seen, since = self.reader.total, self._clock.monotonic()
            waited = self._clock.monotonic() - since
            assert waited < _STALLED_SECONDS, f"waited {waited:.0f} s until {what}; {seen} results of {self.written}"
            await self._clock.sleep_until(self._clock.now() + 10)

    async def _write(self) -> None:
        """Write numbers from 0 on, each to the partition of its key."""
        async with AIOKafkaProducer(
            bootstrap_servers=self.kafka.bootstrap,
            enable_idempotence=True,
            linger_ms=1,
            # It must outlive what is done to brokers.
            request_timeout_ms=_STALLED_SECONDS * 1000,
        ) as producer:
            while not self._enough.is_set():
                sent = [
                    await producer.send(self.job.topic_in, b"%d" % number, partition=number % _PARTITIONS)
                    for number in range(self.written, self.written + _CHUNK)
                ]
                # Counted before they are acknowledged: results may come earlier than that.
                self.written += _CHUNK
                for future in sent:
                    await future
                await self._clock.sleep_until(self._clock.now() + _EVERY_MS)
