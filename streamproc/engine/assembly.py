"""From nodes to operators: the one place that knows which operator runs which node."""

from __future__ import annotations

from collections.abc import Sequence

from streamproc.dataflow.nodes import (
    AggregateBatch,
    BatchFunction,
    CoGroup,
    CombineByKey,
    DeadLetterSink,
    Decode,
    EventTime,
    MapWithState,
    Node,
    Process,
    Read,
    Repartition,
    SideOutput,
    Split,
    Step,
    Union,
    UpdateState,
    Write,
)
from streamproc.dataflow.stateful_nodes import Deduplicate, GatherLists, RunningAggregate, TopK
from streamproc.dataflow.times import WHOLE_BATCH, in_event_time, in_window_time
from streamproc.dataflow.window_nodes import CountWindow, PanedWindow, RollingWindow, SlicedWindow
from streamproc.engine.operators.async_step import AsyncStepOperator
from streamproc.engine.operators.batch_function import BatchFunctionOperator
from streamproc.engine.operators.cogroup import CoGroupOperator
from streamproc.engine.operators.combine import AggregateBatchOperator, CombineByKeyOperator
from streamproc.engine.operators.decode import DecodeOperator
from streamproc.engine.operators.deduplicate import DeduplicateOperator
from streamproc.engine.operators.event_time import EventTimeOperator
from streamproc.engine.operators.fused import FusedOperator
from streamproc.engine.operators.gather_lists import GatherListsOperator
from streamproc.engine.operators.map_with_state import MapWithStateOperator
from streamproc.engine.operators.operator import AsyncOperator, Operator, OperatorContext
from streamproc.engine.operators.pass_through import (
    ReadOperator,
    RepartitionOperator,
    SideOutputOperator,
    UnionOperator,
)
from streamproc.engine.operators.process import ProcessOperator
from streamproc.engine.operators.result_time import InBatchTimeOperator, PerWindowOperator
from streamproc.engine.operators.running_aggregate import RunningAggregateOperator
from streamproc.engine.operators.split import SplitOperator
from streamproc.engine.operators.top_k import TopKOperator
from streamproc.engine.operators.update_state import UpdateStateOperator
from streamproc.engine.operators.windows.counted import CountWindowOperator
from streamproc.engine.operators.windows.paned import PanedWindowOperator
from streamproc.engine.operators.windows.rolling import RollingWindowOperator
from streamproc.engine.operators.windows.sliced import SlicedWindowOperator
from streamproc.engine.operators.write import DeadLetterOperator, WriteOperator
from streamproc.planning.fused import Fused

__all__ = ["assemble", "keeps_lineage"]


def assemble(node: Node, context: OperatorContext) -> Operator | AsyncOperator:
    """Make the operator that runs a node."""
    operator = _operator(node, context)
    if not isinstance(node, WHOLE_BATCH):
        return operator
    if in_window_time(node):
        return PerWindowOperator(operator)
    return InBatchTimeOperator(operator) if any(map(in_event_time, node.inputs)) else operator


def _operator(node: Node, context: OperatorContext) -> Operator | AsyncOperator:
    match node:
        case Read():
            return ReadOperator(node)
        case Decode():
            decoder = node.source.decoder
            assert decoder is not None, "a Decode node is only made for a source with a decoder"
            return DecodeOperator(node, decoder)
        case Fused():
            return FusedOperator(node)
        case Step(run_async=options) if options is not None:
            return AsyncStepOperator(node, options, context.clock)
        case Union():
            return UnionOperator(node, context.tables)
        case Split():
            return SplitOperator(node, context.clock)
        case SideOutput():
            return SideOutputOperator(node)
        case Repartition():
            return RepartitionOperator(node)
        case BatchFunction():
            return BatchFunctionOperator(node, context.clock)
        case EventTime():
            return EventTimeOperator(node, context.tables)
        case AggregateBatch():
            return AggregateBatchOperator(node)
        case CombineByKey():
            return CombineByKeyOperator(node)
        case CoGroup():
            return CoGroupOperator(node)
        case UpdateState():
            return UpdateStateOperator(node, context.tables)
        case MapWithState():
            return MapWithStateOperator(node, context.tables)
        case Process():
            return ProcessOperator(node, context.tables)
        case RunningAggregate():
            return RunningAggregateOperator(node, context.tables)
        case TopK():
            return TopKOperator(node, context.tables, running=not in_window_time(node))
        case GatherLists():
            return GatherListsOperator(node, context.tables)
        case Deduplicate():
            return DeduplicateOperator(node, context.tables)
        case SlicedWindow():
            return SlicedWindowOperator(node, context.tables)
        case PanedWindow():
            return PanedWindowOperator(node, context.tables)
        case CountWindow():
            return CountWindowOperator(node, context.tables)
        case RollingWindow():
            return RollingWindowOperator(node, context.tables)
        case Write():
            return WriteOperator(node, context.writers[node.name])
        case DeadLetterSink():
            return DeadLetterOperator(node, context.writers[node.name])
        case _:
            raise NotImplementedError(f"no operator runs a {type(node).__name__}")


def keeps_lineage(nodes: Sequence[Node]) -> bool:
    """Return whether a plan always runs with lineage, because running a batch again would repeat awaited calls often.

    That is so when an ``async def`` function may fail and the job goes on: calls to the outside fail now and then.
    """
    return any(getattr(node, "run_async", None) is not None and node.on_error != "fail" for node in nodes)
