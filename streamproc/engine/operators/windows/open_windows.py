"""The windows of a `PanedWindowOperator` that are not closed yet, in the order in which they come due.

State layout, under the operator's name:

    windows   (due, start, key) -> a row: see `OpenWindow.row`
    holds     (time, due, start, key) -> 1, where results have the times of records: what they may have at least

``due`` is the end that a window has when it is opened. The end of a session moves on with each record; so that this
costs no more than writing its row, its place stays until it is looked at because it is due: then it moves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from streamproc.state.tables import Tables
from streamproc.watermark import START_OF_TIME

__all__ = ["OpenWindow", "OpenWindows", "Place"]

Place: TypeAlias = tuple[int, int, Any]
"""Where a window is found: when it was first due, its first start, its key."""


@dataclass(slots=True)
class OpenWindow:
    """A window of one key that is not closed yet.

    Attributes:
        start: Its start.
        end: Its end.
        content: The accumulator of what it gives next; None where nothing has come since the last result, if results
            are discarded.
        memory: What its trigger remembers.
        fresh: How many records have come since the last result.
        panes: How many results it has given.
        on_time: None while the watermark is before its end; then whether it has given a result since.
        finished: Whether its trigger has finished, so that no records are taken any more.
        timer: The processing time for which its trigger has set a timer.
        stamp: The earliest or the latest timestamp of its records, where results have that.
        given: What it has to take back with its next result: start, end and value of earlier ones; None for nothing.
    """

    start: int
    end: int
    content: Any
    memory: Any
    fresh: int = 0
    panes: int = 0
    on_time: bool | None = None
    finished: bool = False
    timer: int | None = None
    stamp: int | None = None
    given: list[tuple[int, int, Any]] | None = None

    @property
    def row(self) -> tuple[Any, ...]:
        """The window as it is kept: its attributes in their order."""
        return (
            self.start,
            self.end,
            self.content,
            self.memory,
            self.fresh,
            self.panes,
            self.on_time,
            self.finished,
            self.timer,
            self.stamp,
            self.given,
        )


class OpenWindows:
    """The open windows of one operator.

    Args:
        operator: The operator's name.
        tables: The state of the shard.
        stamped: Whether results have times of records.
    """

    def __init__(self, operator: str, tables: Tables, *, stamped: bool) -> None:
        self._windows = tables.table(operator, "windows")
        self._holds = tables.table(operator, "holds") if stamped else None
        self._earliest = START_OF_TIME
        """There is no hold before this time."""
        self._timers = tables.timers(operator)

    def load(self, places: Iterable[Place]) -> None:
        """Bring windows into the cache in one read.

        Raises:
            EncodeError: A key is none that state can have.
        """
        self._windows.load(places)

    def get(self, place: Place) -> OpenWindow | None:
        """Return a window; what is changed in it is kept only if it is `put` again."""
        row = self._windows.get(place)
        return None if row is None else OpenWindow(*row)

    def put(self, place: Place, window: OpenWindow) -> None:
        """Keep a window."""
        self._hold(place, window.stamp if window.fresh else None)
        self._windows.put(place, window.row)

    def delete(self, place: Place, window: OpenWindow) -> None:
        """Remove a window, and its timer."""
        self._hold(place, None)
        self.set_timer(place, window, None)
        self._windows.delete(place)

    def set_timer(self, place: Place, window: OpenWindow, when: int | None) -> None:
        """Have a window be found by `rung` at a processing time, or at none; `put` it after that."""
        if when == window.timer:
            return
        if window.timer is not None:
            self._timers.remove(window.timer, place)
        if when is not None:
            self._timers.add(when, place)
        window.timer = when

    def rung(self, now: int) -> list[Place]:
        """Return the windows whose timers have come due, and remove these."""
        places: list[Place] = []
        for when, place, name in self._timers.due(now):
            self._timers.remove(when, place, name)
            places.append(place)
        return places

    def due(self, after: int, through: int) -> list[tuple[Place, OpenWindow]]:
        """Return the windows whose places are due in ``(after, through]``, in order."""
        return [(place, OpenWindow(*row)) for place, row in self._windows.items((after + 1,), (through + 1,))]

    def first_due(self, after: int) -> int | None:
        """Return when the first window behind a time is due."""
        first = next(self._windows.items((after + 1,)), None)
        return None if first is None else first[0][0]

    def next_timer(self) -> int | None:
        """Return the processing time of the first timer."""
        return self._timers.next()

    def hold(self) -> int | None:
        """Return the earliest time that a result may have which is to come."""
        if self._holds is None:
            return None
        # Not from the beginning of the table: what was removed there takes the store time to pass.
        first = next(self._holds.items((self._earliest,)), None)
        if first is not None:
            self._earliest = first[0][0]
        return None if first is None else first[0][0]

    def _held(self, place: Place) -> int | None:
        """Return the time that a window as it is kept holds."""
        before = self.get(place)
        return None if before is None or not before.fresh else before.stamp

    def _hold(self, place: Place, now: int | None) -> None:
        """Hold back the watermark of results to the time that a window's next one may have."""
        if self._holds is None:
            return
        before = self._held(place)
        if before is not None and before != now:
            self._holds.delete((before, *place))
        if now is not None and before != now:
            self._holds.put((now, *place), 1)
            self._earliest = min(self._earliest, now)
