"""What a physical operator is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from streamproc.batch import Batch
from streamproc.engine.explanation import WindowState
from streamproc.engine.run import BatchRun
from streamproc.eventtime.clock import Clock
from streamproc.io.sink import SinkWriter
from streamproc.state.tables import Tables

__all__ = ["AsyncOperator", "Operator", "OperatorContext", "Reach", "Windowed", "all_reach"]

Reach: TypeAlias = Callable[[int], "int | None"]
"""Returns the trigger time at which a watermark gets to a time if no records come; None if it doesn't."""


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


class Windowed(ABC):
    """What a window operator tells of its windows."""

    @property
    @abstractmethod
    def keyed(self) -> bool:
        """Whether each key has windows of its own."""

    @property
    @abstractmethod
    def through(self) -> int:
        """The watermark of the last batch."""

    @abstractmethod
    def windows_at(self, key: Any, time: int) -> list[WindowState]:
        """Return what it knows of the windows of a key that hold a time, or could, in the order of their ends.

        Args:
            key: The key; None where all records have the same windows.
            time: The time, in epoch milliseconds.
        """


class _Timely:
    """When an operator has something to do though no records come."""

    def next_due(self) -> int | None:
        """Return the earliest trigger time at which it has something to do even without records, or None."""
        return None

    def next_watermark(self) -> int | None:
        """Return the earliest watermark of its input at which it has something to do, or None."""
        return None

    def reaches(self, watermark: int, inputs: Sequence[Reach]) -> int | None:
        """Return the trigger time at which the watermark of its output is there if no records come; None for never.

        Args:
            watermark: The watermark.
            inputs: The same of each of its inputs.
        """
        return all_reach(watermark, inputs)


def all_reach(watermark: int, inputs: Sequence[Reach]) -> int | None:
    """Return the trigger time at which all inputs get to a watermark if no records come; None if one doesn't."""
    latest: int | None = None
    for reach in inputs:
        time = reach(watermark)
        if time is None:
            return None
        latest = time if latest is None else max(latest, time)
    return latest


class Operator(_Timely, ABC):
    """Turns the batches of its inputs into one batch, once for every batch of the job.

    All that must survive, from one batch to the next or a batch that is run again, is in tables: an operator keeps
    nothing else that depends on records.
    """

    @abstractmethod
    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the output for one batch; called also when the inputs are empty, as time goes on."""


class AsyncOperator(_Timely, ABC):
    """An operator that waits for something: else as `Operator`."""

    @abstractmethod
    async def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the output for one batch."""
