"""Sessions with a maximum: what goes on for too long is cut, and goes on as another session.

A session is cut at the first multiple of the maximum that lies at least the maximum behind its start, and from there on
at each further one (Azure Stream Analytics checks its sessions' ages so). Where a session starts is known only when the
watermark has passed: an older record may still come, and move the first cut. So the content of a session is kept in
*atoms*, one for each interval between multiples of the maximum, which no cut can divide: a list of
``[first timestamp, last timestamp, number of records, accumulator]``.

Sessions that were cut lie one behind the other, without a gap, up to a gap behind the last record; the last of them may
be empty yet: it is there so that what comes next starts at the cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeAlias

from streamproc.dataflow.window_nodes import PanedWindow
from streamproc.engine.operators.windows.contents import Arrivals, Part, Touched
from streamproc.engine.operators.windows.open_windows import OpenWindow, OpenWindows, Place
from streamproc.engine.operators.windows.sessions import Activity, SessionContents
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables
from streamproc.windowing.assigners import Session
from streamproc.windowing.windows import Window

__all__ = ["CappedSessionContents"]

Atom: TypeAlias = list[Any]
Row: TypeAlias = tuple[Place, OpenWindow]


def cut(activity: Window, at_most: int) -> Iterator[Window]:
    """Yield the sessions that a period of activity is cut into."""
    start = activity.start
    border = -(-(start + at_most) // at_most) * at_most
    while border < activity.end:
        yield Window(start, border)
        start, border = border, border + at_most
    yield Window(start, activity.end)


class CappedSessionContents(SessionContents):
    """The contents of sessions that are cut."""

    def __init__(self, node: PanedWindow, assigner: Session, open_windows: OpenWindows, tables: Tables) -> None:
        super().__init__(node, assigner, open_windows, tables)
        assert assigner.at_most_ms is not None
        self._interval: int = assigner.at_most_ms

    def content(self, run: BatchRun, place: Place, window: OpenWindow) -> Any:
        """Return the accumulators of a session's atoms merged."""
        content: Any = None
        for *_, accumulator in window.content or ():
            if accumulator is not None:
                content = self.merge(run, content, self.node.aggregate.copy(accumulator))
        return content

    def discard(self, window: OpenWindow) -> None:
        """Forget what a session has given; where its records were is needed to cut it."""
        for atom in window.content or ():
            atom[3] = None

    def add_to_sessions(self, arrivals: Arrivals, activity: Activity, part: Part, touched: Touched) -> bool:
        """Add records to the session that they are in, and return whether that is not closed."""
        places = self.places(activity.key)
        rows = [(place, touched.get(place) or self.open.get(place)) for place in places]
        before = [
            (place, window)
            for place, window in rows
            if window is not None and window.start < activity.end and activity.start < window.end
        ]
        start = min([activity.start, *(window.start for _, window in before)])
        end = max([activity.end, *(window.end for _, window in before)])
        sessions = list(cut(Window(start, end), self._interval))
        home = next(session for session in sessions if session.start <= activity.start < session.end)
        finished = any(window.finished for _, window in before if home.start <= window.start < home.end)
        if finished or self.is_expired(home.end, arrivals.watermark):
            return False
        added = [activity.start, activity.end - self.gap, part.count, part.accumulator]
        atoms = self._merged_atoms(arrivals.run, [*chain.from_iterable(w.content or () for _, w in before), added])
        kept = [place for place in places if place not in {old for old, _ in before}]
        for session in sessions:
            place, window = self._shaped(arrivals, activity.key, session, before, atoms, touched)
            if session is home:
                window.fresh -= part.count if window.panes == 0 else 0
                self.note(arrivals, window, part)
            touched[place] = window
            kept.append(place)
        self.put_places(activity.key, kept)
        return True

    def _merged_atoms(self, run: BatchRun, atoms: list[Atom]) -> list[Atom]:
        """Return atoms in order, with those of one interval merged."""
        merged: list[Atom] = []
        for first, last, count, accumulator in sorted(atoms, key=lambda atom: atom[0]):
            before = merged[-1] if merged else None
            if before is not None and before[0] // self._interval == first // self._interval:
                together = self.merge(run, before[3], accumulator)
                merged[-1] = [before[0], max(before[1], last), before[2] + count, together]
            else:
                merged.append([first, last, count, accumulator])
        return merged

    def _shaped(
        self,
        arrivals: Arrivals,
        key: Any,
        session: Window,
        before: list[Row],
        atoms: list[Atom],
        touched: Touched,
    ) -> Row:
        """Return a session with what is known of those that started in it, and the atoms that are in it."""
        inside = [atom for atom in atoms if session.start <= atom[0] < session.end]
        mine = [(place, window) for place, window in before if session.start <= window.start < session.end]
        if mine:
            for _, window in mine:
                window.content = None
            place, window = self.merged(arrivals, mine, session.start, session.end, touched)
        else:
            place, window = (session.end, session.start, key), self.open_window(session.start, session.end, arrivals)
        window.content = inside
        records = sum(count for _, _, count, _ in inside)
        if window.panes == 0 and records != window.fresh:
            # A cut has moved: what came before is new to this session, or isn't in it any more.
            window.fresh = records
        window.stamp = None
        if inside and self.node.result_time != "end":
            stamp = inside[0][0] if self.node.result_time == "earliest" else inside[-1][1]
            window.stamp = max(stamp, arrivals.given_through)
        return place, window
