"""Aggregates of windows that are the same for all keys, merged from slices when the watermark passes a window's end.

State layout: that of `slice_table`, and under the operator's name, where late records are allowed,

    panes   (end, key) -> how many results the window has given for the key
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.window_nodes import SlicedWindow, WindowForm
from streamproc.engine.explanation import WindowState
from streamproc.engine.operators.operator import Operator, Windowed
from streamproc.engine.operators.windows.slice_table import SliceTable
from streamproc.engine.operators.windows.totals import InverseTotals, StackedTotals, Totals
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables
from streamproc.watermark import END_OF_TIME, Watermark
from streamproc.windowing.assigners import Calendar
from streamproc.windowing.slices import PeriodicSlices, slices_of
from streamproc.windowing.windows import Pane, Window, WindowResult

__all__ = ["SlicedWindowOperator"]


class SlicedWindowOperator(Operator, Windowed):
    """Adds records to their slices, and gives out each window that holds any when the watermark is at its end.

    A record that comes within the allowed lateness has its windows give a further result. A slice is kept until no
    window that holds it can give one.
    """

    def __init__(self, node: SlicedWindow, tables: Tables) -> None:
        self._node = node
        self._lateness = node.allowed_lateness_ms
        self._slices = slices_of(node.assigner, at_most=node.slice_ms)
        has_gaps = not isinstance(node.assigner, Calendar) and node.assigner.slide_ms > node.assigner.size_ms
        self._table = SliceTable(node, self._slices, node.aggregate, tables, lateness=self._lateness, has_gaps=has_gaps)
        self._panes = tables.table(node.name, "panes") if self._lateness else None
        self._totals = self._make_totals(tables)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the results of the windows that end at or before the watermark, in the order of their ends."""
        (batch,) = inputs
        added = self._table.add(run, batch)
        if self._totals is not None:
            self._totals.amend(run, added, self._table.new)
        results = _Results(self._node, batch.watermark)
        if self._lateness:
            self._give_late(run, added, results)
        self._give_on_time(run, batch.watermark.time, results)
        return results.batch()

    @property
    def keyed(self) -> bool:
        """Whether each key has windows of its own."""
        return self._node.keyed

    @property
    def through(self) -> int:
        """The watermark of the last batch."""
        return self._table.through

    def windows_at(self, key: Any, time: int) -> list[WindowState]:
        """Return what it knows of the windows of a key that hold a time, in the order of their ends."""
        states = self._table.windows_at(key, time)
        if self._panes is None:
            return states
        return [replace(state, results=self._panes.get((state.window.end, key)) or 0) for state in states]

    def _make_totals(self, tables: Tables) -> Totals | None:
        """Return what brings totals from one window to the next, where windows share slices."""
        slices, aggregate = self._slices, self._node.aggregate
        if not isinstance(slices, PeriodicSlices) or slices.slide >= slices.size or aggregate.grows:
            return None
        kind = StackedTotals if aggregate.inverse is None else InverseTotals
        table = self._table
        return kind(self._node, table.merge, slices, table.accumulators, table.starts, tables)

    def next_watermark(self) -> int | None:
        """Return the end of the next window that holds records."""
        return next(self._slices.ends(self._table.starts(), self._table.through, END_OF_TIME), None)

    def _give_late(self, run: BatchRun, added: Iterable[tuple[int, Any]], results: _Results) -> None:
        """Give further results of the windows that have given one, and have got records since."""
        through = self._table.through
        affected: dict[int, dict[Any, None]] = defaultdict(dict)
        for start, key in added:
            for end in self._slices.ends_of(start, through - self._lateness, through):
                affected[end][key] = None
        for end in sorted(affected):
            window, keys = self._slices.window(end), list(affected[end])
            self._give(run, window, self._table.merged_of(run, keys, window.start, end), results, late=True)

    def _give_on_time(self, run: BatchRun, watermark: int, results: _Results) -> None:
        """Give the results of the windows that end at or before the watermark."""
        starts = self._table.starts()
        for end in self._slices.ends(starts, self._table.through, watermark):
            window = self._slices.window(end)
            found: Iterable[tuple[Any, Any]]
            if self._totals is None:
                found = self._table.merged(run, window.start, end).values()
            else:
                found = self._totals.roll(run, end)
            self._give(run, window, found, results, late=False)
        before = self._table.through
        self._table.advance(watermark)
        self._close(run, starts, before, watermark)

    def _close(self, run: BatchRun, starts: Sequence[int], before: int, watermark: int) -> None:
        """Remove what no window needs any more at a watermark, but did at the one before."""
        closed = watermark if watermark == END_OF_TIME else watermark - self._lateness
        if self._panes is not None:
            for place, _ in list(self._panes.items((before - self._lateness + 1,), (closed + 1,))):
                self._panes.delete(place)
        needed_from = END_OF_TIME
        if self._totals is not None and starts:
            if self._slices.last_end(starts[-1]) > watermark:
                needed_from = self._totals.needed_from
            else:
                self._totals.clear()
        run.counts[self._node.name]["expired"] += self._table.drop_while(
            lambda start: start < needed_from and self._slices.last_end(start) <= closed
        )

    def _give(
        self, run: BatchRun, window: Window, found: Iterable[tuple[Any, Any]], results: _Results, *, late: bool
    ) -> None:
        """Give the results of a window, of which keys and accumulators are found."""
        pairs = list(found)
        keys, values = self._table.combiner.results(
            run, [key for key, _ in pairs], [accumulator for _, accumulator in pairs]
        )
        run.counts[self._node.name]["panes"] += len(values)
        panes: list[Pane | None] = [None] * len(keys)
        if self._panes is not None:
            last = results.watermark == END_OF_TIME or window.end + self._lateness <= results.watermark
            self._panes.load((window.end, key) for key in keys)
            for number, key in enumerate(keys):
                before: int = self._panes.get((window.end, key)) or 0
                self._panes.put((window.end, key), before + 1)
                panes[number] = Pane("late" if late else "on_time", before, last=last)
        results.add(window, keys, values, panes)


class _Results:
    """The results of a batch, in the form of the operator."""

    def __init__(self, node: SlicedWindow, watermark: Watermark) -> None:
        self._form = node.form
        self._keyed = node.keyed
        self._pairs = node.pairs
        self._progress = watermark
        self.watermark = watermark.time
        self.keys: list[Any] = []
        self.values: list[Any] = []
        self.times: list[int] = []

    def add(self, window: Window, keys: Sequence[Any], values: Sequence[Any], panes: Sequence[Pane | None]) -> None:
        """Add the results of a window."""
        results: Sequence[Any] = values
        if self._form is WindowForm.RESULT:
            start, end = window.start, window.end
            results = [WindowResult(start, end, value, pane) for value, pane in zip(values, panes, strict=True)]
        elif self._form is WindowForm.ELEMENTS:
            results = [element for value in values for element in value]
            if self._pairs:
                keys = [key for key, _ in results]
                results = [value for _, value in results]
        self.keys += keys
        self.values += results
        self.times += [window.end - 1] * len(results)

    def batch(self) -> Batch:
        """Return all results."""
        keys = self.keys if self._keyed or self._pairs else None
        return Batch(self.values, keys, self.times, watermark=self._progress)
