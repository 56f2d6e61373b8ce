"""Consecutive plain per-record steps as one pass over the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.nodes import StepKind
from streamproc.engine.failures import Failures
from streamproc.engine.operators.fused_code import Loop, write_loop
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun
from streamproc.planning.fused import Fused

__all__ = ["FusedOperator"]

_ONE_TO_ONE = {StepKind.MAP, StepKind.MAP_VALUES, StepKind.KEY_BY, StepKind.PEEK}


class FusedOperator(Operator):
    """Runs a loop written for the chain and for the columns that the batch has (see `fused_code`)."""

    def __init__(self, node: Fused) -> None:
        self._steps = node.steps
        self._functions = [step.fn for step in node.steps]
        self._failures = [Failures(step, step.fn) for step in node.steps]
        self._keeps_rows = all(step.step in _ONE_TO_ONE for step in node.steps)
        self._loops: dict[tuple[bool, bool, bool], Loop] = {}

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the rows that come out of the chain."""
        (batch,) = inputs
        traced = run.lineage and batch.origins is not None
        columns = (batch.keys is not None, batch.timestamps is not None, traced)
        loop = self._loops.get(columns)
        if loop is None:
            loop = write_loop(self._steps, keyed=columns[0], timed=columns[1], traced=columns[2])
            self._loops[columns] = loop

        def fail(error: Exception, rows: Iterator[Any]) -> None:
            at = loop.at(error, rows, len(batch))
            self._failures[at.step].handle(run, error, at.value, batch.origins, at.row)

        values, keys, timestamps, origins = loop.run(
            batch.values, batch.keys, batch.timestamps, batch.origins, fail, *self._functions
        )
        if not traced and self._keeps_rows and len(values) == len(batch):
            return Batch(values, keys, timestamps, batch.origins, batch.watermark)
        return Batch(values, keys, timestamps, origins, batch.watermark)
