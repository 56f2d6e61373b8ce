"""The slices of a window operator: accumulators by slice and key, and which slices there are.

State layout, under the operator's name:

    slices   (slice start, key) -> accumulator
    starts   slice start -> 1, for each slice that holds something
    through  -> the watermark up to which windows have been given out

Slice first, key second: the content of a window is one range, and so is what can be dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.nodes import Node
from streamproc.engine.failures import Failures
from streamproc.engine.operators.combine import Combiner
from streamproc.engine.run import BatchRun
from streamproc.errors import EncodeError
from streamproc.state.keys import encode_key
from streamproc.state.tables import Tables
from streamproc.watermark import START_OF_TIME
from streamproc.windowing.aggregates import Aggregate
from streamproc.windowing.windows import Slices

__all__ = ["SliceTable"]


class SliceTable:
    """Keeps the accumulators of one window operator.

    Args:
        node: The operator.
        slices: The arithmetic of its windows.
        aggregate: How accumulators are made and merged.
        tables: The state of the shard.
    """

    def __init__(self, node: Node, slices: Slices, aggregate: Aggregate[Any, Any, Any], tables: Tables) -> None:
        self._name = node.name
        self._slices = slices
        self._aggregate = aggregate
        self._combiner = Combiner(node, aggregate)
        self._failures = Failures(node, aggregate.merge)
        self._accumulators = tables.table(node.name, "slices")
        self._starts = tables.table(node.name, "starts")
        self._through = tables.table(node.name, "through", quiet=True)

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
        self, run: BatchRun, batch: Batch, keys: Sequence[Any] | None, rows: Sequence[Any]
    ) -> Mapping[tuple[int, Any], Any]:
        """Add the rows of a batch, and return what they come to: accumulators by slice and key.

        Rows that are too late for all their windows are only counted; those that are in no window are left out.

        Args:
            run: The batch's run.
            batch: The input.
            keys: The key of each row; None where all belong together.
            rows: The rows, as the aggregate's functions get them.
        """
        if not rows:
            return {}
        slices, through = self._slices, self.through
        starts = self._starts_of(run, batch)
        if slices.last_end(min(starts)) <= through or slices.slide > slices.size:
            windowed = [row for row, start in enumerate(starts) if slices.in_window(start)]
            on_time = [row for row in windowed if slices.last_end(starts[row]) > through]
            if len(on_time) < len(windowed):
                run.late[self._name] += len(windowed) - len(on_time)
            batch, starts = batch.take(on_time), [starts[row] for row in on_time]
            keys = None if keys is None else [keys[row] for row in on_time]
            rows = [rows[row] for row in on_time]
        placed = zip(starts, [None] * len(rows) if keys is None else keys, strict=True)
        found = self._combiner.combine(run, batch, placed, rows)
        self._load(run, found)
        self._merge_in(run, found)
        return found

    def _load(self, run: BatchRun, found: dict[tuple[int, Any], Any]) -> None:
        """Bring what is kept into the cache, and remove from ``found`` what has a key that state can't have."""
        try:
            self._accumulators.load(found)
        except EncodeError:
            for place, accumulator in list(found.items()):
                try:
                    encode_key(place)
                except EncodeError as error:
                    del found[place]
                    self._failures.handle(run, error, (place[1], accumulator), None)
            self._accumulators.load(found)

    def _starts_of(self, run: BatchRun, batch: Batch) -> list[int]:
        if batch.timestamps is None:
            return [self._slices.start(run.time)] * len(batch)
        width = self._slices.width
        return [timestamp - timestamp % width for timestamp in batch.timestamps]

    def _merge_in(self, run: BatchRun, found: Mapping[tuple[int, Any], Any]) -> None:
        """Merge accumulators into those that are kept."""
        for place, accumulator in found.items():
            kept = self._accumulators.get(place)
            merged = accumulator if kept is None else self._merge(run, kept, accumulator)
            self._accumulators.put(place, merged)
        for start in {start for start, _ in found}:
            if self._starts.get(start) is None:
                self._starts.put(start, 1)

    def _merge(self, run: BatchRun, earlier: Any, later: Any) -> Any:
        """Return two accumulators merged; the earlier one alone where that fails and the job goes on."""
        try:
            return self._aggregate.merge(earlier, later)
        except Exception as error:  # noqa: BLE001 - the policy decides
            self._failures.handle(run, error, (earlier, later), None)
            return earlier

    def merged(self, run: BatchRun, start: int, end: int) -> dict[Any, Any]:
        """Return, by key, the accumulators of all slices in ``[start, end)`` merged, earlier ones first."""
        found: dict[Any, Any] = {}
        for (slice_start, key), accumulator in self._accumulators.items((start,), (end,)):
            if key in found:
                found[key] = self._merge(run, found[key], accumulator)
            elif self._slices.last_end(slice_start) <= end:
                found[key] = accumulator
            else:
                # A later window needs it as it is, whatever merge and the readers of the result do to this one.
                found[key] = self._aggregate.copy(accumulator)
        return found

    def drop(self, starts: Sequence[int]) -> None:
        """Remove slices."""
        for start in starts:
            for place, _ in list(self._accumulators.items((start,), (start + 1,))):
                self._accumulators.delete(place)
            self._starts.delete(start)
