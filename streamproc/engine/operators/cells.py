"""The entries of a state variable, as a call of the user's function reads and changes them.

One call changes all that it wants to change, or, when it fails, nothing: what it does to tables is done at once and
noted so that it can be taken back, what it does to timers and indexes is done when the call is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from streamproc.state.tables import Table
from streamproc.state.timers import Timers

__all__ = ["CallChanges", "Cells", "PlainCells", "TimerChange"]

TimerChange: TypeAlias = tuple[Timers, bool, int, Any, str]
"""What a call has done to a timer: which timers it belongs to, whether it was set or removed, time, key and name."""


class CallChanges:
    """What the current call has changed."""

    def __init__(self) -> None:
        self.expired = 0
        """How many entries were removed or replaced whose time was over, in calls that have succeeded."""
        self._expired = 0
        self._before: list[tuple[Table[Any, Any], Any, Any]] = []
        self._timers: list[TimerChange] = []

    def put(self, table: Table[Any, Any], key: Any, value: Any) -> None:
        """Set an entry of a table."""
        self._before.append((table, key, table.get(key)))
        table.put(key, value)

    def delete(self, table: Table[Any, Any], key: Any) -> None:
        """Remove an entry of a table."""
        self._before.append((table, key, table.get(key)))
        table.delete(key)

    def set_timer(self, timers: Timers, when: int, key: Any, name: str) -> None:
        """Set a timer once the call has succeeded."""
        self._timers.append((timers, True, when, key, name))

    def clear_timer(self, timers: Timers, when: int, key: Any, name: str) -> None:
        """Remove a timer once the call has succeeded."""
        self._timers.append((timers, False, when, key, name))

    def count_expired(self) -> None:
        """Count an entry that was removed or replaced when its time was over."""
        self._expired += 1

    def keep(self) -> list[TimerChange]:
        """End a call that has succeeded, and return what it has done to timers, in order."""
        self._before.clear()
        self.expired += self._expired
        self._expired = 0
        if not self._timers:
            return []
        changed, self._timers = self._timers, []
        for timers, is_set, when, key, name in changed:
            if is_set:
                timers.add(when, key, name)
            else:
                timers.remove(when, key, name)
        return changed

    def undo(self) -> None:
        """End a call that has failed: as if it had never been made."""
        for table, key, before in reversed(self._before):
            if before is None:
                table.delete(key)
            else:
                table.put(key, before)
        self._before.clear()
        self._timers.clear()
        self._expired = 0


class Cells:
    """Where the entries of one variable are: for each place in its table at most one value."""

    def __init__(self, table: Table[Any, Any], changes: CallChanges) -> None:
        self.table = table
        """The table itself, for entries that belong to others and have no life of their own."""
        self.changes = changes

    def get(self, place: Any) -> Any:
        """Return a value, or None."""
        raise NotImplementedError

    def put(self, place: Any, value: Any) -> Any:
        """Set a value, and return what it replaces that is not seen any more: an expired value, or None."""
        raise NotImplementedError

    def delete(self, place: Any) -> Any:
        """Remove a value, and return it; an expired one too."""
        raise NotImplementedError

    def below(self, prefix: tuple[Any, ...]) -> Iterable[tuple[Any, Any]]:
        """Return the places that begin with a prefix, and their values, in order."""
        raise NotImplementedError

    def delete_below(self, prefix: tuple[Any, ...]) -> None:
        """Remove all values whose places begin with a prefix; expired ones too."""
        for place, _ in list(self.table.items_with_prefix(prefix)):
            self.delete(place)


class PlainCells(Cells):
    """Entries that stay until they are removed: place -> value."""

    def get(self, place: Any) -> Any:
        """Return a value, or None."""
        return self.table.get(place)

    def put(self, place: Any, value: Any) -> Any:
        """Set a value."""
        self.changes.put(self.table, place, value)

    def delete(self, place: Any) -> Any:
        """Remove a value, and return it."""
        value = self.table.get(place)
        if value is not None:
            self.changes.delete(self.table, place)
        return value

    def below(self, prefix: tuple[Any, ...]) -> Iterable[tuple[Any, Any]]:
        """Return the places that begin with a prefix, and their values, in order."""
        return list(self.table.items_with_prefix(prefix))
