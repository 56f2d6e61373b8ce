"""A user's function of the whole batch."""

from __future__ import annotations

from collections.abc import Sequence

from streamproc.batch import Batch
from streamproc.dataflow.nodes import BatchFunction
from streamproc.engine.failures import Failures
from streamproc.engine.operators.calls import call_all
from streamproc.engine.operators.operator import AsyncOperator
from streamproc.engine.run import BatchRun
from streamproc.eventtime.clock import Clock

__all__ = ["BatchFunctionOperator"]


class BatchFunctionOperator(AsyncOperator):
    """Calls or awaits a function once a batch; what it returns has the time of the batch, and no keys.

    A failure is one of all the batch's records: there is no telling which one it was, so a policy that skips or
    delivers them does so with each, or with an empty list where there are none.
    """

    def __init__(self, node: BatchFunction, clock: Clock) -> None:
        self._fn = node.fn
        self._whole = node.whole
        self._options = node.run_async
        self._clock = clock
        self._failures = Failures(node, node.fn)

    async def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return what the function makes of the batch."""
        (batch,) = inputs
        if not (batch.values or self._whole):
            return Batch([], watermark=batch.watermark)
        rows = batch.rows()
        given = list(rows) if self._whole else iter(rows)
        try:
            if self._options is None:
                values = list(self._fn(given))
            else:
                (call,) = await call_all(self._fn, [given], self._options, self._clock)
                if call.error is not None:
                    raise call.error
                values = list(call.result)
        except Exception as error:  # noqa: BLE001 - the policy decides
            if not rows:
                self._failures.handle(run, error, [], None)
            for row, element in enumerate(rows):
                self._failures.handle(run, error, element, batch.origins, row)
            values = []
        return Batch(values, watermark=batch.watermark)
