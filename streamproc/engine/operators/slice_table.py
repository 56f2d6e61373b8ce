"""The slices of a window operator: accumulators by slice and key, and which slices there are.

State layout, under the operator's name:

    slices   (slice start, key) -> accumulator
    starts   slice start -> 1, for each slice that holds something
    through  -> the watermark up to which windows have been given out

Slice first, key second: the content of a window is one range, and so is what can be dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streamproc.batch import Batch
from streamproc.engine.operators.combine import Combiner
from streamproc.engine.run import START_OF_TIME, BatchRun
from streamproc.state.tables import Tables
from streamproc.windowing.aggregates import Aggregate
from streamproc.windowing.windows import Slices

__all__ = ["SliceTable"]


class SliceTable:
    """Keeps the accumulators of one window operator.

    Args:
        name: The operator's name.
        slices: The arithmetic of its windows.
        aggregate: How accumulators are made and merged.
        tables: The state of the shard.
    """

    def __init__(self, name: str, slices: Slices, aggregate: Aggregate[Any, Any, Any], tables: Tables) -> None:
        self._name = name
        self._slices = slices
        self._merge = aggregate.merge
        self._accumulators = tables.table(name, "slices")
        self._starts = tables.table(name, "starts")
        self._through = tables.table(name, "through", quiet=True)

    @property
    def through(self) -> int:
        """The watermark up to which windows have been given out."""
        through: int | None = self._through.get(None)
        return START_OF_TIME if through is None else through

    @through.setter
    def through(self, watermark: int) -> None:
        self._through.put(None, watermark)

    def starts(self) -> list[int]:
        """Return the starts of the slices that hold something, in order."""
        return [start for start, _ in self._starts.items()]

    def add(
        self, run: BatchRun, batch: Batch, keys: Sequence[Any] | None, rows: Sequence[Any], combiner: Combiner
    ) -> None:
        """Add the rows of a batch; those that are too late are only counted.

        Args:
            run: The batch's run.
            batch: The input.
            keys: The key of each row; None where all belong together.
            rows: The rows, as the aggregate's functions get them.
            combiner: Makes the accumulators.
        """
        if not rows:
            return
        starts = self._starts_of(run, batch)
        through = self.through
        if self._slices.last_end(min(starts)) <= through:
            on_time = [row for row, start in enumerate(starts) if self._slices.last_end(start) > through]
            run.late[self._name] += len(rows) - len(on_time)
            batch, starts = batch.take(on_time), [starts[row] for row in on_time]
            keys = None if keys is None else [keys[row] for row in on_time]
            rows = [rows[row] for row in on_time]
        placed = zip(starts, [None] * len(rows) if keys is None else keys, strict=True)
        self._merge_in(combiner.combine(run, batch, placed, rows))

    def _starts_of(self, run: BatchRun, batch: Batch) -> list[int]:
        if batch.timestamps is None:
            return [self._slices.start(run.time)] * len(batch)
        width = self._slices.width
        return [timestamp - timestamp % width for timestamp in batch.timestamps]

    def _merge_in(self, found: Mapping[tuple[int, Any], Any]) -> None:
        """Merge accumulators into those that are kept."""
        self._accumulators.load(found)
        for place, accumulator in found.items():
            kept = self._accumulators.get(place)
            self._accumulators.put(place, accumulator if kept is None else self._merge(kept, accumulator))
        for start in {start for start, _ in found}:
            if self._starts.get(start) is None:
                self._starts.put(start, 1)

    def entries(self, start: int, end: int) -> Iterator[tuple[Any, Any]]:
        """Yield key and accumulator of each slice in ``[start, end)``, slice by slice in order."""
        for (_, key), accumulator in self._accumulators.items((start,), (end,)):
            yield key, accumulator

    def merged(self, start: int, end: int) -> dict[Any, Any]:
        """Return, by key, the accumulators of all slices in ``[start, end)`` merged."""
        found: dict[Any, Any] = {}
        for key, accumulator in self.entries(start, end):
            found[key] = self._merge(found[key], accumulator) if key in found else accumulator
        return found

    def drop(self, starts: Sequence[int]) -> None:
        """Remove slices."""
        for start in starts:
            for place, _ in list(self._accumulators.items((start,), (start + 1,))):
                self._accumulators.delete(place)
            self._starts.delete(start)
