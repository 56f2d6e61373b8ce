"""Runs an app as its user does, ``app.run()`` with RocksDB state, over lists in memory, and times it."""

from __future__ import annotations

import gc
import logging
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from streamproc import App, Asap, Once, Settings, Stream
from streamproc.codecs import Decoder
from streamproc.connectors.memory import MemorySource
from streamproc.connectors.memory.queue import MemoryQueue, Waiters
from streamproc.connectors.memory.source import MemoryReader
from streamproc.io.source import Position, SourceContext, SourceReader
from streamproc.metrics import BatchTimes, JobMetrics

__all__ = ["Spent", "Stopwatch", "run_lists"]


@dataclass(frozen=True, slots=True)
class Spent:
    """What a piece of work took.

    Attributes:
        wall: Seconds that passed.
        cpu: Seconds of processor time, of all threads of the process.
        metrics: What the engine counted.
        batches: The times of its batches.
    """

    wall: float
    cpu: float
    metrics: JobMetrics = field(default_factory=JobMetrics)
    batches: Sequence[BatchTimes] = ()


class Stopwatch:
    """Takes wall and processor time from its making on."""

    def __init__(self) -> None:
        gc.collect()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> Spent:
        """Return what was spent so far."""
        return Spent(time.perf_counter() - self._wall, time.process_time() - self._cpu)


class _Run:
    """Times one run of an app, from the moment that its source is open until it is closed."""

    def __init__(self) -> None:
        self.app: App | None = None
        self.spent = Spent(0, 0)
        self._watch: Stopwatch | None = None

    def begin(self) -> None:
        assert self.app is not None
        # All batches, not the last hundred.
        self.app.metrics.recent = deque()
        self._watch = Stopwatch()

    def end(self) -> None:
        assert self.app is not None
        if self._watch is not None:
            metrics = self.app.metrics
            self.spent = replace(self._watch.read(), metrics=metrics, batches=list(metrics.recent))


@dataclass(frozen=True, eq=False)
class _TimedSource(MemorySource[Any]):
    """A `MemorySource` that times the run."""

    run: _Run = field(default_factory=_Run, init=False)

    def open(self, context: SourceContext) -> SourceReader:
        return _TimedReader(context.name, self.queues, self.waiters, sized=self.decode is not None, run=self.run)


class _TimedReader(MemoryReader):
    def __init__(
        self, name: str, queues: Mapping[str, MemoryQueue[Any]], waiters: Waiters, *, sized: bool, run: _Run
    ) -> None:
        super().__init__(name, queues, waiters, sized=sized)
        self._run = run

    async def start(self, positions: Mapping[str, Position]) -> None:
        await super().start(positions)
        self._run.begin()

    async def close(self) -> None:
        self._run.end()
        await super().close()


def run_lists(
    build: Callable[[Stream[Any]], object],
    lists: Sequence[Sequence[Any]],
    *,
    decode: Decoder[Any] | None = None,
    state: Path | None = None,
    close: bool = True,
) -> Spent:
    """Run a pipeline over lists of records, a batch each, as soon as possible, on a new RocksDB.

    The time is that from the first batch to the end: it includes the commit of each batch and that of the graceful
    stop, and not the opening of the store.

    Args:
        build: Gets the stream of the records and ends in an output.
        lists: The records.
        decode: Decodes the records, if they are bytes.
        close: Whether the input ends, and time with it; else windows stay open.
        state: The directory in which to make the one for the state; None for the system's temporary one.
    """
    quiet = logging.NullHandler()
    logging.getLogger().addHandler(quiet)
    with tempfile.TemporaryDirectory(prefix="streamproc-bench-", dir=state) as directory:
        app = App("bench", trigger=Asap() if close else Once(), settings=Settings(state_dir=directory))
        source = _TimedSource(lists, decode=decode)
        if close:
            source.close()
        source.run.app = app
        build(app.source(source))
        try:
            app.run()
        finally:
            # Each run is to find the collector as the first one did.
            gc.unfreeze()
            logging.getLogger().removeHandler(quiet)
        return source.run.spent
