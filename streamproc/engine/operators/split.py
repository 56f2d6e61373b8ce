"""Each record to the side output of the first predicate that holds."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.nodes import Split
from streamproc.dataflow.policies import AsyncOptions
from streamproc.engine.failures import Failures
from streamproc.engine.operators.calls import call_all
from streamproc.engine.operators.operator import AsyncOperator
from streamproc.engine.run import BatchRun
from streamproc.eventtime.clock import Clock

__all__ = ["SplitOperator"]


class SplitOperator(AsyncOperator):
    """Asks the predicates in their order; plain ones are called, ``async def`` ones awaited with bounds."""

    def __init__(self, node: Split, clock: Clock) -> None:
        self._name = node.name
        self._predicates = node.predicates
        self._options = node.run_async
        self._clock = clock
        self._failures = {output: Failures(node, predicate) for output, predicate in node.predicates.items()}

    async def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the rows for which no predicate holds, and put the others aside."""
        (batch,) = inputs
        rows = batch.rows()
        chosen: dict[str | None, list[int]] = {output: [] for output in (*self._predicates, None)}
        if self._options is None:
            for row, element in enumerate(rows):
                try:
                    chosen[self._choose(element)].append(row)
                except _PredicateFailedError as failed:
                    self._failures[failed.output].handle(run, failed.error, element, batch.origins, row)
        else:
            await self._await_all(run, batch, rows, self._options, chosen)
        for output in self._predicates:
            run.side_outputs[self._name, output] = self._part(run, batch, chosen[output])
        return self._part(run, batch, chosen[None])

    def _choose(self, element: Any) -> str | None:
        for output, predicate in self._predicates.items():
            try:
                if predicate(element):
                    return output
            except Exception as error:
                raise _PredicateFailedError(output, error) from error
        return None

    async def _choose_async(self, element: Any) -> str | None:
        for output, predicate in self._predicates.items():
            try:
                answer = predicate(element)
                if await answer if inspect.isawaitable(answer) else answer:
                    return output
            except Exception as error:
                raise _PredicateFailedError(output, error) from error
        return None

    async def _await_all(
        self,
        run: BatchRun,
        batch: Batch,
        rows: list[Any],
        options: AsyncOptions,
        chosen: dict[str | None, list[int]],
    ) -> None:
        for call in await call_all(self._choose_async, rows, options, self._clock):
            if call.error is None:
                chosen[call.result].append(call.row)
                continue
            failed = call.error if isinstance(call.error, _PredicateFailedError) else None
            output = failed.output if failed is not None else next(iter(self._predicates))
            error = failed.error if failed is not None else call.error
            self._failures[output].handle(run, error, rows[call.row], batch.origins, call.row)

    @staticmethod
    def _part(run: BatchRun, batch: Batch, rows: list[int]) -> Batch:
        if not run.lineage:
            batch = replace(batch, origins=None)
        return batch.take(rows)


class _PredicateFailedError(Exception):
    """Tells which predicate failed, and with what."""

    def __init__(self, output: str, error: Exception) -> None:
        super().__init__(output, error)
        self.output = output
        self.error = error
