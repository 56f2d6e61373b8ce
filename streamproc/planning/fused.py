"""`Fused`: consecutive plain steps as one node, with the decoding before them, and how they are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from streamproc.dataflow.nodes import Decode, Node, Step

__all__ = ["Fused", "fuse"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Fused(Node):
    """Consecutive plain per-record steps that become one pass over the batch; named after the last.

    Attributes:
        steps: The steps.
        decode: What decodes the records before the first step, if nothing else reads what is decoded: it is then done
            in the same pass, so that records are still in the processor's cache when the steps get them.
    """

    steps: tuple[Step, ...]
    decode: Decode | None = None
    kind: ClassVar[str] = "fused"


def fuse(nodes: Sequence[Node]) -> list[Node]:
    """Return nodes, inputs first, with each run of plain steps that has one reader replaced by a `Fused` node."""
    readers = Counter(source for node in nodes for source in node.inputs)
    rewritten: dict[Node, Node] = {}
    for node in nodes:
        inputs = tuple(rewritten[source] for source in node.inputs)
        if isinstance(node, Step) and node.run_async is None:
            fused = Fused(name=node.name, inputs=inputs, steps=(node,))
            before = inputs[0]
            if readers[node.inputs[0]] == 1 and isinstance(before, Fused | Decode):
                del rewritten[node.inputs[0]]
                if isinstance(before, Fused):
                    fused = replace(fused, inputs=before.inputs, steps=(*before.steps, node), decode=before.decode)
                else:
                    fused = replace(fused, inputs=before.inputs, decode=before)
            rewritten[node] = fused
        else:
            rewritten[node] = node if inputs == node.inputs else replace(node, inputs=inputs)
    return list(rewritten.values())
