"""The physical plan: what one shard runs for each batch, in order.

`plan` turns the logical nodes into it: it leaves out what no output depends on, fuses runs of plain per-record steps
into one pass, and finds the stages, which are cut where records have to go to the shard of their key.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from streamproc.dataflow.dataflow import Dataflow, in_order
from streamproc.dataflow.nodes import DeadLetterSink, Node, Read
from streamproc.errors import PipelineError
from streamproc.planning.explain import explain, mermaid
from streamproc.planning.fused import fuse
from streamproc.planning.stages import stages

__all__ = ["OperatorState", "PhysicalPlan", "plan"]


class OperatorState(msgspec.Struct, frozen=True):
    """What a store remembers of an operator that has state, to tell whether a later plan can go on with it."""

    kind: str
    configuration: dict[str, str]


@dataclass(frozen=True, slots=True)
class PhysicalPlan:
    """What one shard runs.

    Attributes:
        operators: All operators, inputs before those that read them.
        stage_of: The number of each operator's stage, from 1.
        unused: The names of operators that no output depends on; they don't run.
    """

    operators: tuple[Node, ...]
    stage_of: dict[str, int]
    unused: tuple[str, ...]

    @property
    def sources(self) -> list[Read]:
        """The sources, in order."""
        return [node for node in self.operators if isinstance(node, Read)]

    def state(self) -> dict[str, OperatorState]:
        """Return the operators that have state by name: the fingerprint of the plan."""
        return {node.name: OperatorState(node.kind, node.configuration()) for node in self.operators if node.stateful}

    def explain(self) -> str:
        """Return the plan as text: stages, what is fused, what has state, and which operator reads which."""
        return explain(self.operators, self.stage_of, self.unused)

    def mermaid(self) -> str:
        """Return the plan as a Mermaid flowchart."""
        return mermaid(self.operators, self.stage_of)


def plan(dataflow: Dataflow) -> PhysicalPlan:
    """Return the physical plan of a dataflow.

    Raises:
        PipelineError: Nothing is written anywhere.
    """
    # Dead letters are written behind everything that can fail.
    outputs = sorted(dataflow.outputs, key=lambda output: isinstance(output, DeadLetterSink))
    if not any(output.inputs for output in outputs):
        raise PipelineError(
            "the pipeline has no output: end it with to(sink), print(), save_as_text_files() or foreach_batch()"
        )
    used = in_order(outputs)
    operators = fuse(used)
    unused = tuple(node.name for node in dataflow.nodes if node not in set(used))
    return PhysicalPlan(tuple(operators), stages(operators), unused)
