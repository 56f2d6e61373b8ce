"""Consecutive plain per-record steps as one pass over the batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any

from streamproc.batch import Batch, Origin, Origins, Run
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

    With decoding before the chain, both are done for a part of the batch after the other; where partitions are told
    apart, a part is of one of them, so that it is known how many rows come of each.
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
        # Origins that are kept for each row are read from the start: that is to be done once.
        if run.lineage and batch.origins is not None:
            return _with_runs(self._pass(run, replace(batch, runs=None)), batch.runs)
        parts = _parts(batch, len(batch) if self._decode is None else PART)
        if len(parts) == 1:
            return self._pass(run, parts[0])
        return self._join(batch, [self._pass(run, part) for part in parts])

    def _pass(self, run: BatchRun, batch: Batch) -> Batch:
        """Return what comes out of the chain for some rows, which are all of one partition if these are told apart."""
        if self._decode is not None:
            batch = self._decode.process(run, (batch,))
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
        runs = None if batch.runs is None else [run._replace(rows=len(values)) for run in batch.runs]
        kept = not traced and self._keeps_rows and len(values) == len(batch)
        return Batch(values, keys, timestamps, batch.origins if kept else origins, batch.watermark, runs)

    def _join(self, batch: Batch, passed: Sequence[Batch]) -> Batch:
        """Return what came out of the parts of a batch as one."""
        first, *others = passed
        values, keys, timestamps = first.values, first.keys, first.timestamps
        runs = None if batch.runs is None else list(chain.from_iterable(part.runs or () for part in passed))
        for part in others:
            values += part.values
            if keys is not None:
                keys += part.keys or ()
            if timestamps is not None:
                timestamps += part.timestamps or ()
        origins = batch.origins if self._keeps_rows and len(values) == len(batch) else None
        return Batch(values, keys, timestamps, origins, batch.watermark, runs)


@dataclass(frozen=True, slots=True)
class _OriginsFrom:
    """The origins of a part of a batch, looked up when an error asks for one."""

    whole: Origins
    start: int

    def __getitem__(self, index: int) -> Origin:
        return self.whole[self.start + index]

    def __iter__(self) -> Iterator[Origin]:
        raise NotImplementedError("with lineage a batch is not split")


def _parts(batch: Batch, longest: int) -> list[Batch]:
    """Return a batch in parts of at most so many rows, each of one partition where these are told apart."""
    if len(batch) <= longest and (batch.runs is None or len(batch.runs) == 1):
        return [batch]
    return [
        Batch(
            batch.values[start:end],
            None if batch.keys is None else batch.keys[start:end],
            None if batch.timestamps is None else batch.timestamps[start:end],
            None if batch.origins is None else _OriginsFrom(batch.origins, start),
            batch.watermark,
            None if run is None else [run._replace(rows=end - start)],
        )
        for start, end, run in _borders(batch, longest)
    ] or [batch]


def _borders(batch: Batch, longest: int) -> Iterator[tuple[int, int, Run | None]]:
    """Yield where parts begin and end, and the run that each belongs to."""
    begin = 0
    for run in (None,) if batch.runs is None else batch.runs:
        behind = len(batch) if run is None else begin + run.rows
        for start in range(begin, behind, longest or 1):
            yield start, min(start + longest, behind), run
        begin = behind


def _with_runs(batch: Batch, runs: Sequence[Run] | None) -> Batch:
    """Return a batch whose rows have origins, with its runs where those of its input were known."""
    if runs is None or batch.origins is None:
        return batch
    undivided = {run.source for run in runs if not run.partition}
    partitions = groupby((o.source, "" if o.source in undivided else o.partition) for o in batch.origins)
    return replace(batch, runs=[Run(*partition, len(list(rows))) for partition, rows in partitions])
