"""A result for each record from its key's state, which the record may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.nodes import MapWithState
from streamproc.engine.failures import Failures
from streamproc.engine.operators.good_keys import with_good_keys
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables
from streamproc.values import copy_value

__all__ = ["MapWithStateOperator"]


class MapWithStateOperator(Operator):
    """Reads the state of a batch's keys at once, calls the function record by record, and writes each key once.

    State layout, under the operator's name: ``state``: key -> state.
    """

    def __init__(self, node: MapWithState, tables: Tables) -> None:
        self._fn = node.fn
        self._state = tables.table(node.name, "state")
        self._failures = Failures(node, node.fn)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return a row for each record."""
        batch = with_good_keys(run, inputs[0], self._failures, self._state.load)
        batch_keys = batch.keys or []
        states = {key: self._state.get(key) for key in dict.fromkeys(batch_keys)}
        had_state = {key for key, state in states.items() if state is not None}
        good: list[int] = []
        results: list[Any] = []
        for row, (key, value) in enumerate(zip(batch_keys, batch.values, strict=True)):
            try:
                result, after = self._fn(key, value, copy_value(states[key]))
                # The function may change in place what it gets, and whoever gets the result what is in that.
                states[key] = copy_value(after)
            except Exception as error:  # noqa: BLE001 - the policy decides
                self._failures.handle(run, error, (key, value, states[key]), batch.origins, row)
            else:
                results.append(result)
                good.append(row)
        for key, state in states.items():
            if state is not None:
                self._state.put(key, state)
            elif key in had_state:
                self._state.delete(key)
        if len(good) == len(batch):
            return replace(batch, values=results)
        return batch.take(good, values=results)
