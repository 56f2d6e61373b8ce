"""Operators that hand records on: sources, unions, side outputs, exchanges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streamproc.batch import Batch, concat
from streamproc.dataflow.nodes import Read, Repartition, SideOutput, Union
from streamproc.dataflow.times import in_event_time
from streamproc.engine.operators.operator import Operator, Reach
from streamproc.engine.run import BatchRun
from streamproc.state.tables import Tables
from streamproc.watermark import END_OF_TIME, START_OF_TIME, Watermark

__all__ = ["ReadOperator", "RepartitionOperator", "SideOutputOperator", "UnionOperator"]


class ReadOperator(Operator):
    """Gives what the driver has taken from a source."""

    def __init__(self, node: Read) -> None:
        self._name = node.name

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the source's batch."""
        return run.sources[self._name]

    def reaches(self, watermark: int, inputs: Sequence[Reach]) -> int | None:
        """Return the watermark itself, as it is the trigger time."""
        return watermark


class UnionOperator(Operator):
    """Gives the batches of several streams one after the other.

    State layout, under the operator's name: ``watermark`` -> the watermark in event time. It never goes back, also when
    an input comes back that was idle.
    """

    def __init__(self, node: Union, tables: Tables) -> None:
        self._watermark = tables.table(node.name, "watermark", quiet=True) if in_event_time(node) else None
        self._last: Sequence[Watermark] = ()

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the rows of all inputs."""
        self._last = [batch.watermark for batch in inputs]
        batch = concat(inputs, time=run.time)
        if self._watermark is None or batch.watermark.time in {START_OF_TIME, END_OF_TIME}:
            return batch
        before: int | None = self._watermark.get(None)
        if before is not None and before > batch.watermark.time:
            return replace(batch, watermark=replace(batch.watermark, time=before))
        if before != batch.watermark.time:
            self._watermark.put(None, batch.watermark.time)
        return batch

    def reaches(self, watermark: int, inputs: Sequence[Reach]) -> int | None:
        """Return when the inputs that hold others back are there, or when the first one is where none does."""
        if not self._last:
            return super().reaches(watermark, inputs)
        going_on = [(reach, last) for reach, last in zip(inputs, self._last, strict=True) if last.time != END_OF_TIME]
        active = [reach for reach, last in going_on if not last.idle]
        if active or not going_on:
            return super().reaches(watermark, active or inputs)
        return min((time for reach, _ in going_on if (time := reach(watermark)) is not None), default=None)


class SideOutputOperator(Operator):
    """Gives what its input has put aside."""

    def __init__(self, node: SideOutput) -> None:
        self._of = (node.inputs[0].name, node.output)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the side output."""
        return run.side_outputs[self._of]


class RepartitionOperator(Operator):
    """Keeps the records where they are: there is one shard."""

    def __init__(self, node: Repartition) -> None:
        pass

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the input."""
        return inputs[0]
