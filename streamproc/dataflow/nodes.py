"""The nodes of the logical plan: frozen descriptions of operators, linked from outputs to sources.

A node says what is to be done; nothing here runs. `streamproc.streams` builds nodes, `streamproc.planning` rewrites
them into a physical plan, and `streamproc.engine` has an operator for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from streamproc.dataflow.policies import AsyncOptions, DeadLetter, ErrorPolicy, Function
from streamproc.dataflow.variables import Output, Variable
from streamproc.io.sink import Sink
from streamproc.io.source import Source
from streamproc.windowing.aggregates import Aggregate

__all__ = [
    "AggregateBatch",
    "BatchFunction",
    "CoGroup",
    "CombineByKey",
    "DeadLetterSink",
    "Decode",
    "EventTime",
    "MapWithState",
    "Node",
    "Process",
    "Read",
    "Repartition",
    "SideOutput",
    "Split",
    "Step",
    "StepKind",
    "Union",
    "UpdateState",
    "Write",
]


@dataclass(frozen=True, eq=False, kw_only=True)
class Node:
    """One operator of the logical plan.

    Attributes:
        name: Unique in the app; the identity of the operator's state across restarts.
        inputs: The nodes whose records it gets.
        on_error: What to do with a record on which its function fails.
    """

    name: str
    inputs: tuple[Node, ...] = ()
    on_error: ErrorPolicy = "fail"

    kind: ClassVar[str]
    stateful: ClassVar[bool] = False
    """Whether records of one batch leave something behind for the next."""

    def configuration(self) -> dict[str, str]:
        """Return the settings that its state depends on: a restart with others is refused. Shown by ``explain()``."""
        return {}

    @property
    def of_pairs(self) -> bool:
        """Whether its function gets ``(key, value)`` pairs."""
        return False


@dataclass(frozen=True, eq=False, kw_only=True)
class Read(Node):
    """Records from a source."""

    source: Source[Any]
    kind: ClassVar[str] = "source"
    stateful: ClassVar[bool] = True

    def configuration(self) -> dict[str, str]:
        """Return the kind of source: positions of one kind mean nothing to another."""
        return {"source": type(self.source).__name__}


@dataclass(frozen=True, eq=False, kw_only=True)
class Decode(Node):
    """Bytes to values, by the decoder of the source that is its input."""

    source: Source[Any]
    kind: ClassVar[str] = "decode"


class StepKind(Enum):
    """What a per-record step does with its function's result."""

    MAP = "map"
    FILTER = "filter"
    FLAT_MAP = "flat_map"
    KEY_BY = "key_by"
    PEEK = "peek"
    MAP_VALUES = "map_values"
    FLAT_MAP_VALUES = "flat_map_values"


@dataclass(frozen=True, eq=False, kw_only=True)
class Step(Node):
    """A function of one record.

    The function gets the element: the value, or the pair ``(key, value)`` on a keyed stream; with the two ``_VALUES``
    kinds it gets the value only, and the key stays.

    Attributes:
        keyed: Whether the input is a keyed stream.
        run_async: How to run the function if it is an ``async def``; None for a plain one.
    """

    step: StepKind
    fn: Function
    keyed: bool = False
    run_async: AsyncOptions | None = None
    kind: ClassVar[str] = "step"

    @property
    def of_pairs(self) -> bool:
        """Whether its function gets ``(key, value)`` pairs: on a keyed stream, unless it is about values only."""
        return self.keyed and self.step not in {StepKind.MAP_VALUES, StepKind.FLAT_MAP_VALUES}


@dataclass(frozen=True, eq=False, kw_only=True)
class EventTime(Node):
    """Timestamps from the records, and the watermark that follows from them.

    Attributes:
        fn: Returns a record's time: epoch milliseconds, or an aware `datetime`. None takes the source's own.
        out_of_orderness_ms: By how much a record may be older than the newest one before it in its partition.
        idle_after_ms: After how long without records a partition doesn't hold the watermark back; None for never.
        alignment_ms: By how much a partition may be ahead of the slowest before it is paused; None for any.
        max_ahead_ms: By how much a timestamp may be ahead of the clock; None for any.
        keyed: Whether the input is a keyed stream.
    """

    fn: Function | None
    out_of_orderness_ms: int
    idle_after_ms: int | None
    alignment_ms: int | None
    max_ahead_ms: int | None
    keyed: bool = False
    kind: ClassVar[str] = "event_time"
    stateful: ClassVar[bool] = True

    @property
    def of_pairs(self) -> bool:
        """Whether its function gets ``(key, value)`` pairs: on a keyed stream."""
        return self.keyed

    def configuration(self) -> dict[str, str]:
        """Nothing: the newest timestamps are kept, and any bound may be applied to them."""
        return {}


@dataclass(frozen=True, eq=False, kw_only=True)
class Union(Node):
    """The records of several streams of one type."""

    kind: ClassVar[str] = "union"


@dataclass(frozen=True, eq=False, kw_only=True)
class Split(Node):
    """Each record to the side output of the first predicate that holds; the main output gets the rest."""

    predicates: Mapping[str, Function]
    run_async: AsyncOptions | None = None
    kind: ClassVar[str] = "split"


@dataclass(frozen=True, eq=False, kw_only=True)
class SideOutput(Node):
    """One of the side outputs of its input."""

    output: str
    kind: ClassVar[str] = "side_output"


@dataclass(frozen=True, eq=False, kw_only=True)
class Repartition(Node):
    """An exchange: records may go to other shards here. In a job of one shard they stay."""

    kind: ClassVar[str] = "repartition"


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchFunction(Node):
    """A function of the whole batch.

    Attributes:
        whole: Whether it gets the list (``transform``) or an iterator over one partition (``map_partitions``).
    """

    fn: Function
    whole: bool
    run_async: AsyncOptions | None = None
    kind: ClassVar[str] = "batch_function"


@dataclass(frozen=True, eq=False, kw_only=True)
class AggregateBatch(Node):
    """One result for each batch.

    Attributes:
        empty: A function that makes the result of a batch without records; None for no result.
    """

    aggregate: Aggregate[Any, Any, Any]
    empty: Callable[[], Any] | None = None
    kind: ClassVar[str] = "aggregate"


@dataclass(frozen=True, eq=False, kw_only=True)
class CombineByKey(Node):
    """One result for each key of a batch."""

    aggregate: Aggregate[Any, Any, Any]
    kind: ClassVar[str] = "combine_by_key"


@dataclass(frozen=True, eq=False, kw_only=True)
class CoGroup(Node):
    """For each key of a batch of two streams, the values of both, as a pair of lists."""

    kind: ClassVar[str] = "cogroup"


@dataclass(frozen=True, eq=False, kw_only=True)
class UpdateState(Node):
    """A function of a key's new values and its state gives the new state.

    Attributes:
        initial: The state that keys have before the first batch.
        every_batch: Whether it is called for all keys that have state, or for those with new values only.
    """

    fn: Function
    initial: Mapping[Any, Any]
    every_batch: bool
    kind: ClassVar[str] = "update_state_by_key"
    stateful: ClassVar[bool] = True


@dataclass(frozen=True, eq=False, kw_only=True)
class MapWithState(Node):
    """A function of a key, a value and the key's state gives a result and the new state."""

    fn: Function
    kind: ClassVar[str] = "map_with_state"
    stateful: ClassVar[bool] = True


@dataclass(frozen=True, eq=False, kw_only=True)
class Process(Node):
    """A `KeyedProcess`: named state, timers and side outputs.

    Attributes:
        function: The user's object.
        variables: Its state variables by name.
        outputs: Its side outputs by name.
    """

    function: Any
    variables: Mapping[str, Variable]
    outputs: Mapping[str, Output[Any]]
    kind: ClassVar[str] = "process"
    stateful: ClassVar[bool] = True

    def configuration(self) -> dict[str, str]:
        """Return the state variables."""
        return {f"state {name}": variable.kind for name, variable in sorted(self.variables.items())}


@dataclass(frozen=True, eq=False, kw_only=True)
class Write(Node):
    """Records to a sink."""

    sink: Sink[Any]
    kind: ClassVar[str] = "sink"


@dataclass(frozen=True, eq=False, kw_only=True)
class DeadLetterSink(Node):
    """Failed records to the sink of a `DeadLetter` policy."""

    policy: DeadLetter
    kind: ClassVar[str] = "dead_letter"
