"""Bytes to values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from streamproc.batch import Batch
from streamproc.codecs import Decoder
from streamproc.dataflow.nodes import Decode
from streamproc.engine.failures import Failures
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun

__all__ = ["DecodeOperator"]


class DecodeOperator(Operator):
    """Decodes a batch in one call; record by record when that fails."""

    def __init__(self, node: Decode, decoder: Decoder[Any]) -> None:
        self._decoder = decoder
        self._failures = Failures(node, None)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the values."""
        (batch,) = inputs
        try:
            values = self._decoder.decode_many(batch.values)
        except Exception:  # noqa: BLE001 - whatever it is, the records are tried one by one
            return self._one_by_one(run, batch)
        return replace(batch, values=values)

    def _one_by_one(self, run: BatchRun, batch: Batch) -> Batch:
        values: list[Any] = []
        good: list[int] = []
        for row, data in enumerate(batch.values):
            try:
                values.append(self._decoder.decode(data))
            except Exception as error:  # noqa: BLE001 - the policy decides
                self._failures.handle(run, error, data, batch.origins, row)
            else:
                good.append(row)
        return batch.take(good, values=values)
