"""State that is gone after a time without use: entries with a deadline, and an index of when to look at which.

An entry of a variable with a time to live is, in the variable's table:

    place -> [value, deadline, row]

An entry is never seen by a call whose time is at its deadline or behind: the deadline stands beside the value, so that
costs a comparison. Using an entry moves its deadline on: whichever is later, the old one or the time of the call and
the time to live; so records that are out of order don't shorten a life.

To remove entries that nobody asks for any more, there is an index in the order of time: among the operator's timers, of
a kind of their own, in which the row of an entry is

    row, place, name of the variable

Each entry has exactly one row in it. Renewal would move the row each time that the entry is used, which would cost as
much as the use itself: so it doesn't. The row stays where it was put when the entry was made, which is its deadline or
earlier, and the entry knows where. When the watermark (or the trigger time) gets to a row, the entry is looked at: if
its deadline has passed it is removed, else its row moves to the deadline. However often an entry is used, that costs
one more write in each time to live.

Entries leave within the first batch whose time is at their deadline. Where there are no records, batches are begun for
that: not for each entry, but for those together whose rows are within a hundredth of the time to live, and within a
second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streamproc.dataflow.variables import TimeToLive
from streamproc.engine.operators.cells import CallChanges, Cells
from streamproc.state.tables import Table
from streamproc.state.timers import Timers
from streamproc.watermark import END_OF_TIME, START_OF_TIME

__all__ = ["Expiries", "ExpiringCells", "Moment", "grid_of", "is_expired"]

_AT_ONCE: Final = 100_000
"""How many rows of an index a batch looks at, so that a long downtime doesn't make one endless batch."""
_SOON: Final = 0
"""Where the row of an entry is that was written when event time had not begun: it gets its deadline when it has."""


@dataclass(slots=True)
class Moment:
    """The time of the current call, by both clocks.

    Attributes:
        processing: The trigger time.
        event: The time of the record or of the event-time timer; the watermark where that is later, or for others.
    """

    processing: int = START_OF_TIME
    event: int = START_OF_TIME


def is_expired(entry: list[Any], now: int) -> bool:
    """Return whether an entry of a variable with a time to live is gone at a time."""
    return bool(entry[1] <= now)


def grid_of(ttl_ms: int) -> int:
    """Return the time, in milliseconds, within which things of a time to live are removed together."""
    return min(max(ttl_ms // 100, 1), 1_000)


class ExpiringCells(Cells):
    """The entries of a variable with a time to live.

    Args:
        table: The variable's table.
        changes: What the current call has changed.
        name: The variable's name.
        ttl: The time to live.
        moment: The time of the current call.
        index: The rows of entries that expire by the same time.
    """

    def __init__(
        self, table: Table[Any, Any], changes: CallChanges, name: str, ttl: TimeToLive, moment: Moment, index: Timers
    ) -> None:
        super().__init__(table, changes)
        self.ttl = ttl
        self._name = name
        self._moment = moment
        self._index = index
        self._by_event = ttl.by == "event"
        self._renew_on_read = ttl.renew == "read"

    def get(self, place: Any) -> Any:
        """Return a value that is not expired, or None."""
        entry: list[Any] | None = self.table.get(place)
        if entry is None:
            return None
        return self._read(place, entry)

    def put(self, place: Any, value: Any) -> Any:
        """Set a value, and return the expired one that it replaces, or None."""
        entry: list[Any] | None = self.table.get(place)
        now = self._now()
        deadline = now + self.ttl.ms if now != START_OF_TIME else END_OF_TIME
        replaced = None
        if entry is None:
            row = deadline if deadline != END_OF_TIME else _SOON
            self.changes.set_timer(self._index, row, place, self._name)
        else:
            if is_expired(entry, now):
                replaced = entry[0]
                self.changes.count_expired()
            deadline, row = self._later(deadline, entry[1]), entry[2]
        self.changes.put(self.table, place, [value, deadline, row])
        return replaced

    def delete(self, place: Any) -> Any:
        """Remove a value, and return it; an expired one too."""
        entry: list[Any] | None = self.table.get(place)
        if entry is None:
            return None
        if is_expired(entry, self._now()):
            self.changes.count_expired()
        self.changes.clear_timer(self._index, entry[2], place, self._name)
        self.changes.delete(self.table, place)
        return entry[0]

    def below(self, prefix: tuple[Any, ...]) -> Iterable[tuple[Any, Any]]:
        """Return the places that begin with a prefix, and their values, in order."""
        found = [(place, self._read(place, entry)) for place, entry in list(self.table.items_with_prefix(prefix))]
        return [(place, value) for place, value in found if value is not None]

    def removed(self, place: Any, value: Any) -> None:
        """Learn that an entry was removed as its time was over, outside of any call."""

    def _read(self, place: Any, entry: list[Any]) -> Any:
        now = self._now()
        if is_expired(entry, now):
            return None
        if self._renew_on_read and now != START_OF_TIME:
            deadline = self._later(now + self.ttl.ms, entry[1])
            if deadline != entry[1]:
                self.changes.put(self.table, place, [entry[0], deadline, entry[2]])
        return entry[0]

    @staticmethod
    def _later(deadline: int, known: int) -> int:
        """Return the later of two deadlines; an entry that was written when event time had not begun has none yet."""
        return deadline if known == END_OF_TIME else max(deadline, known)

    def _now(self) -> int:
        return self._moment.event if self._by_event else self._moment.processing


class ExpiringLengths(ExpiringCells):
    """The lengths of lists with a time to live; the items have no deadlines of their own."""

    def removed(self, place: Any, value: Any) -> None:
        """Remove the items of a list."""
        (key,) = place
        for number in range(value):
            self.table.delete((key, number))


class Expiries:
    """The index of an operator's entries that expire by one kind of time.

    Args:
        index: The rows.
        cells: The variables, by name.
    """

    def __init__(self, index: Timers, cells: Mapping[str, ExpiringCells]) -> None:
        self._index = index
        self._cells = cells
        self._grid = min((grid_of(each.ttl.ms) for each in cells.values()), default=1)

    def next(self) -> int | None:
        """Return the time at which there is something to look at, and all with it that is due soon after."""
        first = self._index.next()
        return None if first is None else -(-first // self._grid) * self._grid

    def sweep(self, now: int) -> int:
        """Remove what has expired at a time, and return how many entries that were."""
        due = self._index.due(now, limit=None if now == END_OF_TIME else _AT_ONCE)
        places: dict[str, list[Any]] = {}
        for _, place, name in due:
            places.setdefault(name, []).append(place)
        for name, of_variable in places.items():
            self._cells[name].table.load(of_variable)
        return sum(self._look_at(*row, now) for row in due)

    def _look_at(self, when: int, place: Any, name: str, now: int) -> bool:
        """Remove an entry whose row is due, or move its row, and return whether it was removed."""
        self._index.remove(when, place, name)
        cells = self._cells[name]
        entry: list[Any] | None = cells.table.get(place)
        if entry is None:
            return False
        value, deadline, _ = entry
        if deadline == END_OF_TIME:
            deadline = now + cells.ttl.ms if now != END_OF_TIME else now
        if deadline > now:
            cells.table.put(place, [value, deadline, deadline])
            self._index.add(deadline, place, name)
            return False
        cells.table.delete(place)
        cells.removed(place, value)
        return True
