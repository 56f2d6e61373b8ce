"""State of each key, updated once a batch from the key's new values."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.nodes import UpdateState
from streamproc.engine.failures import Failures
from streamproc.engine.operators.good_keys import with_good_keys
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables, told_apart
from streamproc.values import copy_value

__all__ = ["UpdateStateOperator"]


class UpdateStateOperator(Operator):
    """Calls the function for the keys of the batch, or for all keys that have state.

    State layout, under the operator's name: ``state``: key -> state; ``started`` -> 1 once the initial state is in.
    """

    def __init__(self, node: UpdateState, tables: Tables) -> None:
        self._fn = node.fn
        self._initial = node.initial
        self._every_batch = node.every_batch
        self._state = tables.table(node.name, "state")
        self._started = tables.table(node.name, "started")
        self._failures = Failures(node, node.fn)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the new state of each key for which the function was called."""
        batch = with_good_keys(run, inputs[0], self._failures, self._state.load)
        if self._initial and self._started.get(None) is None:
            for key, state in self._initial.items():
                self._state.put(key, deepcopy(state))
            self._started.put(None, 1)
        new_values: dict[Any, list[Any]] = {}
        for key, value in zip(batch.keys or (), batch.values, strict=True):
            new_values.setdefault(key, []).append(value)
        called = list(new_values.items())
        if self._every_batch:
            with_values = set(map(told_apart, new_values))
            called += [(key, []) for key in self._state if told_apart(key) not in with_values]
        keys: list[Any] = []
        states: list[Any] = []
        for key, values in called:
            before = self._state.get(key)
            try:
                after = self._fn(values, copy_value(before))
                # The function may change in place what it gets, and whoever gets the result what is in that.
                kept = copy_value(after)
            except Exception as error:  # noqa: BLE001 - the policy decides
                row = batch.keys.index(key) if batch.keys and values else 0
                self._failures.handle(run, error, (key, values, before), batch.origins if values else None, row)
                continue
            if kept is not None:
                self._state.put(key, kept)
                keys.append(key)
                states.append(after)
            elif before is not None:
                self._state.delete(key)
        return Batch(states, keys, watermark=batch.watermark)
