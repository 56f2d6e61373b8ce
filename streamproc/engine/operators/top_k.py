"""The largest elements: of all so far, or of those of one window."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, TypeAlias

from streamproc.batch import Batch, Origins
from streamproc.dataflow.stateful_nodes import TopK
from streamproc.engine.failures import Failures
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables
from streamproc.windowing.aggregates.order import rank

__all__ = ["TopKOperator"]

_Ranked: TypeAlias = tuple[Any, int, Any]
"""What an element is compared by, its row (below zero for those of earlier batches), and the element."""


class TopKOperator(Operator):
    """Gives the list of the largest elements, the largest first, when a batch has changed it.

    State layout, under the operator's name: ``largest`` -> the list.

    Args:
        node: What to do.
        tables: The state of the shard.
        running: Whether elements of earlier batches count.
    """

    def __init__(self, node: TopK, tables: Tables, *, running: bool) -> None:
        self._k = node.k
        self._by = node.by
        self._largest = tables.table(node.name, "largest") if running else None
        self._failures = Failures(node, node.by)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the list if it has changed."""
        (batch,) = inputs
        elements = batch.rows()
        kept: list[Any] = [] if self._largest is None else self._largest.get(None) or []
        largest = self._merged(run, batch, kept, elements) if elements else []
        if all(row < 0 for _, row, _ in largest):
            return Batch([], watermark=batch.watermark)
        values = [element for _, _, element in largest]
        if self._largest is not None:
            self._largest.put(None, values)
        return Batch([list(values)], watermark=batch.watermark)

    def _merged(self, run: BatchRun, batch: Batch, kept: Sequence[Any], elements: Sequence[Any]) -> list[_Ranked]:
        """Return the largest of those that are kept and the new ones; of equal ones those that came first."""
        before = [(place, -1, element) for place, _, element in self._ranked(run, kept, None)]
        new = self._ranked(run, elements, batch.origins)
        try:
            return self._first_k([*before, *new])
        except Exception:  # noqa: BLE001 - whatever it is, the records are tried one by one
            largest = before
        for ranked in new:
            try:
                largest = self._first_k([*largest, ranked])
            except Exception as error:  # noqa: BLE001 - the policy decides
                self._failures.handle(run, error, ranked[2], batch.origins, ranked[1])
        return largest

    def _ranked(self, run: BatchRun, elements: Sequence[Any], origins: Origins | None) -> list[_Ranked]:
        """Return elements with what they are compared by, and their rows."""
        by = self._by
        found: list[_Ranked] = []
        for row, element in enumerate(elements):
            try:
                found.append((rank(by(element)), row, element))
            except Exception as error:  # noqa: BLE001 - the policy decides
                self._failures.handle(run, error, element, origins, row)
        return found

    def _first_k(self, ranked: Sequence[_Ranked]) -> list[_Ranked]:
        return heapq.nlargest(self._k, ranked, key=itemgetter(0))
