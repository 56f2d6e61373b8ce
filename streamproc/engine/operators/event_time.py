"""Timestamps from records, and the watermark that follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.nodes import EventTime
from streamproc.engine.failures import Failures
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import END_OF_TIME, START_OF_TIME, BatchRun
from streamproc.errors import PipelineError
from streamproc.state.tables import Tables

__all__ = ["EventTimeOperator"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_10000 = 253_402_300_800_000


class EventTimeOperator(Operator):
    """Sets the timestamp column; the watermark is the newest timestamp of all batches less the bound on disorder."""

    def __init__(self, node: EventTime, tables: Tables) -> None:
        self._name = node.name
        self._fn = node.fn
        self._bound = node.out_of_orderness_ms
        self._newest = tables.table(node.name, "newest")
        self._failures = Failures(node, node.fn)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the rows with their timestamps."""
        (batch,) = inputs
        stamped = self._stamp(run, batch)
        newest: int | None = self._newest.get(None)
        if stamped.timestamps and (newest is None or max(stamped.timestamps) > newest):
            newest = max(stamped.timestamps)
            self._newest.put(None, newest)
        watermark = START_OF_TIME if newest is None else newest - self._bound
        if batch.watermark == END_OF_TIME:
            watermark = END_OF_TIME
        return Batch(stamped.values, stamped.keys, stamped.timestamps, stamped.origins, watermark)

    def _stamp(self, run: BatchRun, batch: Batch) -> Batch:
        """Return the rows that have a good timestamp, with it."""
        rows = batch.rows()
        fn = self._fn
        if fn is None:
            if batch.timestamps is None and rows:
                raise PipelineError(
                    f"{self._name}: event_time() without a function takes the times of the source, but it gives none: "
                    f"give a function that returns a record's time"
                )
            return batch
        try:
            # Not list(map(...)): a function that raises StopIteration would end the list early, and silently.
            times = [fn(row) for row in rows]
            if set(map(type, times)) - {int} or (times and not 0 <= min(times) <= max(times) < _YEAR_10000):
                times = list(map(to_timestamp, times))
            return Batch(batch.values, batch.keys, times, batch.origins, batch.watermark)
        except Exception:  # noqa: BLE001, S110 - whatever it is, the records are tried one by one
            pass
        good: list[int] = []
        timestamps: list[int] = []
        for row, element in enumerate(rows):
            try:
                timestamps.append(to_timestamp(fn(element)))
                good.append(row)
            except Exception as error:  # noqa: BLE001 - the policy decides
                self._failures.handle(run, error, element, batch.origins, row)
        kept = batch.take(good)
        return Batch(kept.values, kept.keys, timestamps, kept.origins if run.lineage else None, batch.watermark)


def to_timestamp(time: Any) -> int:
    """Return a user's time as epoch milliseconds.

    Raises:
        TypeError: It is neither an integer nor a `datetime` with a time zone.
        ValueError: It is before 1970 or after the year 9999.
    """
    if isinstance(time, datetime) and time.tzinfo is not None:
        time = (time - _EPOCH) // timedelta(milliseconds=1)
    if type(time) is not int:
        raise TypeError(
            f"event time {time!r} is of type {type(time).__name__}: expected epoch milliseconds as an int, "
            f"or a datetime with a time zone"
        )
    if not 0 <= time < _YEAR_10000:
        raise ValueError(f"event time {time} is not between 1970 and 9999: is it in milliseconds?")
    return time
