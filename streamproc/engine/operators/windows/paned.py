"""Windows with triggers: what they hold, when they give a result, and when they are closed.

A batch goes through a window operator in these steps:

    records     are added to their windows, or put aside as late where all of these are closed
    watermark   moves on
    results     of the windows whose trigger is ready, in the order of the windows' ends: of those with new records, of
                those whose end the watermark has passed, and of those whose time has come
    closing     of the windows whose allowed lateness is over: what they have not given is given, and they are removed

State layout, under the operator's name, besides that of `open_windows` and of the contents: ``through`` -> the
watermark of the last batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.window_nodes import PanedWindow
from streamproc.engine.explanation import WindowState, WindowStatus
from streamproc.engine.failures import Failures
from streamproc.engine.operators.good_keys import check_keys, with_good_keys
from streamproc.engine.operators.operator import Operator, Reach, Windowed, all_reach
from streamproc.engine.operators.windows.assigned import AssignedContents
from streamproc.engine.operators.windows.capped_sessions import CappedSessionContents
from streamproc.engine.operators.windows.contents import Arrivals, Contents, Touched
from streamproc.engine.operators.windows.look_back import LookBackContents
from streamproc.engine.operators.windows.open_windows import OpenWindow, OpenWindows, Place
from streamproc.engine.operators.windows.sessions import SessionContents
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables
from streamproc.watermark import END_OF_TIME, START_OF_TIME, Watermark
from streamproc.windowing.assigners import LookBack, Session
from streamproc.windowing.at_watermark import AtWatermark
from streamproc.windowing.triggers import OnClose, OnUpdate, WindowTrigger
from streamproc.windowing.windows import Pane, Timing, WindowResult

__all__ = ["PanedWindowOperator"]


class PanedWindowOperator(Operator, Windowed):
    """Runs any windows with any trigger."""

    def __init__(self, node: PanedWindow, tables: Tables) -> None:
        self._node = node
        self._open = OpenWindows(node.name, tables, stamped=node.result_time != "end")
        self._contents = _contents(node, self._open, tables)
        self._failures = Failures(node, node.aggregate.by or node.aggregate.create)
        self._through = tables.table(node.name, "through", quiet=True)
        self._lag = _lag(node)

    @property
    def keyed(self) -> bool:
        """Whether each key has windows of its own."""
        return self._node.keyed

    @property
    def through(self) -> int:
        """The watermark of the last batch."""
        through: int | None = self._through.get(None)
        return START_OF_TIME if through is None else through

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the results of this batch."""
        (batch,) = inputs
        before = self.through
        watermark = max(before, batch.watermark.time)
        results = _Results(self._given_through(before))
        touched = self._add(run, batch, before, results.given_through)
        for place, window in self._candidates(run, touched, before, watermark):
            self._ask(run, place, window, watermark, results)
        last_end = self._close(run, before, watermark, results)
        self._contents.expire(before, watermark)
        # At the end of time, what was given is closed; if the input grows and is read on, later windows aren't.
        through = watermark if watermark != END_OF_TIME else max(before, last_end + self._node.allowed_lateness_ms)
        if through != before:
            self._through.put(None, through)
        run.counts[self._node.name]["panes"] += len(results)
        progress = replace(batch.watermark, time=self._given_through(watermark))
        return results.batch(progress, keyed=self._node.keyed)

    def next_due(self) -> int | None:
        """Return the time of the next trigger that waits for one."""
        return self._open.next_timer()

    def next_watermark(self) -> int | None:
        """Return the watermark at which the next window gives a result, or is closed."""
        through = self.through
        ends = self._open.first_due(through)
        closes = self._open.first_due(through - self._node.allowed_lateness_ms)
        times = [ends, None if closes is None else closes + self._node.allowed_lateness_ms]
        return min((time for time in times if time is not None), default=None)

    def reaches(self, watermark: int, inputs: Sequence[Reach]) -> int | None:
        """Return when the watermark of results is there if a window doesn't hold it, else when the next is due."""
        needed = min(watermark + self._lag, END_OF_TIME)
        hold = self._open.hold()
        if hold is not None and hold < watermark and (due := self.next_watermark()) is not None:
            needed = max(needed, due)
        return all_reach(needed, inputs)

    def windows_at(self, key: Any, time: int) -> list[WindowState]:
        """Return what it knows of the windows of a key that hold a time, in the order of their ends."""
        states: list[WindowState] = []
        through = self.through
        trigger, lateness = self._node.trigger, self._node.allowed_lateness_ms
        at_watermark = isinstance(trigger, AtWatermark)
        before = _before_the_end(trigger)
        for window, opened in self._contents.at(key, time):
            panes, finished = (opened.panes, opened.finished) if opened else (0, False)
            status: WindowStatus = "closed"
            if not self._contents.is_expired(window.end, through) and not finished:
                given = panes and window.end <= through
                status = "empty" if opened is None else ("given" if given else "open")
            closes_at = window.end + lateness
            gives_at = window.end if at_watermark else closes_at
            states.append(WindowState(window, status, panes, closes_at, gives_at, before, finished))
        return states

    def _add(self, run: BatchRun, batch: Batch, before: int, given_through: int) -> Touched:
        """Add the records of a batch to their windows."""
        keyed = self._node.keyed
        if keyed:
            batch = with_good_keys(run, batch, self._failures, check_keys)
        values = batch.values if keyed else batch.rows()
        keys = batch.keys or () if keyed else [None] * len(batch)
        times = batch.times(run.time)
        touched, late = self._contents.add(Arrivals(run, batch, keys, values, times, before, given_through))
        run.side_outputs[self._node.name, "late"] = batch.take(late)
        run.counts[self._node.name]["late"] += len(late)
        return touched

    def _candidates(
        self, run: BatchRun, touched: Touched, before: int, watermark: int
    ) -> Iterable[tuple[Place, OpenWindow]]:
        """Return the windows whose triggers are to be asked, in the order of their ends."""
        candidates = dict(touched)
        for place, window in self._open.due(before, watermark):
            candidates.setdefault(place, window)
        for place in self._open.rung(run.trigger_time):
            ringing = candidates.get(place) or self._open.get(place)
            if ringing is not None:
                ringing.timer = None
                candidates[place] = ringing
        return sorted(candidates.items(), key=lambda item: (item[1].end, item[1].start))

    def _ask(self, run: BatchRun, place: Place, window: OpenWindow, watermark: int, results: _Results) -> None:
        """Give a window's result if its trigger is ready, and keep the window."""
        node = self._node
        passed = window.end <= watermark
        if passed and window.on_time is None:
            window.on_time = False
        if not window.finished and node.trigger.is_ready(window.memory, run.trigger_time, passed=passed):
            window.memory, window.finished = node.trigger.on_result(window.memory, run.trigger_time, passed=passed)
            self._give(run, place, window, watermark, results)
        if passed and not window.fresh:
            # What comes from now on is late.
            window.on_time = True
        if place[0] <= watermark < window.end:
            # A session that has grown since it was placed comes due again.
            self._move(place, window, run.trigger_time)
        else:
            self._open.set_timer(
                place, window, None if window.finished else node.trigger.due(window.memory, run.trigger_time)
            )
            self._open.put(place, window)

    def _move(self, place: Place, window: OpenWindow, now: int) -> None:
        moved = (window.end, place[1], place[2])
        self._open.delete(place, window)
        self._contents.moved(place, moved)
        self._open.set_timer(moved, window, self._node.trigger.due(window.memory, now))
        self._open.put(moved, window)

    def _close(self, run: BatchRun, before: int, watermark: int, results: _Results) -> int:
        """Remove the windows whose allowed lateness is over, give what they have not given, and return the last end."""
        last_end = START_OF_TIME
        lateness = self._node.allowed_lateness_ms
        through = watermark if watermark == END_OF_TIME else watermark - lateness
        for place, window in self._open.due(before - lateness, through):
            if not self._contents.is_expired(window.end, watermark):
                self._move(place, window, run.trigger_time)
                continue
            if window.fresh and not window.finished:
                self._give(run, place, window, watermark, results)
            self._open.delete(place, window)
            self._contents.closed(place)
            run.counts[self._node.name]["expired"] += 1
            last_end = max(last_end, window.end)
        return last_end

    def _give(self, run: BatchRun, place: Place, window: OpenWindow, watermark: int, results: _Results) -> None:
        """Give a window's result, where it has one to give."""
        node = self._node
        content = self._contents.content(run, place, window)
        # Nothing, where all was given before and discarded.
        values = [] if content is None else self._contents.combiner.results(run, [None], [content])[1]
        for value in values:
            self._add_result(place, window, value, watermark, results)
        window.fresh = 0
        if window.on_time is not None:
            window.on_time = True
        if node.panes == "discarding":
            self._contents.discard(window)
            window.stamp = None

    def _add_result(self, place: Place, window: OpenWindow, value: Any, watermark: int, results: _Results) -> None:
        """Give a value as a window's result, and what it takes back before it."""
        node = self._node
        time = window.end - 1
        if window.stamp is not None:
            time = max(window.stamp, results.given_through)
        timing: Timing = "early" if window.on_time is None else ("late" if window.on_time else "on_time")
        last = window.finished or self._contents.is_expired(window.end, watermark)
        pane = Pane(timing, window.panes, last)
        if node.panes == "retracting":
            for start, end, old in window.given or ():
                results.add(window, place[2], WindowResult(start, end, old, pane, retracts=True), time)
            window.given = [(window.start, window.end, value)]
        results.add(window, place[2], WindowResult(window.start, window.end, value, pane), time)
        window.panes += 1

    def _given_through(self, watermark: int) -> int:
        """Return the watermark of results at one of the input: no later than what those may have that are to come."""
        if watermark != END_OF_TIME:
            watermark = max(START_OF_TIME, watermark - self._lag)
        hold = self._open.hold()
        return watermark if hold is None else min(watermark, hold)


@dataclass(slots=True)
class _Results:
    """The results of a batch; their watermark before it is ``given_through``."""

    given_through: int
    _rows: list[tuple[int, int, Any, WindowResult[Any], int]] = field(
        default_factory=list[tuple[int, int, Any, WindowResult[Any], int]]
    )

    def add(self, window: OpenWindow, key: Any, result: WindowResult[Any], time: int) -> None:
        """Add a result of a window, or what it takes back."""
        self._rows.append((window.end, window.start, key, result, time))

    def batch(self, watermark: Watermark, *, keyed: bool) -> Batch:
        """Return them in the order of their windows' ends."""
        rows = sorted(self._rows, key=itemgetter(0, 1))
        keys = [key for _, _, key, _, _ in rows] if keyed else None
        return Batch([row[3] for row in rows], keys, [row[4] for row in rows], watermark=watermark)

    def __len__(self) -> int:
        return len(self._rows)


def _lag(node: PanedWindow) -> int:
    """Return how far the watermark of results is behind that of the input, in milliseconds."""
    if isinstance(node.assigner, LookBack) and node.result_time == "earliest":
        # A record that is to come makes a window with those that came so long before it.
        return node.assigner.size_ms - 1
    if node.result_time == "end" and not isinstance(node.trigger, AtWatermark | OnUpdate):
        # What came in time may be given as late as when its window closes.
        return node.allowed_lateness_ms
    return 0


def _before_the_end(trigger: WindowTrigger) -> str:
    """Return when windows give results before the one that they give in any case, in words; nothing if they don't."""
    match trigger:
        case AtWatermark(early=None) | OnClose():
            return ""
        case AtWatermark():
            return f"early {trigger.early}"
        case _:
            return str(trigger)


def _contents(node: PanedWindow, open_windows: OpenWindows, tables: Tables) -> Contents:
    match node.assigner:
        case Session():
            kind = SessionContents if node.assigner.at_most_ms is None else CappedSessionContents
            return kind(node, node.assigner, open_windows, tables)
        case LookBack():
            return LookBackContents(node, node.assigner, open_windows, tables)
        case _:
            return AssignedContents(node, node.assigner, open_windows)
