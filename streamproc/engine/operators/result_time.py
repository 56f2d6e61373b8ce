"""The time of what operators of whole batches give: that of the window behind which they work, or the batch's own.

See `streamproc.dataflow.times` for which it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamproc.batch import Batch
from streamproc.engine.operators.operator import AsyncOperator, Operator, Reach
from streamproc.engine.run import BatchRun
from streamproc.watermark import END_OF_TIME, Watermark, merge

__all__ = ["InBatchTimeOperator", "PerWindowOperator"]


class InBatchTimeOperator(AsyncOperator):
    """Gives the results of an operator the time of the batch, so that windows behind it follow the trigger time."""

    def __init__(self, operator: Operator | AsyncOperator) -> None:
        self._operator = operator

    def reaches(self, watermark: int, inputs: Sequence[Reach]) -> int | None:
        """Return the watermark itself, as it is the trigger time."""
        return watermark

    async def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the results of the batch."""
        batch = await _process(self._operator, run, inputs)
        watermark = batch.watermark if batch.watermark.time == END_OF_TIME else Watermark(run.trigger_time)
        return Batch(batch.values, batch.keys, None, batch.origins, watermark)


class PerWindowOperator(AsyncOperator):
    """Runs an operator once for each window that its inputs hold records of, and once if they hold none."""

    def __init__(self, operator: Operator | AsyncOperator) -> None:
        self._operator = operator

    async def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the results of all windows, with their times."""
        rows_at = [_rows_at(batch) for batch in inputs]
        watermark = merge(batch.watermark for batch in inputs)
        # Where there is no window, results are as late as they can be without being late.
        times = sorted({time for rows in rows_at for time in rows}) or [max(0, min(watermark.time, run.time))]
        values: list[Any] = []
        keys: list[Any] | None = None
        timestamps: list[int] = []
        for time in times:
            parts = [batch.take(rows.get(time, ())) for batch, rows in zip(inputs, rows_at, strict=True)]
            result = await _process(self._operator, run, inputs if len(times) == 1 else parts)
            values += result.values
            if result.keys is not None:
                keys = [*(keys or ()), *result.keys]
            timestamps += [time] * len(result)
        return Batch(values, keys, timestamps, watermark=watermark)


def _rows_at(batch: Batch) -> dict[int, list[int]]:
    """Return the rows of each timestamp."""
    found: dict[int, list[int]] = {}
    for row, timestamp in enumerate(batch.timestamps or ()):
        found.setdefault(timestamp, []).append(row)
    return found


async def _process(operator: Operator | AsyncOperator, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
    if isinstance(operator, AsyncOperator):
        return await operator.process(run, inputs)
    return operator.process(run, inputs)
