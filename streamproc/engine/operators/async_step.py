"""A per-record step whose function is an ``async def``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.nodes import Step, StepKind
from streamproc.dataflow.policies import AsyncOptions
from streamproc.engine.failures import Failures
from streamproc.engine.operators.calls import Done, call_all
from streamproc.engine.operators.operator import AsyncOperator
from streamproc.engine.run import BatchRun
from streamproc.eventtime.clock import Clock

__all__ = ["AsyncStepOperator"]


class AsyncStepOperator(AsyncOperator):
    """Awaits the function for all records of a batch, within bounds, and does with the results what the kind says."""

    def __init__(self, node: Step, options: AsyncOptions, clock: Clock) -> None:
        self._step = node.step
        self._fn = node.fn
        self._options = options
        self._clock = clock
        self._failures = Failures(node, node.fn)

    async def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the rows that come out of the step."""
        (batch,) = inputs
        values_only = self._step in {StepKind.MAP_VALUES, StepKind.FLAT_MAP_VALUES}
        rows = batch.values if values_only else batch.rows()
        done: list[Done] = []
        for call in await call_all(self._call, rows, self._options, self._clock):
            if call.error is None:
                done.append(call)
            else:
                self._failures.handle(run, call.error, rows[call.row], batch.origins, call.row)
        if len(done) == len(batch) and self._options.ordered:
            return self._apply(batch, rows, [call.result for call in done])
        if not self._options.ordered:
            batch = replace(batch, runs=None)
        kept = [call.row for call in done]
        return self._apply(batch.take(kept), [rows[row] for row in kept], [call.result for call in done])

    async def _call(self, element: Any) -> Any:
        """Return the function's result for one record, in the form that the step's kind needs."""
        result = await self._fn(element)
        if self._step in {StepKind.FLAT_MAP, StepKind.FLAT_MAP_VALUES}:
            return list(result)
        return bool(result) if self._step is StepKind.FILTER else result

    def _apply(self, batch: Batch, rows: list[Any], results: list[Any]) -> Batch:
        """Return a batch after the step.

        Args:
            batch: The rows for which a call was done.
            rows: The same as the function saw them.
            results: What it returned.
        """
        match self._step:
            case StepKind.MAP:
                return replace(batch, values=results, keys=None)
            case StepKind.MAP_VALUES:
                return replace(batch, values=results)
            case StepKind.KEY_BY:
                return replace(batch, values=rows, keys=results)
            case StepKind.PEEK:
                return batch
            case StepKind.FILTER:
                return batch.take([row for row, keep in enumerate(results) if keep])
            case StepKind.FLAT_MAP | StepKind.FLAT_MAP_VALUES:
                spread = batch.take(
                    [row for row, items in enumerate(results) for _ in items],
                    values=[item for items in results for item in items],
                )
                return spread if self._step is StepKind.FLAT_MAP_VALUES else replace(spread, keys=None)
