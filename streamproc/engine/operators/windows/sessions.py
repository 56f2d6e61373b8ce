"""Sessions: windows that grow with the records of a key, and merge.

State layout, under the operator's name, besides that of `open_windows`: ``sessions``: key -> the places of its open
sessions, ordered by their starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from streamproc.dataflow.window_nodes import PanedWindow
from streamproc.engine.operators.windows.contents import Arrivals, Contents, Part, Touched
from streamproc.engine.operators.windows.open_windows import OpenWindow, OpenWindows, Place
from streamproc.state.tables import Tables
from streamproc.watermark import END_OF_TIME
from streamproc.windowing.assigners import Session
from streamproc.windowing.windows import Window

__all__ = ["Activity", "SessionContents"]


@dataclass(slots=True)
class Activity:
    """Records of one key in a batch that are in one session, whatever else is in it."""

    key: Any
    start: int
    end: int
    rows: list[int]


class SessionContents(Contents):
    """The contents of sessions."""

    def __init__(self, node: PanedWindow, assigner: Session, open_windows: OpenWindows, tables: Tables) -> None:
        super().__init__(node, open_windows)
        self.gap = assigner.gap_ms
        self._at_most = assigner.at_most_ms
        self._sessions = tables.table(node.name, "sessions")

    def add(self, arrivals: Arrivals) -> tuple[Touched, list[int]]:
        """Add records to sessions, and merge those that they join."""
        activities = list(self._activities(arrivals))
        keys = dict.fromkeys(activity.key for activity in activities)
        self._sessions.load(keys)
        self.open.load(place for key in keys for place in self.places(key))
        groups = [0] * len(arrivals.times)
        for number, activity in enumerate(activities):
            for row in activity.rows:
                groups[row] = number
        parts = {number: part for (number, _), part in self.parts(arrivals, groups).items()}
        touched: Touched = {}
        late: list[int] = []
        for number, activity in enumerate(activities):
            if number in parts and not self.add_to_sessions(arrivals, activity, parts[number], touched):
                late += activity.rows
        return touched, sorted(late)

    def at(self, key: Any, time: int) -> Sequence[tuple[Window, OpenWindow | None]]:
        """Return the sessions that hold a time."""
        sessions = [self.open.get(place) for place in self.places(key)]
        return [(Window(s.start, s.end), s) for s in sessions if s is not None and s.start <= time < s.end]

    def closed(self, place: Place) -> None:
        """Forget a session's place."""
        key = place[2]
        self.put_places(key, [other for other in self.places(key) if other != place])

    def moved(self, place: Place, moved: Place) -> None:
        """Replace a session's place."""
        key = place[2]
        self.put_places(key, [moved if other == place else other for other in self.places(key)])

    def _activities(self, arrivals: Arrivals) -> Iterator[Activity]:
        """Yield what the batch's own records come to, in the order of their times.

        Where sessions have a maximum, also the multiples of that divide them.
        """
        times, keys, gap, interval = arrivals.times, arrivals.keys, self.gap, self._at_most or END_OF_TIME
        last: dict[Any, Activity] = {}
        for row in sorted(range(len(times)), key=times.__getitem__):
            key, time = keys[row], times[row]
            activity = last.get(key)
            if activity is not None and time < activity.end and time // interval == activity.start // interval:
                activity.end = time + gap
                activity.rows.append(row)
                continue
            activity = last[key] = Activity(key, time, time + gap, [row])
            yield activity

    def add_to_sessions(self, arrivals: Arrivals, activity: Activity, part: Part, touched: Touched) -> bool:
        """Add records to the session that they are in, and return whether that is not closed."""
        places = self.places(activity.key)
        overlapping: list[tuple[Place, OpenWindow]] = []
        for place in places:
            window = touched.get(place) or self.open.get(place)
            assert window is not None, f"session {place} is not there"
            if window.start < activity.end and activity.start < window.end:
                overlapping.append((place, window))
        joined = [(place, window) for place, window in overlapping if not window.finished]
        if overlapping and not joined:
            return False
        start = min([activity.start, *(window.start for _, window in joined)])
        end = max([activity.end, *(window.end for _, window in joined)])
        if self.is_expired(end, arrivals.watermark):
            return False
        if joined:
            place, session = self.merged(arrivals, joined, start, end, touched)
        else:
            place, session = (end, start, activity.key), self.open_window(start, end, arrivals)
        others = {other for other, _ in joined}
        kept = [other for other in places if other not in others]
        self.put_in(arrivals, session, part)
        touched[place] = session
        kept.append(place)
        if kept != places:
            self.put_places(activity.key, kept)
        return True

    def merged(
        self, arrivals: Arrivals, joined: list[tuple[Place, OpenWindow]], start: int, end: int, touched: Touched
    ) -> tuple[Place, OpenWindow]:
        """Return what several sessions, or one that grows, become."""
        joined.sort(key=lambda item: item[1].start)
        (place, session), *others = joined
        passed = end <= arrivals.watermark
        windows = [window for _, window in joined]
        session.memory = self.node.trigger.merge([window.memory for window in windows], passed=passed)
        session.on_time = any(window.on_time for window in windows) if passed else None
        session.panes = max(window.panes for window in windows)
        for other, window in others:
            session.content = self.merge(arrivals.run, session.content, window.content)
            session.fresh += window.fresh
            session.stamp = self.better_stamp(session.stamp, window.stamp)
            session.given = [*(session.given or ()), *(window.given or ())] or None
            self.open.delete(other, window)
            touched.pop(other, None)
        session.start, session.end = start, end
        if place[0] <= arrivals.watermark < end or end < place[0]:
            # What was due is so again, later; or what was cut is so earlier.
            self.open.delete(place, session)
            touched.pop(place, None)
            place = (end, place[1], place[2])
        return place, session

    def places(self, key: Any) -> list[Place]:
        """Return the places of a key's open sessions."""
        return [(due, start, key) for due, start in self._sessions.get(key) or ()]

    def put_places(self, key: Any, places: list[Place]) -> None:
        """Keep the places of a key's open sessions."""
        if places:
            self._sessions.put(key, sorted((due, start) for due, start, _ in places))
        else:
            self._sessions.delete(key)
