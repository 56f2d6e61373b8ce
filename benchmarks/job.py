"""Runs an app on the real engine with RocksDB state, and times it."""

from __future__ import annotations

import asyncio
import gc
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import uvloop

from streamproc import App
from streamproc.connectors.memory import MemorySource
from streamproc.metrics import BatchTimes, JobMetrics
from streamproc.state.rocksdb import RocksStore
from streamproc.state.store import StateStore

__all__ = ["Spent", "Stopwatch", "run_lists"]


@dataclass(frozen=True, slots=True)
class Spent:
    """What a piece of work took.

    Attributes:
        wall: Seconds that passed.
        cpu: Seconds of processor time, of all threads of the process.
        metrics: What the engine counted, if it ran.
        batches: The times of all its batches.
    """

    wall: float
    cpu: float
    metrics: JobMetrics | None = None
    batches: Sequence[BatchTimes] = ()


class Stopwatch:
    """Takes wall and processor time from its making on."""

    def __init__(self) -> None:
        gc.collect()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self, metrics: JobMetrics | None = None, batches: Sequence[BatchTimes] = ()) -> Spent:
        """Return what was spent so far."""
        return Spent(time.perf_counter() - self._wall, time.process_time() - self._cpu, metrics, batches)


def run_lists(
    app: App,
    source: MemorySource[Any],
    lists: Sequence[Sequence[Any]],
    *,
    wrap: Callable[[StateStore], StateStore] = lambda store: store,
) -> Spent:
    """Run an app over lists of records, a batch each, on a new RocksDB; time it from the first record to the last.

    Opening the store is not counted, the commit of each batch is, and that of the graceful stop.

    Args:
        app: The app, with ``source`` as its only source and the trigger `Asap`.
        source: Empty and open.
        lists: What to send.
        wrap: Puts something around the store, to count or to change what it does.
    """

    async def drive() -> Spent:
        with tempfile.TemporaryDirectory(prefix="streamproc-bench-") as directory:
            store = RocksStore.open(directory)
            try:
                shard = app.make_shard(wrap(store), where=directory)
                shard.metrics.recent = type(shard.metrics.recent)(maxlen=None)
                serving = asyncio.create_task(app.run_shard(shard))
                await shard.ready.wait()
                watch = Stopwatch()
                source.send_many(lists)
                source.close()
                await serving
                return watch.read(shard.metrics, list(shard.metrics.recent))
            finally:
                store.close()

    logging.getLogger("streamproc").setLevel(logging.WARNING)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(drive())
