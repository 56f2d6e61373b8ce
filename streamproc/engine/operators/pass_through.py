"""Operators that hand records on: sources, unions, side outputs, exchanges."""

from __future__ import annotations

from collections.abc import Sequence

from streamproc.batch import Batch, concat
from streamproc.dataflow.nodes import Read, Repartition, SideOutput, Union
from streamproc.engine.operators.operator import Operator
from streamproc.engine.run import BatchRun

__all__ = ["ReadOperator", "RepartitionOperator", "SideOutputOperator", "UnionOperator"]


class ReadOperator(Operator):
    """Gives what the driver has taken from a source."""

    def __init__(self, node: Read) -> None:
        self._name = node.name

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the source's batch."""
        return run.sources[self._name]


class UnionOperator(Operator):
    """Gives the batches of several streams one after the other."""

    def __init__(self, node: Union) -> None:
        pass

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the rows of all inputs."""
        return concat(inputs, time=run.time)


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
