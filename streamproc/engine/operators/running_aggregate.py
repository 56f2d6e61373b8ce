"""The aggregate of all values of a key so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.stateful_nodes import RunningAggregate
from streamproc.engine.failures import Failures
from streamproc.engine.operators.combine import Combiner
from streamproc.engine.operators.good_keys import with_good_keys
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables

__all__ = ["RunningAggregateOperator"]


class RunningAggregateOperator(Operator):
    """Gives the new result of each key that has new values.

    State layout, under the operator's name: ``state``: key -> accumulator.
    """

    def __init__(self, node: RunningAggregate, tables: Tables) -> None:
        self._aggregate = node.aggregate
        self._combiner = Combiner(node, node.aggregate)
        self._state = tables.table(node.name, "state")
        self._failures = Failures(node, node.aggregate.merge)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return a row for each key that has new values."""
        batch = with_good_keys(run, inputs[0], self._failures, self._state.load)
        found = self._combiner.combine(run, batch, batch.keys or (), batch.values)
        accumulators = [self._merged(run, key, accumulator) for key, accumulator in found.items()]
        keys, values = self._combiner.results(run, list(found), accumulators)
        return Batch(values, keys, watermark=batch.watermark)

    def _merged(self, run: BatchRun, key: Any, new: Any) -> Any:
        """Merge the accumulator of a batch into that of all before, and return a copy of what that comes to."""
        before = self._state.get(key)
        try:
            after = new if before is None else self._aggregate.merge(before, new)
        except Exception as error:  # noqa: BLE001 - the policy decides
            self._failures.handle(run, error, (before, new), None)
            after = before
        self._state.put(key, after)
        # The next batch may change what is kept, while somebody still has the result.
        return self._aggregate.copy(after)
