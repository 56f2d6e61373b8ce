"""A job that kills itself at a step, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamproc import App, Interval, Settings
from streamproc.connectors.kafka import KafkaSource
from streamproc.engine.shard import Shard
from streamproc.state.ledger import Identity, Ledger
from streamproc.state.rocksdb import RocksStore
from streamproc.state.store import Family
from tests.kafka.kills.kinds import KINDS, MAX_RECORDS, RECORDS
from tests.kafka.kills.mutants import MUTANTS, on_step
from tests.kafka.kills.outputs import Output

__all__ = ["Job", "run"]


@dataclass(frozen=True, slots=True)
class Job:
    """What to run.

    Attributes:
        kind: A kind of batch, by its name.
        bootstrap: Where the input is.
        topic: The input.
        outputs: Where the results go.
        directory: For the state.
        mutant: How the protocol is broken, by name; empty if it isn't.
    """

    kind: str
    bootstrap: str
    topic: str
    outputs: Sequence[Output]
    directory: Path
    mutant: str = ""

    @property
    def name(self) -> str:
        """The app's name, which no other job has: its topic's name is in it."""
        return f"app-{self.topic}"


def run(job: Job, step: str = "", occurrence: int = 1, sent: int = signal.SIGKILL) -> None:
    """Run a job to its end, or until it reaches a step for the n-th time and sends itself a signal."""
    if job.mutant:
        MUTANTS[job.mutant].apply()
    asyncio.run(_run(job, step, occurrence, sent))


async def _run(job: Job, send_at: str, occurrence: int, sent: int) -> None:
    kind = KINDS[job.kind]
    app = App(job.name, trigger=kind.trigger, settings=Settings(state_dir=str(job.directory), max_records=MAX_RECORDS))
    source = KafkaSource(job.topic, value=str, kafka={"bootstrap.servers": job.bootstrap})
    results = kind.build(app.source(source, name="in").map(int))
    for number, output in enumerate(job.outputs):
        results.to(output.sink(), name=f"out-{number}")
    store = RocksStore.open(job.directory / "store")
    reached = 0

    def step(name: str, /) -> None:
        nonlocal reached
        if name == send_at:
            reached += 1
            if reached == occurrence:
                os.kill(os.getpid(), sent)
        if name == "before_take" and is_complete():
            shard.stop()

    on_step.append(step)
    is_complete = _completion(job, store) if isinstance(kind.trigger, Interval) else _never
    try:
        shard: Shard = app.make_shard(store, where=str(job.directory), step=step)
        await app.run_shard(shard)
    finally:
        store.close()


def _never() -> bool:
    return False


def _completion(job: Job, store: RocksStore) -> Callable[[], bool]:
    """Return whether all input is committed, and no timer is set."""
    identity = Identity(job.name, 0, 1)

    def is_complete() -> bool:
        positions = Ledger.open(store, identity).positions("in").values()
        if sum(position for position in positions if isinstance(position, int)) < RECORDS:
            return False
        return next(iter(store.scan(Family.TIMERS)), None) is None

    return is_complete
