"""A reduced value for each key, kept up to date as slices enter and leave the window.

Spark's ``reduceByKeyAndWindow`` with an inverse function: a window's value is that of the window one slide before,
with what has left taken out and what has come reduced in. A key gives a result for every window from its first on,
until ``keep`` lets it go.

State layout: that of `slice_table`, and under the operator's name

    rolling   key -> value of the last window
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.window_nodes import RollingWindow
from streamproc.engine.explanation import WindowState
from streamproc.engine.failures import Failures
from streamproc.engine.operators.operator import Operator, Windowed
from streamproc.engine.operators.windows.slice_table import SliceTable
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables
from streamproc.watermark import END_OF_TIME
from streamproc.windowing.aggregates import reducing
from streamproc.windowing.slices import PeriodicSlices

__all__ = ["RollingWindowOperator"]


class RollingWindowOperator(Operator, Windowed):
    """Rolls the values of all keys from one window to the next.

    Args:
        node: The operator.
        tables: The state of the shard.
    """

    def __init__(self, node: RollingWindow, tables: Tables) -> None:
        self._slices = PeriodicSlices.of(node.assigner)
        has_gaps = node.assigner.slide_ms > node.assigner.size_ms
        self._table = SliceTable(node, self._slices, reducing(node.fn), tables, has_gaps=has_gaps)
        self._rolling = tables.table(node.name, "rolling")
        self._of_fn, self._of_inverse = Failures(node, node.fn), Failures(node, node.inverse)
        self._of_keep = Failures(node, node.keep)
        self._node = node

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the values of all keys for each window that ends at or before the watermark, in order."""
        (batch,) = inputs
        watermark = batch.watermark.time
        added = self._table.add(run, batch)
        self._catch_up(run, added)
        keys: list[Any] = []
        values: list[Any] = []
        timestamps: list[int] = []
        for end in self._ends(watermark):
            self._roll(run, end)
            for key, value in self._rolling.items():
                keys.append(key)
                values.append(value)
                timestamps.append(end - 1)
        self._table.advance(watermark)
        self._table.drop_while(lambda start: self._leaves(start) <= watermark)
        if watermark == END_OF_TIME:
            # If the input grows and is read on, no window holds what was given.
            for key in list(self._rolling):
                self._rolling.delete(key)
        run.counts[self._node.name]["panes"] += len(values)
        return Batch(values, keys if self._node.keyed else None, timestamps, watermark=batch.watermark)

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
        # A key that has had records gives a result of every window until it is let go.
        return self._table.windows_at(key, time, alive=self._rolling.get(key) is not None)

    def next_watermark(self) -> int | None:
        """Return the end of the next window."""
        return next(self._ends(self._table.through + self._slices.slide), None)

    def _leaves(self, slice_start: int) -> int:
        """Return the end of the first window behind a slice: there it is taken out of the value."""
        return self._slices.last_end(slice_start) + self._slices.slide

    def _ends(self, watermark: int) -> Iterator[int]:
        """Yield the ends of the windows that are due.

        While a slice enters or leaves, that is every window. Where nothing changes any more (after a long stop, in
        batch time) only the last one is, as all between are equal to it; and none is at the end of time.
        """
        starts = self._table.starts()
        alive = next(self._rolling.items(), None) is not None
        if not (starts or alive):
            return
        end = self._slices.end_after(self._table.through)
        if not alive:
            end = max(end, self._slices.first_end(starts[0]))
        changing_until = max((self._leaves(start) for start in starts), default=end)
        if watermark == END_OF_TIME:
            watermark = changing_until - self._slices.slide
        while end <= min(watermark, changing_until):
            yield end
            end += self._slices.slide
        if end <= watermark:
            yield self._slices.end_by(watermark)

    def _catch_up(self, run: BatchRun, added: Mapping[tuple[int, Any], Any]) -> None:
        """Bring what was added to slices that have entered already into the values of the last window.

        In event time a record may be too late for a window that holds it, but not for the next.
        """
        through = self._table.through
        entered = {
            (start, key): value for (start, key), value in added.items() if self._slices.first_end(start) <= through
        }
        for (_, key), value in entered.items():
            self._update(run, key, entering=value, leaving=None)

    def _roll(self, run: BatchRun, end: int) -> None:
        """Bring the values of all keys from the window before to the one that ends at ``end``."""
        size, slide = self._slices.size, self._slices.slide
        entering = self._table.merged(run, end - slide, end)
        leaving = self._table.merged(run, end - size - slide, end - size)
        for index, (key, _) in (leaving | entering).items():
            _, left = leaving.get(index, (key, None))
            _, entered = entering.get(index, (key, None))
            self._update(run, key, entering=entered, leaving=left)

    def _update(self, run: BatchRun, key: Any, *, entering: Any, leaving: Any) -> None:
        """Take what has left out of a key's value and reduce in what has come, where there is any."""
        value = self._rolling.get(key)
        failures = self._of_inverse
        try:
            if value is not None and leaving is not None:
                value = self._node.inverse(value, leaving)
            failures = self._of_fn
            if entering is not None:
                value = entering if value is None else self._node.fn(value, entering)
            if value is None:
                return
            failures = self._of_keep
            kept = self._node.keep is None or self._node.keep(key, value)
        except Exception as error:  # noqa: BLE001 - the policy decides
            failures.handle(run, error, (key, value), None)
            return
        if kept:
            self._rolling.put(key, value)
        else:
            self._rolling.delete(key)
