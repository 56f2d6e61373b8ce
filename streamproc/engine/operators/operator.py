"""What a physical operator is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamproc.batch import Batch
from streamproc.engine.run import BatchRun
from streamproc.eventtime.clock import Clock
from streamproc.io.sink import SinkWriter
from streamproc.state.tables import Tables

__all__ = ["AsyncOperator", "Operator", "OperatorContext"]


@dataclass(frozen=True, slots=True)
class OperatorContext:
    """What operators are made with.

    Attributes:
        tables: The state of the shard.
        clock: The time, for waiting; operators never read it to decide what comes out.
        writers: The open sinks by name.
    """

    tables: Tables
    clock: Clock
    writers: Mapping[str, SinkWriter]


class Operator(ABC):
    """Turns the batches of its inputs into one batch, once for every batch of the job.

    All that must survive, from one batch to the next or a batch that is run again, is in tables: an operator keeps
    nothing else that depends on records.
    """

    @abstractmethod
    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the output for one batch; called also when the inputs are empty, as time goes on."""

    def next_due(self) -> int | None:
        """Return the earliest trigger time at which it has something to do even without records, or None."""
        return None


class AsyncOperator(ABC):
    """An operator that waits for something: else as `Operator`."""

    @abstractmethod
    async def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the output for one batch."""
