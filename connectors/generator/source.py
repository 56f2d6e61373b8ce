"""`GeneratorSource`: records made by a function of their number and a seeded random generator."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from streamproc.batch import Segment
from streamproc.errors import PipelineError, SourceError
from streamproc.io.source import Limits, Position, Source, SourceBatch, SourceContext, SourceReader

from .schedule import Schedule

__all__ = ["GeneratorReader", "GeneratorSource"]

T = TypeVar("T")


@dataclass(frozen=True)
class GeneratorSource(Source[T]):
    """A source that makes up records at a constant rate, for demos, load tests and benchmarks.

    Record ``i`` depends on the seed and on ``i`` only, so a job that crashed gets the same records again. For that, the
    random generator is seeded anew for each record, which costs about 6 µs; a function that needs none of it pays too.

    Record 0 is due when the source starts. After a restart it goes on from the committed position at the same rate: the
    time that the job was down is not made up for.

    Attributes:
        fn: Makes a record from its number and a random generator, which is valid during the call only.
        rate: Records per second, over all partitions; `math.inf` for as fast as they are read.
        seed: Another seed gives other records.
        limit: How many records there are; None for no end.
        partitions: Record ``i`` is in partition ``i % partitions``. To be kept the same over restarts.

    Example:
        >>> clicks = GeneratorSource(lambda i, rng: (rng.choice(["ann", "bob"]), i), rate=100, limit=1_000)
    """

    fn: Callable[[int, Random], T]
    rate: float
    seed: int = 0
    limit: int | None = None
    partitions: int = 1

    def __post_init__(self) -> None:
        for setting, value, ok, expected in (
            ("rate", self.rate, self.rate > 0, "more than zero"),
            ("limit", self.limit, self.limit is None or self.limit >= 0, "None, or zero or more"),
            ("partitions", self.partitions, self.partitions >= 1, "1 or more"),
        ):
            if not ok:
                raise PipelineError(f"GeneratorSource: {setting} is {value}, expected {expected}")

    @property
    def decoder(self) -> None:
        """None: the records are finished values."""
        return None

    def open(self, context: SourceContext) -> SourceReader:
        """Make the reader for one shard."""
        return GeneratorReader(self, context)


class GeneratorReader(SourceReader):
    """Makes the records of one shard's partitions; a position is the number of the next record.

    Args:
        source: The definition.
        context: What the engine gives.
    """

    def __init__(self, source: GeneratorSource[Any], context: SourceContext) -> None:
        self._source = source
        self._name = context.name
        self._clock = context.clock
        self._next = {p: p for p in range(source.partitions) if p % context.shards == context.shard}
        self._end: float = math.inf if source.limit is None else source.limit
        self._schedule = Schedule(source.rate, 0, 0)
        self._paused: frozenset[str] = frozenset()
        self._random = Random()  # noqa: S311  # made-up records, no secrets

    async def start(self, positions: Mapping[str, Position]) -> None:
        """Go to the committed positions; what is due is counted from now."""
        for name, position in positions.items():
            partition, record = self._place(name, position)
            self._next[partition] = record
        self._schedule = Schedule(self._source.rate, self._clock.now(), min(self._next.values(), default=0))

    async def take(self, limits: Limits) -> SourceBatch:
        """Return the records that are due, evenly from the partitions; their size in bytes is not known."""
        values: list[Any] = []
        segments: list[Segment] = []
        positions: dict[str, Position | None] = {}
        step, due = self._source.partitions, self._due()
        # The furthest behind first, with a share that is rounded up: so none starves when there is always too much.
        going_on = [item for item in self._next.items() if str(item[0]) not in self._paused]
        behind_first = sorted(going_on, key=lambda item: item[1])
        for done, (partition, first) in enumerate(behind_first):
            share = -(-(limits.records - len(values)) // (len(behind_first) - done))
            records = range(first, due, step)[:share]
            if not records:
                continue
            values += map(self._make, records)
            segments.append(Segment(str(partition), len(records), first, step))
            self._next[partition] = positions[str(partition)] = records[-1] + step
        more = any(self._next[partition] < due for partition, _ in going_on)
        caught_up = {str(partition): record >= due for partition, record in self._next.items()}
        return SourceBatch(values, segments, positions, more=more, caught_up=caught_up)

    async def wait(self) -> None:
        """Return once a record is due, or there will be none any more."""
        if self.finished:
            return
        going_on = [
            record
            for partition, record in self._next.items()
            if record < self._end and str(partition) not in self._paused
        ]
        if not going_on:
            await asyncio.get_running_loop().create_future()
        await self._clock.sleep_until(self._schedule.when(min(going_on)))

    def pause(self, partitions: Collection[str]) -> None:
        """Make no records of some partitions; they come when it is over."""
        self._paused = frozenset(partitions)

    @property
    def finished(self) -> bool:
        """Whether all records were taken."""
        return all(record >= self._end for record in self._next.values())

    @property
    def bounded(self) -> bool:
        """Whether there is a limit, and `bound` has not cut the records off before it."""
        return self._end == self._source.limit

    async def bound(self) -> None:
        """Make no records but those that are due now.

        Raises:
            SourceError: With an infinite rate and no limit, that would be infinitely many.
        """
        if math.isinf(self._source.rate) and self._source.limit is None:
            raise SourceError(
                f"generator source {self._name!r} has neither a rate nor a limit, so it can't be read to its end: "
                f"give it a limit, or use a trigger that goes on"
            )
        self._end = self._due()

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _due(self) -> int:
        return int(min(self._schedule.due(self._clock.now()), self._end))

    def _make(self, record: int) -> Any:
        # The seed in the upper bits: no two records of any seeds share a state. `Random` drops the sign of its seed.
        self._random.seed((self._source.seed % (1 << 64)) << 64 | record)
        try:
            return self._source.fn(record, self._random)
        except Exception as error:
            raise SourceError(f"generator source {self._name!r}: its function failed on record {record}") from error

    def _place(self, name: str, position: Position) -> tuple[int, int]:
        """Return the partition and the record that a committed position means."""
        partition = int(name) if name.isdecimal() else -1
        record = position if isinstance(position, int) else -1
        if partition in self._next and record >= 0 and record % self._source.partitions == partition:
            return partition, record
        raise SourceError(
            f"generator source {self._name!r} has no record {position!r} in partition {name!r}, where it is to go on: "
            f"partitions={self._source.partitions} must be the same as when the position was committed"
        )
