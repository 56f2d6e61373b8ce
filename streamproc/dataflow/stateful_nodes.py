"""The nodes of ready-made operators that keep something from batch to batch: see `streamproc.dataflow.nodes`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from streamproc.dataflow.nodes import Node
from streamproc.dataflow.policies import Function
from streamproc.windowing.aggregates import Aggregate

__all__ = ["Deduplicate", "GatherLists", "RunningAggregate", "TopK"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Deduplicate(Node):
    """The first of the records that are the same, within a time.

    Attributes:
        by: What makes records the same: returns a key.
        within_ms: Within which time.
    """

    by: Function
    within_ms: int
    kind: ClassVar[str] = "deduplicate"
    stateful: ClassVar[bool] = True


@dataclass(frozen=True, eq=False, kw_only=True)
class GatherLists(Node):
    """Lists of several records, in processing time.

    Attributes:
        n: How many records a list has at most.
        within_ms: For how long a list waits to be full; None for ever.
        keyed: Whether each key has its own lists.
    """

    n: int
    within_ms: int | None
    keyed: bool
    kind: ClassVar[str] = "batch"
    stateful: ClassVar[bool] = True

    def configuration(self) -> dict[str, str]:
        """Return whose records lists hold."""
        return {"records": "of each key" if self.keyed else "all"}


@dataclass(frozen=True, eq=False, kw_only=True)
class TopK(Node):
    """The largest elements so far, whenever they change; in window time those of each window.

    Attributes:
        k: How many.
        by: Returns what elements are compared by.
    """

    k: int
    by: Function
    kind: ClassVar[str] = "top_k"
    stateful: ClassVar[bool] = True


@dataclass(frozen=True, eq=False, kw_only=True)
class RunningAggregate(Node):
    """The aggregate of all values of a key so far, whenever it changes."""

    aggregate: Aggregate[Any, Any, Any]
    kind: ClassVar[str] = "running"
    stateful: ClassVar[bool] = True

    def configuration(self) -> dict[str, str]:
        """Return the aggregate."""
        return {"aggregate": self.aggregate.name}
