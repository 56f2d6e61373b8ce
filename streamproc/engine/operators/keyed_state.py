"""What a user's `KeyedProcess` reaches of its state, timers and side outputs: the context, and handles of variables.

State layout: for each variable a table of its name under the operator's:

    value   key -> value
    list    (key, number of the item) -> item, and (key,) -> how many items
    map     (key, map key) -> value

What a user gets is a copy, and so is what is kept of what a user sets: tables hand out what they cache, and a change in
place, by the function or by whoever gets its results, would be kept or lost by chance, and stay when the call fails.

Of a variable with a time to live, values, lengths and entries of maps have deadlines beside them: see
`streamproc.engine.operators.expiry`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from streamproc.dataflow.variables import List, Map, Output, Value, Variable
from streamproc.engine.operators.cells import CallChanges, Cells
from streamproc.engine.operators.expiry import Moment
from streamproc.engine.operators.timer_queue import TimerRow
from streamproc.errors import PipelineError
from streamproc.state.keys import encode_key
from streamproc.state.timers import Timers
from streamproc.values import copy_value

__all__ = ["Context"]


class Context:
    """The `streamproc.dataflow.process.ProcessContext` of one operator and batch: it is moved from key to key.

    Args:
        time: The batch's trigger time.
        cells: The entries of the variables by name.
        outputs: The names of the side outputs.
        changes: What the current call has changed; that of the cells too.
        moment: The time of the current call; that of the cells too.
        timers: The operator's processing-time timers.
        event_timers: The operator's event-time timers.
    """

    def __init__(
        self,
        time: int,
        cells: Mapping[str, Cells],
        outputs: frozenset[str],
        changes: CallChanges,
        moment: Moment,
        timers: Timers,
        event_timers: Timers,
    ) -> None:
        self.key: Any = None
        self.time = time
        self.timestamp = time
        self.result_time = time
        """The timestamp of what the current call gives."""
        self.watermark = time
        self.given: list[tuple[str, Any]] = []
        """What the current call has given to side outputs."""
        self._cells = cells
        self._outputs = outputs
        self._changes = changes
        self._moment = moment
        moment.processing = time
        self._timers = timers
        self._event_timers = event_timers

    def enter(self, key: Any, timestamp: int, event_time: int, result_time: int) -> None:
        """Begin a call for a key.

        Args:
            key: The key.
            timestamp: The time of the record, or of the timer.
            event_time: The event time at which variables are read and written.
            result_time: The timestamp of what the call gives.
        """
        self.key = key
        self.timestamp = timestamp
        self.result_time = result_time
        self._moment.event = event_time

    def value(self, variable: Value[Any], /) -> KeyValue:
        """Return the current key's value of a variable."""
        return KeyValue(self._of(variable, Value), self.key, variable.default)

    def list(self, variable: List[Any], /) -> KeyList:
        """Return the current key's list of a variable."""
        return KeyList(self._of(variable, List), self.key)

    def map(self, variable: Map[Any, Any], /) -> KeyMap:
        """Return the current key's map of a variable."""
        return KeyMap(self._of(variable, Map), self.key)

    def output(self, output: Output[Any], value: Any, /) -> None:
        """Give an element to a side output, under the current key."""
        if output.name not in self._outputs:
            raise PipelineError(f"the side output {output!r} is not an attribute of the process's class")
        self.given.append((output.name, value))

    def set_timer(self, when: int, /, name: str = "") -> None:
        """Have ``on_timer`` called for the current key once the trigger time is ``when``."""
        self._changes.set_timer(self._timers, *self._timer(when, name))

    def clear_timer(self, when: int, /, name: str = "") -> None:
        """Remove a timer of the current key."""
        self._changes.clear_timer(self._timers, *self._timer(when, name))

    def set_event_timer(self, when: int, /, name: str = "") -> None:
        """Have ``on_timer`` called for the current key once the watermark is ``when``."""
        self._changes.set_timer(self._event_timers, *self._timer(when, name))

    def clear_event_timer(self, when: int, /, name: str = "") -> None:
        """Remove an event-time timer of the current key."""
        self._changes.clear_timer(self._event_timers, *self._timer(when, name))

    def _timer(self, when: int, name: str) -> TimerRow:
        """Return a timer of the current key, once it is certain that it can be kept."""
        if type(when) is not int:
            raise TypeError(
                f"a timer for {when!r}: expected epoch milliseconds as an int, such as context.time + 30_000"
            )
        if type(name) is not str:
            raise TypeError(f"a timer named {name!r}: expected text")
        encode_key(name)
        return when, self.key, name

    def _of(self, variable: Variable, kind: type[Variable]) -> Cells:
        if not isinstance(variable, kind):
            asked, declared = kind.__name__.lower(), type(variable).__name__
            if not isinstance(variable, Variable):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise PipelineError(f"context.{asked}({variable!r}): expected a state variable of the process's class")
            raise PipelineError(
                f"context.{asked}(self.{variable.name}): {variable.name} is declared as a {declared}: "
                f"use context.{declared.lower()}(self.{variable.name})"
            )
        cells = self._cells.get(variable.name)
        if cells is None:
            raise PipelineError(f"the state variable {variable!r} is not an attribute of the process's class")
        return cells


class KeyValue:
    """A `streamproc.dataflow.variables.ValueState` of one key."""

    def __init__(self, cells: Cells, key: Any, default: Any) -> None:
        self._cells = cells
        self._key = key
        self._default = default

    def get(self) -> Any:
        """Return the value, or the default."""
        value = self._cells.get(self._key)
        return deepcopy(self._default) if value is None else copy_value(value)

    def set(self, value: Any, /) -> None:
        """Replace the value."""
        if value is None:
            self.clear()
        else:
            self._cells.put(self._key, copy_value(value))

    def clear(self) -> None:
        """Remove the value."""
        self._cells.delete(self._key)

    def take(self) -> Any:
        """Return the value and remove it."""
        value = self.get()
        self.clear()
        return value


class KeyList:
    """A `streamproc.dataflow.variables.ListState` of one key."""

    def __init__(self, cells: Cells, key: Any) -> None:
        self._cells = cells
        self._items = cells.table
        self._key = key

    def append(self, item: Any, /) -> None:
        """Add an item at the end."""
        length = len(self)
        changes = self._cells.changes
        changes.put(self._items, (self._key, length), copy_value(item))
        expired: int = self._cells.put((self._key,), length + 1) or 0
        for number in range(length + 1, expired):
            changes.delete(self._items, (self._key, number))

    def __iter__(self) -> Iterator[Any]:
        places = [(self._key, number) for number in range(len(self))]
        self._items.load(places)
        return iter([copy_value(self._items.get(place)) for place in places])

    def __len__(self) -> int:
        length: int | None = self._cells.get((self._key,))
        return length or 0

    def clear(self) -> None:
        """Remove all items."""
        length: int = self._cells.delete((self._key,)) or 0
        for number in range(length):
            self._cells.changes.delete(self._items, (self._key, number))


class KeyMap:
    """A `streamproc.dataflow.variables.MapState` of one key."""

    def __init__(self, cells: Cells, key: Any) -> None:
        self._cells = cells
        self._key = key

    def get(self, key: Any, /) -> Any:
        """Return an entry's value, or None."""
        return copy_value(self._cells.get((self._key, key)))

    def put(self, key: Any, value: Any, /) -> None:
        """Set an entry; None removes it."""
        if value is None:
            self.remove(key)
        else:
            self._cells.put((self._key, key), copy_value(value))

    def remove(self, key: Any, /) -> None:
        """Remove an entry."""
        self._cells.delete((self._key, key))

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Yield the entries, ordered by their keys."""
        for (_, key), value in self._cells.below((self._key,)):
            yield key, copy_value(value)

    def clear(self) -> None:
        """Remove all entries."""
        self._cells.delete_below((self._key,))
