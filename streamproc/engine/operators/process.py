"""Runs a user's `KeyedProcess`, record by record and timer by timer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from streamproc.batch import Batch, Origins
from streamproc.dataflow.nodes import Process
from streamproc.dataflow.process import KeyedProcess, Timer
from streamproc.dataflow.variables import List, TimeKind, Value, Variable
from streamproc.engine.failures import Failures
from streamproc.engine.operators.cells import CallChanges, Cells, PlainCells, TimerChange
from streamproc.engine.operators.expiry import Expiries, ExpiringCells, ExpiringLengths, Moment
from streamproc.engine.operators.good_keys import check_keys, with_good_keys
from streamproc.engine.operators.keyed_state import Context
from streamproc.engine.operators.last_watermark import LastWatermark
from streamproc.engine.operators.operator import Operator
from streamproc.engine.operators.timer_queue import TimerPlace, TimerQueue, TimerRow, place_of
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables
from streamproc.state.timers import Timers
from streamproc.watermark import END_OF_TIME

__all__ = ["ProcessOperator"]


class ProcessOperator(Operator):
    """Calls ``process`` for each record, then ``on_timer`` for each timer that is due.

    First come the processing-time timers that are due by the trigger time. One that is set by ``on_timer`` for a time
    that has passed comes due in the next batch.

    Then come the event-time timers that are due by the watermark. One that is set by ``on_timer`` for a later time than
    its own but within the watermark has its turn among them: so what comes out doesn't depend on how far the watermark
    has moved at once. At the end of time, time goes on as far as the last timer that is set when it comes, and all
    that are set for later are dropped: a process whose timer sets the next one would otherwise never end.

    Last, what has expired is removed. For the layout of the state see `streamproc.engine.operators.keyed_state`, for
    that of timers `streamproc.state.timers`: those in event time are of the kind ``event timers``.
    """

    def __init__(self, node: Process, tables: Tables) -> None:
        function: KeyedProcess[Any, Any, Any] = node.function
        self._name = node.name
        self._function = function
        self._outputs = frozenset(node.outputs)
        self._changes = CallChanges()
        self._moment = Moment()
        self._timers = tables.timers(node.name)
        self._event_timers = tables.timers(node.name, "event timers")
        expiries: dict[TimeKind, Timers] = {
            "processing": tables.timers(node.name, "expiries"),
            "event": tables.timers(node.name, "event expiries"),
        }
        self._cells = {
            name: self._cells_of(node, variable, tables, expiries) for name, variable in node.variables.items()
        }
        self._values = [
            self._cells[name].table for name, variable in node.variables.items() if isinstance(variable, Value)
        ]
        self._expiries, self._event_expiries = (
            Expiries(
                index,
                {n: c for n, c in self._cells.items() if isinstance(c, ExpiringCells) and c.ttl.by == kind},
            )
            for kind, index in expiries.items()
        )
        self._watermark = LastWatermark(node, tables)
        self._on_record = Failures(node, function.process)
        self._on_timer = Failures(node, function.on_timer)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return what the function yields, under the keys that were current."""
        # An attempt before this one may have ended halfway.
        self._changes.expired = 0
        batch = with_good_keys(run, inputs[0], self._on_record, self._load, by_type=True)
        before = self._watermark.get(run)
        watermark = max(before, batch.watermark.time)
        context = Context(
            run.trigger_time,
            self._cells,
            self._outputs,
            self._changes,
            self._moment,
            self._timers,
            self._event_timers,
        )
        context.watermark = before
        calls = _Calls(run, context, self._changes, batch.origins)
        self._take(run, batch, context, calls)
        self._ring(run, context, calls)
        context.watermark = watermark
        self._ring_in_event_time(context, calls, before)
        self._watermark.moved(before, watermark)
        counts = run.counts[self._name]
        counts["timers"] += calls.timers
        counts["expired"] += self._changes.expired
        counts["expired"] += self._expiries.sweep(run.trigger_time) + self._event_expiries.sweep(watermark)
        for output in self._outputs:
            side = calls.outputs.get(output) or _Columns()
            run.side_outputs[self._name, output] = Batch(
                side.values, side.keys, side.timestamps, watermark=batch.watermark
            )
        main = calls.main
        return Batch(main.values, main.keys, main.timestamps, watermark=batch.watermark)

    def next_due(self) -> int | None:
        """Return the time of the next timer, or of what expires next."""
        return _earlier(self._timers.next(), self._expiries.next())

    def next_watermark(self) -> int | None:
        """Return the same in event time."""
        return _earlier(self._event_timers.next(), self._event_expiries.next())

    def _load(self, keys: Iterable[Any]) -> None:
        for table in self._values:
            table.load(keys)
        if not self._values:
            check_keys(keys)

    def _take(self, run: BatchRun, batch: Batch, context: Context, calls: _Calls) -> None:
        """Call ``process`` for each record."""
        before = context.watermark
        for row, (key, value) in enumerate(zip(batch.keys or (), batch.values, strict=True)):
            timestamp = run.time if batch.timestamps is None else batch.timestamps[row]
            context.enter(key, timestamp, max(timestamp, before), timestamp)
            calls.make(self._function.process, value, self._on_record, row)

    def _ring(self, run: BatchRun, context: Context, calls: _Calls) -> None:
        """Call ``on_timer`` for each timer that is due by the trigger time."""
        cleared: set[TimerPlace] = set()
        for timer in self._timers.due(run.trigger_time):
            # A timer before may have cleared it.
            if not cleared or place_of(timer) not in cleared:
                when, key, name = timer
                self._timers.remove(when, key, name)
                context.enter(key, when, context.watermark, when)
                for is_set, changed in calls.ring(self._function, Timer(when, name), self._on_timer, self._timers):
                    (cleared.discard if is_set else cleared.add)(place_of(changed))

    def _ring_in_event_time(self, context: Context, calls: _Calls, before: int) -> None:
        """Call ``on_timer`` for each timer that is due by the watermark."""
        due = self._event_timers.due(context.watermark)
        if not due:
            return
        is_end = context.watermark == END_OF_TIME
        queue = TimerQueue(due, through=due[-1][0] if is_end else context.watermark)
        for when, key, name in queue:
            self._event_timers.remove(when, key, name)
            # One that was set for a time that had passed must not give what is late for the operators behind.
            context.enter(key, when, when, max(when, before))
            timer = Timer(when, name, "event")
            for is_set, changed in calls.ring(self._function, timer, self._on_timer, self._event_timers):
                (queue.add if is_set else queue.remove)(changed)
        if is_end:
            for when, key, name in self._event_timers.due(END_OF_TIME):
                self._event_timers.remove(when, key, name)

    def _cells_of(
        self, node: Process, variable: Variable, tables: Tables, expiries: Mapping[TimeKind, Timers]
    ) -> Cells:
        table = tables.table(node.name, variable.name)
        if variable.ttl is None:
            return PlainCells(table, self._changes)
        kind = ExpiringLengths if isinstance(variable, List) else ExpiringCells
        return kind(table, self._changes, variable.name, variable.ttl, self._moment, expiries[variable.ttl.by])


class _Columns:
    """Results under their keys, with their times."""

    def __init__(self) -> None:
        self.keys: list[Any] = []
        self.values: list[Any] = []
        self.timestamps: list[int] = []


class _Calls:
    """Calls the user's function, and collects what it yields."""

    def __init__(self, run: BatchRun, context: Context, changes: CallChanges, origins: Origins | None) -> None:
        self._run = run
        self._context = context
        self._changes = changes
        self._origins = origins
        self.main = _Columns()
        self.outputs: dict[str, _Columns] = {}
        self.timers = 0
        """How many timers have rung."""

    def make(
        self, function: Callable[[Any, Any], Iterable[Any]], argument: Any, failures: Failures, row: int | None
    ) -> Sequence[TimerChange]:
        """Call the function for the context's key, with a record of the batch or a timer.

        A call that fails halfway yields nothing and changes nothing.

        Returns:
            What it has done to timers.
        """
        context = self._context
        try:
            # A generator runs only now, and as a whole.
            results = list(function(context, argument))
        except Exception as error:  # noqa: BLE001 - the policy decides
            self._changes.undo()
            context.given.clear()
            failures.handle(self._run, error, (context.key, argument), None if row is None else self._origins, row or 0)
            return ()
        main = self.main
        main.keys += [context.key] * len(results)
        main.values += results
        main.timestamps += [context.result_time] * len(results)
        for output, value in context.given:
            side = self.outputs.setdefault(output, _Columns())
            side.keys.append(context.key)
            side.values.append(value)
            side.timestamps.append(context.result_time)
        context.given.clear()
        return self._changes.keep()

    def ring(
        self, function: KeyedProcess[Any, Any, Any], timer: Timer, failures: Failures, timers: Timers
    ) -> Iterator[tuple[bool, TimerRow]]:
        """Call ``on_timer``, and yield which timers of some kind it has set (true) and removed, in order."""
        self.timers += 1
        for changed, is_set, when, key, name in self.make(function.on_timer, timer, failures, None):
            if changed is timers:
                yield is_set, (when, key, name)


def _earlier(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)
