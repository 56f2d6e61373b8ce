"""`Batch`: the records of one micro-batch at one point of the plan, as columns of Python lists."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any, NamedTuple, Protocol

from streamproc.watermark import START_OF_TIME, Watermark, merge

__all__ = ["Batch", "Origin", "Origins", "Run", "Segment", "SegmentOrigins", "concat"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record came from: enough for an operator to find it again in its source."""

    source: str
    partition: str
    position: str

    def __str__(self) -> str:
        return f"{self.source} [{self.partition}] at {self.position}"


class Origins(Protocol):
    """One `Origin` per row of a batch; a source's own are computed only when asked for."""

    def __getitem__(self, index: int, /) -> Origin: ...

    def __iter__(self) -> Iterator[Origin]: ...


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of rows of a source batch that come from one partition, one after the other.

    Attributes:
        partition: The source's name for the partition: a Kafka topic and number, a file, ``"0"``.
        count: How many rows.
        first: The position of the first row, for error messages.
        step: What to add to ``first`` for each further row; zero where rows share a position or positions are text.
        positions: The position of each row, where there are gaps between them.
    """

    partition: str
    count: int
    first: int | str
    step: int = 1
    positions: Sequence[int] | None = None

    def position(self, row: int) -> str:
        """Return the position of a row of this segment, counted from zero, as text."""
        if self.positions is not None:
            return str(self.positions[row])
        if isinstance(self.first, int):
            return str(self.first + self.step * row)
        return f"{self.first} (+{row})" if row else self.first


@dataclass(frozen=True, slots=True)
class SegmentOrigins:
    """The origins of a source batch, computed from its segments when an error asks for them."""

    source: str
    segments: Sequence[Segment]

    def __getitem__(self, index: int) -> Origin:
        for segment in self.segments:
            if index < segment.count:
                return Origin(self.source, segment.partition, segment.position(index))
            index -= segment.count
        raise IndexError(index)

    def __iter__(self) -> Iterator[Origin]:
        for segment in self.segments:
            for row in range(segment.count):
                yield Origin(self.source, segment.partition, segment.position(row))


class Run(NamedTuple):
    """Rows of a batch, one after the other, that come from one partition of a source.

    Attributes:
        source: The operator name of the source.
        partition: Its name for the partition; empty where it doesn't tell partitions apart.
        rows: How many.
    """

    source: str
    partition: str
    rows: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as columns of equal length. Treated as immutable: several operators may read the same lists.

    Attributes:
        values: The records.
        keys: Their keys, on a keyed stream.
        timestamps: Their event times in epoch milliseconds; None where all have the batch's own time
            (`streamproc.engine.run.BatchRun.time`).
        origins: Where they came from. Known for free as long as rows map one to one to those of a source; behind
            an operator that drops or adds rows only when the batch is run with ``lineage`` (see
            `streamproc.engine.failures`).
        watermark: How far event time has come on this edge.
        runs: Which rows come from which partition, where ``event_time`` further down asks for it, and operators before
            it keep rows in their order; else None.
    """

    values: list[Any]
    keys: list[Any] | None = None
    timestamps: list[int] | None = None
    origins: Origins | None = None
    watermark: Watermark = field(default=Watermark(START_OF_TIME))
    runs: Sequence[Run] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def rows(self) -> list[Any]:
        """Return the elements as the user sees them: the values, or ``(key, value)`` pairs on a keyed stream."""
        return self.values if self.keys is None else list(zip(self.keys, self.values, strict=True))

    def times(self, time: int) -> list[int]:
        """Return the timestamp of each row: that of the batch where there is no column of them."""
        return [time] * len(self.values) if self.timestamps is None else self.timestamps

    def take(self, indices: Sequence[int], *, values: list[Any] | None = None) -> Batch:
        """Return the rows at some indices, in that order, with other values where ``values`` are given."""
        keys, timestamps, origins = self.keys, self.timestamps, self.origins
        return Batch(
            [self.values[i] for i in indices] if values is None else values,
            None if keys is None else [keys[i] for i in indices],
            None if timestamps is None else [timestamps[i] for i in indices],
            None if origins is None else [origins[i] for i in indices],
            self.watermark,
            None if self.runs is None else _runs_at(self.runs, indices),
        )


def concat(batches: Sequence[Batch], *, time: int) -> Batch:
    """Return the rows of several batches one after the other; the watermarks are merged.

    Args:
        batches: At least one.
        time: The timestamp of rows whose batch has no timestamp column, where others have one.
    """
    watermark = merge(batch.watermark for batch in batches)
    tracked = all(batch.runs is not None for batch in batches)
    filled = [batch for batch in batches if batch.values]
    if len(filled) <= 1:
        only = filled[0] if filled else batches[0]
        return Batch(only.values, only.keys, only.timestamps, only.origins, watermark, only.runs if tracked else None)
    keyed = any(batch.keys is not None for batch in filled)
    timed = any(batch.timestamps is not None for batch in filled)
    known = all(batch.origins is not None for batch in filled)
    return Batch(
        list(chain.from_iterable(batch.values for batch in filled)),
        list(chain.from_iterable(batch.keys or () for batch in filled)) if keyed else None,
        list(chain.from_iterable(batch.times(time) for batch in filled)) if timed else None,
        list(chain.from_iterable(batch.origins or () for batch in filled)) if known else None,
        watermark,
        list(chain.from_iterable(batch.runs or () for batch in filled)) if tracked else None,
    )


def _runs_at(runs: Sequence[Run], indices: Sequence[int]) -> Sequence[Run] | None:
    """Return the runs of the rows at some indices; None where these are not in order."""
    if len(runs) == 1:
        return [runs[0]._replace(rows=len(indices))]
    if any(earlier > later for earlier, later in pairwise(indices)):
        return None
    found: list[Run] = []
    end = taken = 0
    for run in runs:
        end += run.rows
        before, taken = taken, bisect_left(indices, end, taken)
        found.append(run._replace(rows=taken - before))
    return found
