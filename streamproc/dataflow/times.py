"""Which time the records of a stream have: of the batch, of the record itself, or of the window that gave them out.

    batch time    the trigger time of the batch is their time and the watermark: all streams at first
    event time    behind ``event_time``: timestamps come from the records, and the watermark from the timestamps
    window time   behind a window: the time is the last millisecond of the window; the watermark is that of its input.
                  Results that have the time of a record instead are in event time

An operator that makes results of a whole batch works once for each window where its input has window time, and gives
the results that time: how many windows end within one batch, which depends on the weather, changes nothing. Otherwise
its results are in batch time, whatever time its input had: there is no one time that records of one batch share. So are
the lists of ``batch``, which are given by the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streamproc.dataflow.dataflow import in_order
from streamproc.dataflow.nodes import (
    AggregateBatch,
    BatchFunction,
    CoGroup,
    CombineByKey,
    EventTime,
    Node,
    Process,
    Read,
    SideOutput,
    UpdateState,
)
from streamproc.dataflow.stateful_nodes import GatherLists, RunningAggregate, TopK
from streamproc.dataflow.window_nodes import AggregateWindow, CountWindow, PanedWindow, RollingWindow, SlicedWindow

__all__ = [
    "WHOLE_BATCH",
    "in_batch_time",
    "in_event_time",
    "in_window_time",
    "sources_asked_for_times",
    "sources_of",
    "sources_with_event_time",
]

WHOLE_BATCH = (AggregateBatch, BatchFunction, CoGroup, CombineByKey, RunningAggregate, TopK, UpdateState)
"""The operators that make results of a whole batch."""


def in_window_time(node: Node) -> bool:
    """Return whether all that comes out of a node has the time of a window."""
    found: dict[Node, bool] = {}
    for each in in_order([node]):
        if isinstance(each, SlicedWindow | RollingWindow):
            found[each] = True
        elif isinstance(each, PanedWindow):
            found[each] = each.result_time == "end"
        elif isinstance(each, EventTime | Process | CountWindow | GatherLists) or _is_late(each):
            found[each] = False
        else:
            found[each] = bool(each.inputs) and all(found[source] for source in each.inputs)
    return found[node]


def _is_late(node: Node) -> bool:
    """Return whether a node gives the records that came too late for a window: they keep their own times."""
    return isinstance(node, SideOutput) and isinstance(node.inputs[0], AggregateWindow)


def in_event_time(node: Node) -> bool:
    """Return whether the watermark of what comes out of a node follows from timestamps of records."""
    found: dict[Node, bool] = {}
    for each in in_order([node]):
        if isinstance(each, GatherLists) or (isinstance(each, WHOLE_BATCH) and not in_window_time(each)):
            found[each] = False
        else:
            found[each] = isinstance(each, EventTime) or any(found[source] for source in each.inputs)
    return found[node]


def in_batch_time(node: Node) -> bool:
    """Return whether all that comes out of a node has the time of its batch."""
    found: dict[Node, bool] = {}
    for each in in_order([node]):
        if isinstance(each, EventTime | Process | AggregateWindow | RollingWindow):
            found[each] = False
        elif isinstance(each, (GatherLists, *WHOLE_BATCH)):
            found[each] = not in_window_time(each)
        else:
            found[each] = all(found[source] for source in each.inputs)
    return found[node]


def sources_asked_for_times(nodes: Sequence[Node]) -> frozenset[str]:
    """Return the names of the sources whose own timestamps an ``event_time()`` without a function takes."""
    return _sources(node for node in nodes if isinstance(node, EventTime) and node.fn is None)


def sources_with_event_time(nodes: Sequence[Node]) -> frozenset[str]:
    """Return the names of the sources that an ``event_time()`` works behind."""
    return _sources(node for node in nodes if isinstance(node, EventTime))


def sources_of(node: Node) -> frozenset[str]:
    """Return the names of the sources that a node gets records of."""
    return _sources([node])


def _sources(nodes: Iterable[Node]) -> frozenset[str]:
    return frozenset(source.name for source in in_order(list(nodes)) if isinstance(source, Read))
