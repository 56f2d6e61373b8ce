"""The slices of a window operator: accumulators by slice and key, and which slices there are.

State layout, under the operator's name:

    slices   (slice start, key) -> accumulator
    starts   slice start -> 1, for each slice that holds something
    through  -> the watermark up to which windows have been given out

Slice first, key second: the content of a window is one range, and so is what can be dropped.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.window_nodes import RollingWindow, SlicedWindow
from streamproc.engine.explanation import WindowState, WindowStatus
from streamproc.engine.failures import Failures
from streamproc.engine.operators.combine import Combiner
from streamproc.engine.operators.good_keys import check_keys, with_good_keys
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables, told_apart
from streamproc.watermark import END_OF_TIME, START_OF_TIME
from streamproc.windowing.aggregates import Aggregate
from streamproc.windowing.slices import Slices
from streamproc.windowing.windows import Window

__all__ = ["SliceTable"]


class SliceTable:
    """Keeps the accumulators of one window operator.

    Args:
        node: The operator.
        slices: The arithmetic of its windows.
        aggregate: How accumulators are made and merged.
        tables: The state of the shard.
        lateness: For how long after their ends windows take records.
        has_gaps: Whether there are slices that no window holds.
    """

    def __init__(
        self,
        node: SlicedWindow | RollingWindow,
        slices: Slices,
        aggregate: Aggregate[Any, Any, Any],
        tables: Tables,
        *,
        lateness: int = 0,
        has_gaps: bool = False,
    ) -> None:
        self._name = node.name
        self._keyed = node.keyed
        self._slices = slices
        self._lateness = lateness
        self._has_gaps = has_gaps
        self._aggregate = aggregate
        self.combiner = Combiner(node, aggregate)
        self._failures = Failures(node, aggregate.merge)
        self.accumulators = tables.table(node.name, "slices")
        self._starts = tables.table(node.name, "starts")
        self._known: tuple[int, list[int]] = -1, []
        self._through = tables.table(node.name, "through", quiet=True)
        self.new: set[tuple[int, Any]] = set()
        """The slices that were empty before the last `add`."""

    @property
    def through(self) -> int:
        """The watermark up to which windows have been given out."""
        through: int | None = self._through.get(None)
        return START_OF_TIME if through is None else through

    def advance(self, watermark: int) -> None:
        """Note that windows have been given out up to a watermark, before their slices are dropped.

        At the end of time, what was given is closed; if the input grows and is read on, later windows aren't.
        """
        if watermark == END_OF_TIME:
            starts = self.starts()
            watermark = self._slices.last_end(starts[-1]) + self._lateness if starts else START_OF_TIME
        self._through.put(None, max(self.through, watermark))

    def starts(self) -> list[int]:
        """Return the starts of the slices that hold something, in order; not to be changed."""
        if self._known[0] != self._starts.rollbacks:
            self._known = self._starts.rollbacks, [start for start, _ in self._starts.items()]
        return self._known[1]

    def add(self, run: BatchRun, batch: Batch) -> Mapping[tuple[int, Any], Any]:
        """Add the rows of a batch, and return what they come to: accumulators by slice and key.

        Rows that are too late for all their windows are put aside; those that are in no window are left out.

        Args:
            run: The batch's run.
            batch: The input.
        """
        self.new = set()
        if self._keyed:
            batch = with_good_keys(run, batch, self._failures, check_keys)
        run.side_outputs[self._name, "late"] = batch.take(())
        if not batch:
            return {}
        starts = self._starts_of(run, batch)
        closed = self.through - self._lateness
        if self._slices.last_end(min(starts)) <= closed or self._has_gaps:
            taken = self._sort_out(run, batch, starts, closed)
            batch, starts = batch.take(taken), [starts[row] for row in taken]
        keys, rows = (batch.keys or (), batch.values) if self._keyed else ([None] * len(batch), batch.rows())
        found = self.combiner.combine(run, batch, zip(starts, keys, strict=True), rows)
        self.accumulators.load(found)
        self._merge_in(run, found)
        return found

    def _sort_out(self, run: BatchRun, batch: Batch, starts: Sequence[int], closed: int) -> list[int]:
        """Put aside the rows whose windows are all closed, and return those that are in windows which are not."""
        taken: list[int] = []
        late: list[int] = []
        for row, start in enumerate(starts):
            if self._slices.in_window(start):
                (taken if self._slices.last_end(start) > closed else late).append(row)
        run.side_outputs[self._name, "late"] = batch.take(late)
        run.counts[self._name]["late"] += len(late)
        run.counts[self._name]["dropped"] += len(starts) - len(taken) - len(late)
        return taken

    def _starts_of(self, run: BatchRun, batch: Batch) -> list[int]:
        if batch.timestamps is None:
            return [self._slices.start(run.time)] * len(batch)
        return self._slices.starts(batch.timestamps)

    def _merge_in(self, run: BatchRun, found: Mapping[tuple[int, Any], Any]) -> None:
        """Merge accumulators into those that are kept."""
        for place, accumulator in found.items():
            kept = self.accumulators.get(place)
            if kept is None:
                self.new.add(place)
            self.accumulators.put(place, accumulator if kept is None else self.merge(run, kept, accumulator))
        for start in {start for start, _ in found}:
            if self._starts.get(start) is None:
                insort(self.starts(), start)
                self._starts.put(start, 1)

    def merge(self, run: BatchRun, earlier: Any, later: Any) -> Any:
        """Return two accumulators merged; the earlier one alone where that fails and the job goes on."""
        try:
            return self._aggregate.merge(earlier, later)
        except Exception as error:  # noqa: BLE001 - the policy decides
            self._failures.handle(run, error, (earlier, later), None)
            return earlier

    def merged(self, run: BatchRun, start: int, end: int) -> dict[object, tuple[Any, Any]]:
        """Return the accumulators of all slices in ``[start, end)`` merged, earlier ones first.

        Returns:
            Keys and their accumulators, by what tells the keys apart.
        """
        found: dict[object, tuple[Any, Any]] = {}
        for (slice_start, key), accumulator in self.accumulators.items((start,), (end,)):
            index = told_apart(key)
            if index in found:
                found[index] = key, self.merge(run, found[index][1], accumulator)
            elif self._slices.last_end(slice_start) <= end and not self._lateness:
                found[index] = key, accumulator
            else:
                # A later window needs it as it is, whatever merge and the readers of the result do to this one.
                found[index] = key, self._aggregate.copy(accumulator)
        return found

    def merged_of(self, run: BatchRun, keys: Sequence[Any], start: int, end: int) -> list[tuple[Any, Any]]:
        """Return those keys of a batch that have accumulators in ``[start, end)``, and these merged as by `merged`."""
        starts = [each for each in self.starts() if start <= each < end]
        self.accumulators.load((each, key) for key in keys for each in starts)
        found: dict[Any, Any] = {}
        for key in keys:
            for each in starts:
                accumulator = self.accumulators.get((each, key))
                if accumulator is not None:
                    copied = self._aggregate.copy(accumulator)
                    found[key] = self.merge(run, found[key], copied) if key in found else copied
        return list(found.items())

    def windows_at(self, key: Any, time: int, *, alive: bool = False) -> list[WindowState]:
        """Return what is known of the windows of a key that hold a time, in the order of their ends.

        Args:
            key: The key; None where all records have the same windows.
            time: The time, in epoch milliseconds.
            alive: Whether the key gives results also of windows that hold no records of it.
        """
        start, through = self._slices.start(time), self.through
        states: list[WindowState] = []
        for end in self._slices.ends_of(start, START_OF_TIME, END_OF_TIME) if self._slices.in_window(start) else ():
            window, closes_at = self._slices.window(end), end + self._lateness
            status: WindowStatus = "closed"
            if closes_at > through:
                holds = alive or self._holds(key, window)
                status = "empty" if not holds else ("given" if end <= through else "open")
            states.append(WindowState(window, status, 0, closes_at, gives_at=end))
        return states

    def _holds(self, key: Any, window: Window) -> bool:
        """Return whether a window holds records of a key."""
        starts = self.starts()
        inside = starts[bisect_left(starts, window.start) : bisect_left(starts, window.end)]
        return any(self.accumulators.get((start, key)) is not None for start in inside)

    def drop_while(self, is_gone: Callable[[int], bool]) -> int:
        """Remove the first slices, those before the first whose start is not gone, and return how many they were."""
        starts = self.starts()
        count = sum(1 for _ in takewhile(is_gone, starts))
        if not count:
            return 0
        # From the first slice on: what was removed before it still takes the store time to pass.
        for place, _ in list(self.accumulators.items((starts[0],), (starts[count - 1] + 1,))):
            self.accumulators.delete(place)
        for start in starts[:count]:
            self._starts.delete(start)
        self._known = self._starts.rollbacks, starts[count:]
        return count
