"""`Fused`: consecutive plain steps as one node, and how they are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from streamproc.dataflow.nodes import Node, Step

__all__ = ["Fused", "fuse"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Fused(Node):
    """Consecutive plain per-record steps that become one pass over the batch; named after the last."""

    steps: tuple[Step, ...]
    kind: ClassVar[str] = "fused"


def fuse(nodes: Sequence[Node]) -> list[Node]:
    """Return nodes, inputs first, with each run of plain steps that has one reader replaced by a `Fused` node."""
    readers = Counter(source for node in nodes for source in node.inputs)
    rewritten: dict[Node, Node] = {}
    for node in nodes:
        inputs = tuple(rewritten[source] for source in node.inputs)
        if isinstance(node, Step) and node.run_async is None:
            steps: tuple[Step, ...] = (node,)
            before = inputs[0]
            if isinstance(before, Fused) and readers[node.inputs[0]] == 1:
                del rewritten[node.inputs[0]]
                steps = (*before.steps, node)
                inputs = before.inputs
            rewritten[node] = Fused(name=node.name, inputs=inputs, steps=steps)
        else:
            rewritten[node] = node if inputs == node.inputs else replace(node, inputs=inputs)
    return list(rewritten.values())
