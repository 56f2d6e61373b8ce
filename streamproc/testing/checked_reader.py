"""`CheckedReader`: one life of a source's reader, in which every call is held to the rules of the contract.

It knows which records must come, and compares them as they come: so a failure names the call that broke the rule.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from streamproc.codecs import Decoder
from streamproc.eventtime.clock import Clock
from streamproc.io.source import Limits, Position, SourceBatch, SourceReader
from streamproc.testing.clock import VirtualClock

__all__ = ["CheckedReader", "Expected", "Progress", "beside"]

_GRACE_SECONDS = 0.002
"""How long a reader may be busy with real input or output before the virtual clock moves on under it."""


@dataclass(slots=True)
class Progress:
    """How far a source was read: what the engine commits, and how many records of each partition lie before."""

    positions: dict[str, Position] = field(default_factory=dict[str, Position])
    counts: Counter[str] = field(default_factory=Counter[str])

    def copy(self) -> Progress:
        """Return what to go back to after a crash."""
        return Progress(dict(self.positions), Counter(self.counts))

    @property
    def total(self) -> int:
        """How many records were read, over all partitions."""
        return self.counts.total()


class Expected:
    """The records that must come, by partition.

    Args:
        records: By partition; or those of the only partition, whatever its name is.
    """

    def __init__(self, records: Sequence[Any] | Mapping[str, Sequence[Any]]) -> None:
        self._records = records
        self._only: str | None = None
        parts = records.values() if isinstance(records, Mapping) else (records,)
        self.total = sum(map(len, parts))

    def of(self, partition: str) -> Sequence[Any]:
        """Return the records of a partition."""
        if isinstance(self._records, Mapping):
            assert partition in self._records, (
                f"records came from partition {partition!r}, expected only partitions {sorted(self._records)}"
            )
            return self._records[partition]
        self._only = self._only or partition
        assert partition == self._only, (
            f"records came from the partitions {self._only!r} and {partition!r}: give the expected records of each as "
            f"a mapping from partition to records"
        )
        return self._records


class CheckedReader:
    """A reader under observation, started at some progress.

    Args:
        reader: What to observe.
        decoder: The source's decoder.
        expected: Which records must come.
        progress: Where the reader was started; moved on by `take`.
        clock: The reader's clock. A virtual one is moved whenever the reader waits for it.
        chunk: How many records the source can only give together.
        patience: How many real seconds any call may take.
    """

    def __init__(
        self,
        reader: SourceReader,
        decoder: Decoder[Any] | None,
        expected: Expected,
        progress: Progress,
        *,
        clock: Clock,
        chunk: int,
        patience: float,
    ) -> None:
        self.reader = reader
        self.progress = progress
        self._decoder = decoder
        self._expected = expected
        self._clock = clock
        self._chunk = chunk
        self._patience = patience

    async def take(self, limits: Limits) -> SourceBatch:
        """Take once, check everything about the batch, and return it."""
        try:
            async with asyncio.timeout(self._patience):
                batch = await self.reader.take(limits)
        except TimeoutError:
            raise AssertionError(
                f"take() did not return within {self._patience} s: it must give what is here now, possibly nothing"
            ) from None
        self._check_shape(batch)
        self._check_limits(batch, limits)
        values = batch.values if self._decoder is None else self._decoder.decode_many(batch.values)
        row = 0
        for segment in batch.segments:
            self._check_values(segment.partition, values[row : row + segment.count])
            row += segment.count
        for partition, position in batch.positions.items():
            if position is None:
                self.progress.positions.pop(partition, None)
            else:
                self.progress.positions[partition] = position
        return batch

    async def wait(self, *, cancel_first: bool = False) -> None:
        """Wait as the driver does, with the clock going on; at choice after a wait that is cancelled."""
        if cancel_first:
            async with beside(self.reader.wait()) as waiting:
                await asyncio.wait({waiting}, timeout=0)
        try:
            async with asyncio.timeout(self._patience), beside(self.reader.wait()) as waiting:
                while not (await asyncio.wait({waiting}, timeout=_GRACE_SECONDS))[0]:
                    self._move_clock()
                await waiting
        except TimeoutError:
            raise AssertionError(
                f"wait() did not return within {self._patience} s, after {self.progress.total} of "
                f"{self._expected.total} records and with finished={self.reader.finished}"
                + (" (before it, a wait was cancelled)" if cancel_first else "")
            ) from None

    async def read(self, random: Random, *, total: int | None) -> list[Progress]:
        """Read on in takes of various limits; return the progress before each take that gave records.

        Args:
            random: Decides on limits, and on waits that are cancelled.
            total: Stop when this many records were read since the first start; None when the reader has finished.
        """
        passed: list[Progress] = []
        promised = False
        while self.progress.total < total if total is not None else not self.reader.finished:
            before = self.progress.copy()
            batch = await self.take(random_limits(random))
            if batch.values:
                passed.append(before)
                promised = False
            elif not self.reader.finished:
                assert not promised, "wait() returned, but take() had no record and finished was false"
                await self.wait(cancel_first=random.random() < 0.5)
                promised = True
            if total is not None:
                self._check_not_finished_early()
        return passed

    async def read_around(self, random: Random) -> None:
        """Read all; if partitions are told apart, one of them only when the others have given everything.

        What is paused may only be seen to be left out: no record of it comes, and ``wait`` doesn't return for it.
        """
        told = (await self.take(Limits(1, 1))).caught_up
        if told is not None and len(told) > 1:
            paused = random.choice(sorted(told))
            self.reader.pause([paused])
            before = self.progress.counts[paused]
            while self.progress.total - before < self._expected.total - len(self._expected.of(paused)):
                if not (await self.take(random_limits(random))).values:
                    await self.wait()
            assert self.progress.counts[paused] == before, f"partition {paused!r} was paused and gave records"
            self.reader.pause([])
        await self.read(random, total=self._expected.total)

    async def check_end(self) -> None:
        """Check, when all has come, that nothing more comes, and that finished, if it is true, stays so."""
        finished = self.reader.finished
        await self.take(Limits(1 << 20, 1 << 30))
        if finished:
            await self.wait()
            assert self.reader.finished, "finished was true and became false: once true it must stay so"
            return
        async with beside(self.reader.wait()) as waiting:
            if (await asyncio.wait({waiting}, timeout=_GRACE_SECONDS))[0]:
                await waiting
                assert self.reader.finished, "wait() returned, but there is no record any more and finished is false"

    def _check_not_finished_early(self) -> None:
        if self.reader.finished:
            assert self.progress.total == self._expected.total, (
                f"finished is true after {self.progress.total} of {self._expected.total} records"
            )

    def _check_shape(self, batch: SourceBatch) -> None:
        rows = sum(segment.count for segment in batch.segments)
        assert rows == len(batch.values), (
            f"the segments' counts add up to {rows}, but there are {len(batch.values)} values: {batch.segments}"
        )
        assert batch.timestamps is None or len(batch.timestamps) == len(batch.values), (
            f"there are {len(batch.timestamps or ())} timestamps for {len(batch.values)} values"
        )
        assert batch.values or not batch.more, (
            "take() gave no record and said that there is more: the driver would take again at once, for ever"
        )
        known = batch.caught_up
        for segment in batch.segments:
            assert known is None or segment.partition in known, (
                f"partition {segment.partition!r} gave records but is not in caught_up: {known}"
            )
        unplaced = {segment.partition for segment in batch.segments} - batch.positions.keys()
        assert not unplaced, f"partitions {sorted(unplaced)} gave records but no position to go on at"

    def _check_limits(self, batch: SourceBatch, limits: Limits) -> None:
        count = len(batch.values)
        assert count <= max(limits.records, self._chunk), (
            f"take() gave {count} records with a limit of {limits.records}"
        )
        if self._decoder is not None and count > self._chunk:
            size = sum(map(len, batch.values))
            assert size <= limits.bytes, (
                f"take() gave {count} records of {size} bytes with a limit of {limits.bytes}; only the first record "
                f"of a batch may pass it"
            )

    def _check_values(self, partition: str, values: list[Any]) -> None:
        first = self.progress.counts[partition]
        expected = self._expected.of(partition)[first : first + len(values)]
        for number, (value, right) in enumerate(zip(values, expected, strict=False), first):
            assert value == right, (
                f"record {number} of partition {partition!r} is {value!r}, expected {right!r} (a record was lost, "
                f"doubled or moved)"
            )
        assert len(values) == len(expected), (
            f"partition {partition!r} gave more than its {first + len(expected)} records, the first of them "
            f"{values[len(expected)]!r}"
        )
        self.progress.counts[partition] += len(values)

    def _move_clock(self) -> None:
        if isinstance(self._clock, VirtualClock) and (wakeup := self._clock.next_wakeup()) is not None:
            self._clock.advance_to(wakeup)


def random_limits(random: Random) -> Limits:
    """Return limits of a take: small, middle or without effect, each of the two on its own."""
    return Limits(random.choice((1, 2, 3, 10, 1 << 20)), random.choice((1, 20, 200, 1 << 30)))


@asynccontextmanager
async def beside(work: Awaitable[Any]) -> AsyncGenerator[asyncio.Future[Any], None]:
    """Run something beside the block, and cancel it behind."""
    # No `TaskGroup`: it would wrap the error of the block in a group.
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
