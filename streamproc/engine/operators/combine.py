"""Accumulators of the values of each key of a batch: what aggregations, windows and joins begin with."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import repeat
from operator import length_hint
from traceback import walk_tb
from typing import Any, TypeAlias

from streamproc.batch import Batch
from streamproc.dataflow.nodes import AggregateBatch, CombineByKey, Node
from streamproc.engine.failures import Failures
from streamproc.engine.operators.good_keys import refusal_of
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun
from streamproc.windowing.aggregates import Aggregate, Several, identity

__all__ = ["AggregateBatchOperator", "CombineByKeyOperator", "Combiner"]

OnFailure: TypeAlias = Callable[[Exception, int], None]


class Combiner:
    """Makes the accumulators of an aggregate, and their results, under the error policy of an operator."""

    def __init__(self, node: Node, aggregate: Aggregate[Any, Any, Any]) -> None:
        self._aggregate = aggregate
        self._failures = Failures(node, aggregate.by or aggregate.create)
        self._parts = [
            (part.by or part.create, Failures(node, part.by or part.create))
            for part in (aggregate.parts.values() if isinstance(aggregate, Several) else ())
        ]
        self._result_failures = Failures(node, aggregate.result)

    def combine(self, run: BatchRun, batch: Batch, keys: Iterable[Hashable], values: Sequence[Any]) -> dict[Any, Any]:
        """Return the accumulator of each key, in the order in which the keys first come.

        Args:
            run: The batch's run.
            batch: Where timestamps are, and origins are found when a value fails.
            keys: The key of each value.
            values: The rows of the batch, as the user's functions get them.
        """
        if not isinstance(self._aggregate, Several):
            return self._combine(run, batch, keys, values)[0]
        keys = list(keys)
        found, failed = self._combine(run, batch, keys, values)
        if not failed:
            return found
        # Where one of the aggregates has failed, others may have taken the record already: it is to be in none of them.
        good = sorted(set(range(len(values))).difference(failed))
        return self.combine(run, batch.take(good), [keys[row] for row in good], [values[row] for row in good])

    def _combine(
        self, run: BatchRun, batch: Batch, keys: Iterable[Hashable], values: Sequence[Any]
    ) -> tuple[dict[Any, Any], list[int]]:
        """Return the accumulator of each key, and the rows that failed."""
        found: dict[Any, Any] = {}
        failed: list[int] = []
        add = self._aggregate.add
        create = self._aggregate.create
        rows = iter(self._timed(run, batch, values) if self._aggregate.timed else values)
        for key, value in zip(keys, rows, strict=False):
            try:
                if key in found:
                    found[key] = add(found[key], value)
                else:
                    found[key] = create(value)
            except Exception as error:  # noqa: BLE001 - the policy decides
                row = len(values) - length_hint(rows) - 1
                failed.append(row)
                refusal = refusal_of(key)
                self._failures_of(error).handle(
                    run, refusal or error, values[row], batch.origins, row, of_key=refusal is not None
                )
        return found, failed

    def _failures_of(self, error: Exception) -> Failures:
        """Return what handles an error: of several aggregates, that of the one whose function has raised it."""
        codes = {frame.f_code for frame, _ in walk_tb(error.__traceback__)}
        return next(
            (failures for fn, failures in self._parts if getattr(fn, "__code__", None) in codes), self._failures
        )

    @staticmethod
    def _timed(run: BatchRun, batch: Batch, values: Sequence[Any]) -> list[tuple[int, Any]]:
        """Return values with their timestamps."""
        return list(zip(batch.times(run.time), values, strict=True))

    def results(self, run: BatchRun, keys: Sequence[Any], accumulators: Iterable[Any]) -> tuple[list[Any], list[Any]]:
        """Return the keys and results of accumulators, without those whose result function fails."""
        result = self._aggregate.result
        if result is identity:
            return list(keys), list(accumulators)
        good: list[Any] = []
        values: list[Any] = []
        for key, accumulator in zip(keys, accumulators, strict=True):
            try:
                values.append(result(accumulator))
                good.append(key)
            except Exception as error:  # noqa: BLE001 - the policy decides
                self._result_failures.handle(run, error, accumulator, None)
        return good, values


class CombineByKeyOperator(Operator):
    """One result for each key of a batch."""

    def __init__(self, node: CombineByKey) -> None:
        self._combiner = Combiner(node, node.aggregate)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return a row for each key."""
        (batch,) = inputs
        found = self._combiner.combine(run, batch, batch.keys or (), batch.values)
        keys, values = self._combiner.results(run, list(found), found.values())
        return Batch(values, keys, watermark=batch.watermark)


class AggregateBatchOperator(Operator):
    """One result for each batch."""

    def __init__(self, node: AggregateBatch) -> None:
        self._combiner = Combiner(node, node.aggregate)
        self._empty = node.empty

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return one row, or none for a batch without records unless there is a result for that."""
        (batch,) = inputs
        rows = batch.rows()
        found = self._combiner.combine(run, batch, repeat(None, len(rows)), rows)
        _, values = self._combiner.results(run, list(found), found.values())
        if not rows and self._empty is not None:
            values = [self._empty()]
        return Batch(values, watermark=batch.watermark)
