"""Aggregates of windows, merged from slices when the watermark passes a window's end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.nodes import SlicedWindow, WindowForm
from streamproc.engine.operators.combine import Combiner
from streamproc.engine.operators.operator import Operator
from streamproc.engine.operators.slice_table import SliceTable
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables
from streamproc.watermark import Watermark
from streamproc.windowing.windows import Slices, WindowResult

__all__ = ["SlicedWindowOperator"]


class SlicedWindowOperator(Operator):
    """Adds records to their slices, and gives out each window that holds any when the watermark is at its end.

    Args:
        node: The operator.
        tables: The state of the shard.
    """

    def __init__(self, node: SlicedWindow, tables: Tables) -> None:
        self._slices = Slices.of(node.assigner, at_most=node.slice_ms)
        self._table = SliceTable(node, self._slices, node.aggregate, tables)
        self._combiner = Combiner(node, node.aggregate)
        self._keyed = node.keyed
        self._form = node.form
        self._pairs = node.pairs

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the results of the windows that end at or before the watermark, in the order of their ends."""
        (batch,) = inputs
        if self._keyed:
            self._table.add(run, batch, batch.keys or (), batch.values)
        else:
            self._table.add(run, batch, None, batch.rows())
        return self._give_out(run, batch.watermark)

    def next_watermark(self) -> int | None:
        """Return the end of the next window."""
        through = self._table.through
        return next(self._slices.ends(self._table.starts(), through, through + self._slices.size + 1), None)

    def _give_out(self, run: BatchRun, progress: Watermark) -> Batch:
        watermark = progress.time
        keys: list[Any] = []
        values: list[Any] = []
        timestamps: list[int] = []
        starts = self._table.starts()
        for end in self._slices.ends(starts, self._table.through, watermark):
            start = end - self._slices.size
            found = self._table.merged(run, start, end)
            good, results = self._combiner.results(run, list(found), found.values())
            if self._form is WindowForm.RESULT:
                results = [WindowResult(start, end, result) for result in results]
            elif self._form is WindowForm.ELEMENTS:
                results = [element for result in results for element in result]
                if self._pairs:
                    good = [key for key, _ in results]
                    results = [value for _, value in results]
            keys += good
            values += results
            timestamps += [end - 1] * len(results)
        self._table.drop([start for start in starts if self._slices.last_end(start) <= watermark])
        self._table.through = max(self._table.through, watermark)
        return Batch(values, keys if self._keyed or self._pairs else None, timestamps, watermark=progress)
