"""For each key of two streams, the values of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.nodes import CoGroup
from streamproc.engine.failures import Failures
from streamproc.engine.operators.good_keys import refusal_of
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun
from streamproc.watermark import merge

__all__ = ["CoGroupOperator"]


class CoGroupOperator(Operator):
    """Collects the values of each key from both inputs, within the batch."""

    def __init__(self, node: CoGroup) -> None:
        self._failures = Failures(node, None)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return a row for each key that either input has: a pair of lists."""
        groups: dict[Any, tuple[list[Any], list[Any]]] = {}
        for side, batch in enumerate(inputs):
            for row, (key, value) in enumerate(zip(batch.keys or (), batch.values, strict=True)):
                try:
                    group = groups.get(key)
                except TypeError as error:  # the key is unhashable
                    refusal = refusal_of(key) or error
                    self._failures.handle(run, refusal, (key, value), batch.origins, row, of_key=True)
                    continue
                if group is None:
                    group = groups[key] = ([], [])
                group[side].append(value)
        return Batch(list(groups.values()), list(groups), watermark=merge(batch.watermark for batch in inputs))
