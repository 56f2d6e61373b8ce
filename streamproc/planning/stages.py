"""Stages: the parts of a plan that records run through without changing their shard.

An operator that brings together the records of a key, or all records, needs them on one shard: there the plan is cut
by an *exchange*. With one shard an exchange costs nothing and does nothing; the cuts are shown by ``explain()``.
"""

from __future__ import annotations

from collections.abc import Sequence

from streamproc.dataflow.nodes import (
    AggregateBatch,
    CoGroup,
    CombineByKey,
    MapWithState,
    Node,
    Process,
    Repartition,
    Step,
    StepKind,
    UpdateState,
)
from streamproc.dataflow.stateful_nodes import Deduplicate, GatherLists, RunningAggregate, TopK
from streamproc.dataflow.window_nodes import AggregateWindow, RollingWindow

__all__ = ["exchange", "stages"]

_KEEP_KEYS = {StepKind.FILTER, StepKind.PEEK, StepKind.MAP_VALUES, StepKind.FLAT_MAP_VALUES}


def exchange(node: Node) -> str | None:
    """Return what an operator needs its input exchanged by, or None if it takes records where they are."""
    match node:
        case CombineByKey() | CoGroup() | UpdateState() | MapWithState() | Process() | RunningAggregate():
            return "by key"
        case GatherLists():
            return "by key" if node.keyed else None
        case Deduplicate():
            return "by what is compared"
        case AggregateWindow() | RollingWindow():
            return "by key" if node.keyed else "to one shard"
        case AggregateBatch() | TopK():
            return "to one shard"
        case Repartition():
            return "evenly"
        case _:
            return None


def stages(operators: Sequence[Node]) -> dict[str, int]:
    """Return the stage of each operator by name, numbered from 1; operators come inputs first."""
    stage: dict[str, int] = {}
    by_key: dict[str, bool] = {}
    for node in operators:
        before = max((stage[source.name] for source in node.inputs), default=1)
        there = bool(node.inputs) and all(by_key[source.name] for source in node.inputs)
        needed = exchange(node)
        cut = needed is not None and not (needed == "by key" and there)
        stage[node.name] = before + cut
        by_key[node.name] = needed == "by key" or (there and _keeps_keys(node))
    return stage


def _keeps_keys(node: Node) -> bool:
    """Return whether records leave an operator with the keys that they came with."""
    steps = getattr(node, "steps", (node,))
    return exchange(node) is None and all(step.step in _KEEP_KEYS for step in steps if isinstance(step, Step))
