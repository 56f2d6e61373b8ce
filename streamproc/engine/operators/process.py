"""Runs a user's `KeyedProcess`: named state variables and timers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.nodes import Process
from streamproc.dataflow.process import KeyedProcess, List, Map, Timer, Value, variables_of
from streamproc.engine.failures import Failures
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun
from streamproc.errors import PipelineError
from streamproc.state.tables import Table, Tables, Timers

__all__ = ["ProcessOperator"]


class ProcessOperator(Operator):
    """Calls ``process`` for each record, then ``on_timer`` for each timer that is due by the trigger time.

    A timer that is set by ``on_timer`` for a time that has passed comes due in the next batch.

    State layout: for each variable a table of its name under the operator's:

        value   key -> value
        list    (key, number of the item) -> item, and (key,) -> how many items
        map     (key, map key) -> value
    """

    def __init__(self, node: Process, tables: Tables) -> None:
        function: KeyedProcess[Any, Any, Any] = node.function
        self._function = function
        self._tables = {name: tables.table(node.name, name) for name in variables_of(function)}
        self._values = [
            self._tables[name] for name, variable in variables_of(function).items() if isinstance(variable, Value)
        ]
        self._timers = tables.timers(node.name)
        self._on_record = Failures(node, function.process)
        self._on_timer = Failures(node, function.on_timer)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return what the function yields, under the keys that were current."""
        (batch,) = inputs
        out = _Results()
        batch_keys = batch.keys or []
        for table in self._values:
            table.load(dict.fromkeys(batch_keys))
        context = Context(run.trigger_time, self._tables, self._timers)
        for row, (key, value) in enumerate(zip(batch_keys, batch.values, strict=True)):
            context.enter(key, run.time if batch.timestamps is None else batch.timestamps[row])
            try:
                out.add(key, context.timestamp, self._function.process(context, value))
            except Exception as error:  # noqa: BLE001 - the policy decides
                self._on_record.handle(run, error, (key, value), batch.origins, row)
        for when, key, name in self._timers.due(run.trigger_time):
            self._timers.remove(when, key, name)
            context.enter(key, when)
            try:
                out.add(key, when, self._function.on_timer(context, Timer(when, name)))
            except Exception as error:  # noqa: BLE001 - the policy decides
                self._on_timer.handle(run, error, (key, Timer(when, name)), None)
        return Batch(out.values, out.keys, out.timestamps, watermark=batch.watermark)

    def next_due(self) -> int | None:
        """Return the time of the next timer."""
        return self._timers.next()


class _Results:
    """Collects what a function yields."""

    def __init__(self) -> None:
        self.keys: list[Any] = []
        self.values: list[Any] = []
        self.timestamps: list[int] = []

    def add(self, key: Any, timestamp: int, results: Iterable[Any]) -> None:
        # A generator runs only now: as a whole, so that a function that fails halfway gives nothing.
        for value in list(results):
            self.keys.append(key)
            self.values.append(value)
            self.timestamps.append(timestamp)


class Context:
    """The `ProcessContext` of one operator: it is moved from key to key."""

    def __init__(self, time: int, tables: dict[str, Table[Any, Any]], timers: Timers) -> None:
        self.key: Any = None
        self.time = time
        self.timestamp = time
        self._tables = tables
        self._timers = timers

    def enter(self, key: Any, timestamp: int) -> None:
        """Make a key the current one."""
        self.key = key
        self.timestamp = timestamp

    def value(self, variable: Value[Any], /) -> KeyValue:
        """Return the current key's value of a variable."""
        return KeyValue(self._table(variable.name, variable), self.key, variable.default)

    def list(self, variable: List[Any], /) -> KeyList:
        """Return the current key's list of a variable."""
        return KeyList(self._table(variable.name, variable), self.key)

    def map(self, variable: Map[Any, Any], /) -> KeyMap:
        """Return the current key's map of a variable."""
        return KeyMap(self._table(variable.name, variable), self.key)

    def set_timer(self, when: int, /, name: str = "") -> None:
        """Have ``on_timer`` called for the current key once the trigger time is ``when``."""
        self._timers.add(when, self.key, name)

    def clear_timer(self, when: int, /, name: str = "") -> None:
        """Remove a timer of the current key."""
        self._timers.remove(when, self.key, name)

    def _table(self, name: str, variable: object) -> Table[Any, Any]:
        if name not in self._tables:
            raise PipelineError(f"the state variable {variable!r} is not an attribute of the process's class")
        return self._tables[name]


class KeyValue:
    """A `ValueState` of one key."""

    def __init__(self, table: Table[Any, Any], key: Any, default: Any) -> None:
        self._table = table
        self._key = key
        self._default = default

    def get(self) -> Any:
        """Return the value, or the default."""
        value = self._table.get(self._key)
        return self._default if value is None else value

    def set(self, value: Any, /) -> None:
        """Replace the value."""
        self._table.put(self._key, value)

    def clear(self) -> None:
        """Remove the value."""
        self._table.delete(self._key)

    def take(self) -> Any:
        """Return the value and remove it."""
        value = self.get()
        self.clear()
        return value


class KeyList:
    """A `ListState` of one key."""

    def __init__(self, table: Table[Any, Any], key: Any) -> None:
        self._table = table
        self._key = key

    def append(self, item: Any, /) -> None:
        """Add an item at the end."""
        length = len(self)
        self._table.put((self._key, length), item)
        self._table.put((self._key,), length + 1)

    def __iter__(self) -> Iterator[Any]:
        return iter([self._table.get((self._key, number)) for number in range(len(self))])

    def __len__(self) -> int:
        length: int | None = self._table.get((self._key,))
        return length or 0

    def clear(self) -> None:
        """Remove all items."""
        for number in range(len(self)):
            self._table.delete((self._key, number))
        self._table.delete((self._key,))


class KeyMap:
    """A `MapState` of one key."""

    def __init__(self, table: Table[Any, Any], key: Any) -> None:
        self._table = table
        self._key = key

    def get(self, key: Any, /) -> Any:
        """Return an entry's value, or None."""
        return self._table.get((self._key, key))

    def put(self, key: Any, value: Any, /) -> None:
        """Set an entry."""
        self._table.put((self._key, key), value)

    def remove(self, key: Any, /) -> None:
        """Remove an entry."""
        self._table.delete((self._key, key))

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Yield the entries, ordered by their keys."""
        for (_, key), value in self._entries():
            yield key, value

    def clear(self) -> None:
        """Remove all entries."""
        for place, _ in self._entries():
            self._table.delete(place)

    def _entries(self) -> list[tuple[tuple[Any, Any], Any]]:
        return list(self._table.items_with_prefix((self._key,)))
