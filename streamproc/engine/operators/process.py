"""Runs a user's `KeyedProcess`, record by record and timer by timer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from streamproc.batch import Batch, Origins
from streamproc.dataflow.nodes import Process
from streamproc.dataflow.process import KeyedProcess, Timer, Value, variables_of
from streamproc.engine.failures import Failures
from streamproc.engine.operators.good_keys import with_good_keys
from streamproc.engine.operators.keyed_state import Context
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun
from streamproc.state.keys import encode_key
from streamproc.state.tables import Tables

__all__ = ["ProcessOperator"]


class ProcessOperator(Operator):
    """Calls ``process`` for each record, then ``on_timer`` for each timer that is due by the trigger time.

    A timer that is set by ``on_timer`` for a time that has passed comes due in the next batch. For the layout of the
    state see `streamproc.engine.operators.keyed_state`.
    """

    def __init__(self, node: Process, tables: Tables) -> None:
        function: KeyedProcess[Any, Any, Any] = node.function
        variables = variables_of(function)
        self._function = function
        self._tables = {name: tables.table(node.name, name) for name in variables}
        self._values = [self._tables[name] for name, variable in variables.items() if isinstance(variable, Value)]
        self._timers = tables.timers(node.name)
        self._on_record = Failures(node, function.process)
        self._on_timer = Failures(node, function.on_timer)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return what the function yields, under the keys that were current."""
        batch = with_good_keys(run, inputs[0], self._on_record, self._load)
        batch_keys = batch.keys or []
        context = Context(run.trigger_time, self._tables, self._timers)
        calls = _Calls(run, context, batch.origins)
        for row, (key, value) in enumerate(zip(batch_keys, batch.values, strict=True)):
            context.enter(key, run.time if batch.timestamps is None else batch.timestamps[row])
            calls.make(self._function.process, value, self._on_record, row)
        for timer in self._timers.due(run.trigger_time):
            # The timer before may have cleared it.
            if timer not in context.cleared:
                when, key, name = timer
                self._timers.remove(when, key, name)
                context.enter(key, when)
                calls.make(self._function.on_timer, Timer(when, name), self._on_timer, None)
        return Batch(calls.values, calls.keys, calls.timestamps, watermark=batch.watermark)

    def _load(self, keys: Iterable[Any]) -> None:
        for table in self._values:
            table.load(keys)
        if not self._values:
            for key in keys:
                encode_key(key)

    def next_due(self) -> int | None:
        """Return the time of the next timer."""
        return self._timers.next()


class _Calls:
    """Calls the user's function, and collects what it yields."""

    def __init__(self, run: BatchRun, context: Context, origins: Origins | None) -> None:
        self._run = run
        self._context = context
        self._origins = origins
        self.keys: list[Any] = []
        self.values: list[Any] = []
        self.timestamps: list[int] = []

    def make(
        self, function: Callable[[Any, Any], Iterable[Any]], argument: Any, failures: Failures, row: int | None
    ) -> None:
        """Call the function for the context's key, with a record of the batch or a timer.

        A call that fails halfway yields nothing and changes nothing.
        """
        context = self._context
        try:
            # A generator runs only now, and as a whole.
            results = list(function(context, argument))
        except Exception as error:  # noqa: BLE001 - the policy decides
            context.undo()
            failures.handle(self._run, error, (context.key, argument), None if row is None else self._origins, row or 0)
        else:
            context.keep()
            self.keys += [context.key] * len(results)
            self.values += results
            self.timestamps += [context.timestamp] * len(results)
