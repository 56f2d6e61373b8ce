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
from streamproc.watermark import END_OF_TIME, START_OF_TIME

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
        self._idle = [False] * len(node.inputs)

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the rows of all inputs."""
        self._idle = [batch.watermark.idle for batch in inputs]
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
        """Return when the inputs that aren't idle are there, or when the first one is where all are idle."""
        if all(self._idle):
            return min((time for reach in inputs if (time := reach(watermark)) is not None), default=None)
        return super().reaches(watermark, [reach for reach, idle in zip(inputs, self._idle, strict=True) if not idle])


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
