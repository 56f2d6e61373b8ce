"""Consecutive plain per-record steps as one pass over the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from streamproc.batch import Batch, Origin, Origins
from streamproc.dataflow.nodes import StepKind
from streamproc.engine.failures import Failures
from streamproc.engine.operators.decode import DecodeOperator
from streamproc.engine.operators.fused_code import Loop, write_loop
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun
from streamproc.planning.fused import Fused

__all__ = ["FusedOperator"]

_ONE_TO_ONE = {StepKind.MAP, StepKind.MAP_VALUES, StepKind.KEY_BY, StepKind.PEEK}

PART = 1_000
"""How many records are decoded at a time: few enough to be in the processor's cache when the steps read them."""


class FusedOperator(Operator):
    """Runs a loop written for the chain and for the columns that the batch has (see `fused_code`).

    With decoding before the chain, both are done for a part of the batch after the other.
    """

    def __init__(self, node: Fused) -> None:
        self._decode: DecodeOperator | None = None
        if node.decode is not None:
            decoder = node.decode.source.decoder
            assert decoder is not None, "a Decode node is only made for a source with a decoder"
            self._decode = DecodeOperator(node.decode, decoder)
        self._steps = node.steps
        self._functions = [step.fn for step in node.steps]
        self._failures = [Failures(step, step.fn) for step in node.steps]
        self._keeps_rows = all(step.step in _ONE_TO_ONE for step in node.steps)
        self._loops: dict[tuple[bool, bool, bool], Loop] = {}

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the rows that come out of the chain."""
        (batch,) = inputs
        if self._decode is None:
            return self._pass(run, batch)
        # Origins that are kept for each row are read from the start: that is to be done once.
        if len(batch) <= PART or run.lineage:
            return self._pass(run, self._decode.process(run, (batch,)))
        passed = [self._pass(run, self._decode.process(run, (part,))) for part in _parts(batch)]
        return self._join(batch, passed)

    def _pass(self, run: BatchRun, batch: Batch) -> Batch:
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

    def _join(self, batch: Batch, passed: Sequence[Batch]) -> Batch:
        """Return what came out of the parts of a batch as one."""
        first, *others = passed
        values, keys, timestamps = first.values, first.keys, first.timestamps
        for part in others:
            values += part.values
            if keys is not None:
                keys += part.keys or ()
            if timestamps is not None:
                timestamps += part.timestamps or ()
        origins = batch.origins if self._keeps_rows and len(values) == len(batch) else None
        return Batch(values, keys, timestamps, origins, batch.watermark)


@dataclass(frozen=True, slots=True)
class _OriginsFrom:
    """The origins of a part of a batch, looked up when an error asks for one."""

    whole: Origins
    start: int

    def __getitem__(self, index: int) -> Origin:
        return self.whole[self.start + index]

    def __iter__(self) -> Iterator[Origin]:
        raise NotImplementedError("with lineage a batch is not split")


def _parts(batch: Batch) -> Iterator[Batch]:
    for start in range(0, len(batch), PART):
        end = start + PART
        yield Batch(
            batch.values[start:end],
            None if batch.keys is None else batch.keys[start:end],
            None if batch.timestamps is None else batch.timestamps[start:end],
            None if batch.origins is None else _OriginsFrom(batch.origins, start),
            batch.watermark,
        )
