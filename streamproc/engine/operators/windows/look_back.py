"""Windows that end with each record of a key and reach back from it.

State layout, under the operator's name, besides that of `open_windows`:

    cells    (timestamp, key) -> how many records of the key have that timestamp, and their accumulator
    times    key -> the timestamps of its cells, in order

A cell is kept until no window can reach back to it: its own, and those of later records.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from typing import Any

from streamproc.dataflow.window_nodes import PanedWindow
from streamproc.engine.operators.windows.contents import Arrivals, Contents, Part, Touched
from streamproc.engine.operators.windows.open_windows import OpenWindow, OpenWindows, Place
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables
from streamproc.watermark import END_OF_TIME
from streamproc.windowing.assigners import LookBack
from streamproc.windowing.windows import Window

__all__ = ["LookBackContents"]


class LookBackContents(Contents):
    """The contents of windows that look back from each record."""

    def __init__(self, node: PanedWindow, assigner: LookBack, open_windows: OpenWindows, tables: Tables) -> None:
        super().__init__(node, open_windows)
        self._size = assigner.size_ms
        self._cells = tables.table(node.name, "cells")
        self._times = tables.table(node.name, "times")

    def add(self, arrivals: Arrivals) -> tuple[Touched, list[int]]:
        """Add records to their cells, and have all windows know that reach back to these."""
        late = [row for row, time in enumerate(arrivals.times) if self._is_gone(time, arrivals.watermark)]
        groups: list[int | None] = list(arrivals.times)
        for row in late:
            groups[row] = None
        parts = self.parts(arrivals, groups)
        self._times.load(dict.fromkeys(key for _, key in parts))
        self._cells.load(parts)
        for place, part in parts.items():
            self._add_to_cell(arrivals.run, *place, part)
        touched: Touched = {}
        opened: set[Place] = set()
        for (time, key), part in parts.items():
            self._touch(arrivals, time, key, part, touched, opened)
        return touched, late

    def at(self, key: Any, time: int) -> Sequence[tuple[Window, OpenWindow | None]]:
        """Return the windows of records that reach back to a time."""
        times: list[int] = self._times.get(key) or []
        lasts = times[bisect_left(times, time) : bisect_left(times, time + self._size)]
        windows = [Window(last + 1 - self._size, last + 1) for last in lasts]
        return [(window, self.open.get((window.end, window.start, key))) for window in windows]

    def content(self, run: BatchRun, place: Place, window: OpenWindow) -> Any:
        """Return the accumulators of the cells in a window merged, earlier ones first."""
        if self.node.panes == "discarding":
            return window.content
        return self._within(run, window, place[2]).accumulator

    def expire(self, before: int, watermark: int) -> None:
        """Remove the cells that no window can reach back to any more."""
        kept = self.node.allowed_lateness_ms + self._size
        through = watermark if watermark == END_OF_TIME else watermark - kept
        gone = [place for place, _ in self._cells.items((before - kept + 1,), (through + 1,))]
        for place in gone:
            self._cells.delete(place)
        keys = dict.fromkeys(key for _, key in gone)
        self._times.load(keys)
        for key in keys:
            times: list[int] = self._times.get(key) or []
            left = times[bisect_right(times, through) :]
            if left:
                self._times.put(key, left)
            else:
                self._times.delete(key)

    def _is_gone(self, time: int, watermark: int) -> bool:
        """Return whether no window that can still give a result reaches back to a time."""
        return self.is_expired(time + self._size, watermark)

    def _add_to_cell(self, run: BatchRun, time: int, key: Any, part: Part) -> None:
        count, before = self._cells.get((time, key)) or (0, None)
        self._cells.put((time, key), (count + part.count, self.merge(run, before, part.accumulator)))
        if not count:
            times: list[int] = list(self._times.get(key) or ())
            insort(times, time)
            self._times.put(key, times)

    def _within(self, run: BatchRun, window: OpenWindow, key: Any) -> Part:
        """Return what the cells in a window come to, earlier ones first."""
        times: list[int] = self._times.get(key) or []
        inside = times[bisect_left(times, window.start) : bisect_left(times, window.end)]
        self._cells.load((time, key) for time in inside)
        records, content = 0, None
        for time in inside:
            count, accumulator = self._cells.get((time, key)) or (0, None)
            records += count
            content = self.merge(run, content, self.node.aggregate.copy(accumulator))
        stamp = None if self.node.result_time == "end" else self.better_stamp(inside[0], inside[-1])
        return Part(content, records, stamp)

    def _touch(self, arrivals: Arrivals, time: int, key: Any, part: Part, touched: Touched, opened: set[Place]) -> None:
        """Have the windows know that hold a time: its own, and those of later records."""
        times: list[int] = self._times.get(key) or []
        for last in times[bisect_left(times, time) : bisect_left(times, time + self._size)]:
            start, end = last + 1 - self._size, last + 1
            place = (end, start, key)
            if place in opened or self.is_expired(end, arrivals.watermark):
                continue
            window = touched.get(place) or self.open.get(place)
            if window is None:
                # What came before it is new to it, too.
                window = self.open_window(start, end, arrivals)
                whole = self._within(arrivals.run, window, key)
                self.note(arrivals, window, whole)
                window.content = whole.accumulator if self.node.panes == "discarding" else None
                opened.add(place)
            elif window.finished:
                continue
            elif self.node.panes == "discarding":
                self.put_in(arrivals, window, part, copy=True)
            else:
                self.note(arrivals, window, part)
            touched[place] = window
