"""`LastWatermark`: what an operator knows of event time while it takes the records of a batch."""

from __future__ import annotations

from typing import Final

from streamproc.dataflow.nodes import Node
from streamproc.dataflow.times import in_batch_time
from streamproc.engine.run import BatchRun
from streamproc.state.keys import encode_prefix
from streamproc.state.store import Family, StateStore
from streamproc.state.tables import Tables
from streamproc.values import decode_value
from streamproc.watermark import END_OF_TIME, START_OF_TIME

__all__ = ["LastWatermark", "committed_watermark"]

_VARIABLE: Final = "event-time"


class LastWatermark:
    """The watermark that the batch before has left: records with earlier timestamps are late.

    In batch time all records have the last millisecond before the trigger time, so that is as good, and nothing needs
    to be kept.

    State layout, under the operator's name: ``event-time`` -> the watermark. No variable of a user's can be named so.
    """

    def __init__(self, node: Node, tables: Tables) -> None:
        batch_time = all(map(in_batch_time, node.inputs))
        self._table = None if batch_time else tables.table(node.name, _VARIABLE, quiet=True)

    def get(self, run: BatchRun) -> int:
        """Return the watermark before a batch."""
        if self._table is None:
            return run.time
        watermark: int | None = self._table.get(None)
        return START_OF_TIME if watermark is None else watermark

    def moved(self, before: int, now: int) -> None:
        """Note the watermark behind a batch. The end of time is not kept: a later run may have more to read."""
        if self._table is not None and now not in {before, START_OF_TIME, END_OF_TIME}:
            self._table.put(None, now)


def committed_watermark(store: StateStore, operator: str) -> int:
    """Return the watermark behind the last committed batch of an operator that isn't in batch time."""
    [data] = store.get_many(Family.STATE, [encode_prefix(operator, _VARIABLE, None)])
    return START_OF_TIME if data is None else int(decode_value(data))
