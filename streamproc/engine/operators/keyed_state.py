"""What a user's `KeyedProcess` reaches of its state and timers: the context, and a handle for each kind of variable.

State layout: for each variable a table of its name under the operator's:

    value   key -> value
    list    (key, number of the item) -> item, and (key,) -> how many items
    map     (key, map key) -> value

One call of the user's function changes all that it wants to change, or, when it fails, nothing: changes of tables are
noted so that they can be taken back, and those of timers are made when the call is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from streamproc.dataflow.process import List, Map, Value
from streamproc.errors import PipelineError
from streamproc.state.tables import Table, Timers

__all__ = ["Context"]


class _Changes:
    """What the current call has changed in tables."""

    def __init__(self) -> None:
        self._before: list[tuple[Table[Any, Any], Any, Any]] = []

    def put(self, table: Table[Any, Any], key: Any, value: Any) -> None:
        self._before.append((table, key, table.get(key)))
        table.put(key, value)

    def delete(self, table: Table[Any, Any], key: Any) -> None:
        self._before.append((table, key, table.get(key)))
        table.delete(key)

    def keep(self) -> None:
        self._before.clear()

    def undo(self) -> None:
        for table, key, before in reversed(self._before):
            if before is None:
                table.delete(key)
            else:
                table.put(key, before)
        self._before.clear()


class Context:
    """The `streamproc.dataflow.process.ProcessContext` of one operator and batch: it is moved from key to key.

    Args:
        time: The batch's trigger time.
        tables: The tables of the variables by name.
        timers: The operator's timers.
    """

    def __init__(self, time: int, tables: Mapping[str, Table[Any, Any]], timers: Timers) -> None:
        self.key: Any = None
        self.time = time
        self.timestamp = time
        self.cleared: set[tuple[int, Any, str]] = set()
        """The timers that were cleared in this batch, and not set again."""
        self._tables = tables
        self._timers = timers
        self._changes = _Changes()
        self._timer_changes: list[tuple[bool, int, str]] = []

    def enter(self, key: Any, timestamp: int) -> None:
        """Begin a call for a key."""
        self.key = key
        self.timestamp = timestamp

    def keep(self) -> None:
        """End a call that has succeeded."""
        self._changes.keep()
        for is_set, when, name in self._timer_changes:
            timer = (when, self.key, name)
            if is_set:
                self._timers.add(*timer)
                self.cleared.discard(timer)
            else:
                self._timers.remove(*timer)
                self.cleared.add(timer)
        self._timer_changes.clear()

    def undo(self) -> None:
        """End a call that has failed: as if it had never been made."""
        self._changes.undo()
        self._timer_changes.clear()

    def value(self, variable: Value[Any], /) -> KeyValue:
        """Return the current key's value of a variable."""
        return KeyValue(self._table(variable.name, variable), self.key, variable.default, self._changes)

    def list(self, variable: List[Any], /) -> KeyList:
        """Return the current key's list of a variable."""
        return KeyList(self._table(variable.name, variable), self.key, self._changes)

    def map(self, variable: Map[Any, Any], /) -> KeyMap:
        """Return the current key's map of a variable."""
        return KeyMap(self._table(variable.name, variable), self.key, self._changes)

    def set_timer(self, when: int, /, name: str = "") -> None:
        """Have ``on_timer`` called for the current key once the trigger time is ``when``."""
        self._timer_changes.append((True, _checked(when), name))

    def clear_timer(self, when: int, /, name: str = "") -> None:
        """Remove a timer of the current key."""
        self._timer_changes.append((False, _checked(when), name))

    def _table(self, name: str, variable: object) -> Table[Any, Any]:
        if name not in self._tables:
            raise PipelineError(f"the state variable {variable!r} is not an attribute of the process's class")
        return self._tables[name]


class KeyValue:
    """A `streamproc.dataflow.process.ValueState` of one key."""

    def __init__(self, table: Table[Any, Any], key: Any, default: Any, changes: _Changes) -> None:
        self._table = table
        self._key = key
        self._default = default
        self._changes = changes

    def get(self) -> Any:
        """Return the value, or the default."""
        value = self._table.get(self._key)
        # A copy: who changes it and sets it must not change what all other keys begin with.
        return deepcopy(self._default) if value is None else value

    def set(self, value: Any, /) -> None:
        """Replace the value."""
        if value is None:
            self.clear()
        else:
            self._changes.put(self._table, self._key, value)

    def clear(self) -> None:
        """Remove the value."""
        self._changes.delete(self._table, self._key)

    def take(self) -> Any:
        """Return the value and remove it."""
        value = self.get()
        self.clear()
        return value


class KeyList:
    """A `streamproc.dataflow.process.ListState` of one key."""

    def __init__(self, table: Table[Any, Any], key: Any, changes: _Changes) -> None:
        self._table = table
        self._key = key
        self._changes = changes

    def append(self, item: Any, /) -> None:
        """Add an item at the end."""
        length = len(self)
        self._changes.put(self._table, (self._key, length), item)
        self._changes.put(self._table, (self._key,), length + 1)

    def __iter__(self) -> Iterator[Any]:
        places = [(self._key, number) for number in range(len(self))]
        self._table.load(places)
        return iter([self._table.get(place) for place in places])

    def __len__(self) -> int:
        length: int | None = self._table.get((self._key,))
        return length or 0

    def clear(self) -> None:
        """Remove all items."""
        for number in range(len(self)):
            self._changes.delete(self._table, (self._key, number))
        self._changes.delete(self._table, (self._key,))


class KeyMap:
    """A `streamproc.dataflow.process.MapState` of one key."""

    def __init__(self, table: Table[Any, Any], key: Any, changes: _Changes) -> None:
        self._table = table
        self._key = key
        self._changes = changes

    def get(self, key: Any, /) -> Any:
        """Return an entry's value, or None."""
        return self._table.get((self._key, key))

    def put(self, key: Any, value: Any, /) -> None:
        """Set an entry."""
        self._changes.put(self._table, (self._key, key), value)

    def remove(self, key: Any, /) -> None:
        """Remove an entry."""
        self._changes.delete(self._table, (self._key, key))

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Yield the entries, ordered by their keys."""
        for (_, key), value in self._entries():
            yield key, value

    def clear(self) -> None:
        """Remove all entries."""
        for place, _ in self._entries():
            self._changes.delete(self._table, place)

    def _entries(self) -> list[tuple[tuple[Any, Any], Any]]:
        return list(self._table.items_with_prefix((self._key,)))


def _checked(when: int) -> int:
    if type(when) is not int:
        raise TypeError(f"a timer for {when!r}: expected epoch milliseconds as an int, such as context.time + 30_000")
    return when
