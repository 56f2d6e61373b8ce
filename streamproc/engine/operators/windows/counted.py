"""Windows of so many records of a key, in the order in which they come.

State layout, under the operator's name:

    last      key -> how many records came since the last result, and the slices of the last ones: for each how many
              there are, their accumulator, their earliest and their latest timestamp
    through   -> the watermark of the last batch

A slice has the greatest number of records that divides all windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from operator import length_hint
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.window_nodes import CountWindow
from streamproc.engine.failures import Failures
from streamproc.engine.operators.combine import Combiner
from streamproc.engine.operators.good_keys import with_good_keys
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables
from streamproc.watermark import END_OF_TIME
from streamproc.windowing.windows import WindowResult

__all__ = ["CountWindowOperator"]


class CountWindowOperator(Operator):
    """Counts the records of each key, and gives a result of the last ones at every so many."""

    def __init__(self, node: CountWindow, tables: Tables) -> None:
        self._node = node
        self._every = node.assigner.every
        self._slice = gcd(node.assigner.n, node.assigner.every)
        self._kept = (node.assigner.n - node.assigner.every) // self._slice
        self._last = tables.table(node.name, "last")
        self._through = tables.table(node.name, "through", quiet=True)
        self._combiner = Combiner(node, node.aggregate)
        self._on_record = Failures(node, node.aggregate.by or node.aggregate.create)
        self._on_merge = Failures(node, node.aggregate.merge)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the results of the windows that are full, and at the end of time of those that aren't."""
        (batch,) = inputs
        run.side_outputs[self._node.name, "late"] = batch.take(())
        if self._node.keyed:
            batch = with_good_keys(run, batch, self._on_record, self._last.load)
        found: list[tuple[Any, int, int, Any]] = []
        rows = iter(batch.values if self._node.keyed else batch.rows())
        keys = batch.keys or () if self._node.keyed else [None] * len(batch)
        for key, value, time in zip(keys, rows, batch.times(run.time), strict=False):
            try:
                full = self._add(key, value, time)
            except Exception as error:  # noqa: BLE001 - the policy decides
                row = len(batch) - length_hint(rows) - 1
                self._on_record.handle(run, error, value, batch.origins, row)
                continue
            if full:
                self._give(run, key, found)
        if batch.watermark.time == END_OF_TIME:
            for key, (since, _) in list(self._last.items()):
                if since:
                    self._give(run, key, found)
                self._last.delete(key)
        run.counts[self._node.name]["panes"] += len(found)
        before: int = self._through.get(None) or 0
        if before < batch.watermark.time != END_OF_TIME:
            self._through.put(None, batch.watermark.time)
        return Batch(
            [WindowResult(earliest, latest + 1, result) for _, earliest, latest, result in found],
            [key for key, *_ in found] if self._node.keyed else None,
            # None may be late for the operators behind.
            [max(latest, before) for _, _, latest, _ in found],
            watermark=batch.watermark,
        )

    def _add(self, key: Any, value: Any, time: int) -> bool:
        """Add a record to its slice, and return whether its window is full."""
        kept: tuple[int, list[Any]] | None = self._last.get(key)
        since, slices = kept or (0, [])
        aggregate = self._node.aggregate
        created = aggregate.create((time, value) if aggregate.timed else value)
        if slices and slices[-1][0] < self._slice:
            count, accumulator, earliest, latest = slices[-1]
            # Not `add`: where one of several aggregates fails, others may have changed what is kept.
            slices[-1] = [count + 1, aggregate.merge(accumulator, created), min(earliest, time), max(latest, time)]
        else:
            slices.append([1, created, time, time])
        self._last.put(key, [since + 1, slices])
        return since + 1 == self._every

    def _give(self, run: BatchRun, key: Any, found: list[tuple[Any, int, int, Any]]) -> None:
        """Give the result of the slices, and keep those that the next window holds too."""
        last: tuple[int, list[list[Any]]] = self._last.get(key) or (0, [])
        slices = last[1]
        aggregate = self._node.aggregate
        merged: Any = None
        for _, accumulator, _, _ in slices:
            copied = aggregate.copy(accumulator)
            try:
                merged = copied if merged is None else aggregate.merge(merged, copied)
            except Exception as error:  # noqa: BLE001 - the policy decides
                self._on_merge.handle(run, error, (merged, copied), None)
        _, results = self._combiner.results(run, [None], [merged])
        earliest, latest = min(part[2] for part in slices), max(part[3] for part in slices)
        found += [(key, earliest, latest, result) for result in results]
        self._last.put(key, [0, slices[max(0, len(slices) - self._kept) :]])
