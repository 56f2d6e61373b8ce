"""What a sink is: the contract between the engine and everything that results go to.

A sink is a pair. The **definition** (`Sink`) is a frozen dataclass that says where the results go; it opens nothing.
The **writer** (`SinkWriter`) is what runs, one per shard.

The rules that exactly-once rests on:

* ``encode`` turns a batch's rows into one payload of bytes, before the commit. It has no side effect. The commit stores
  the payload in the *outbox*, in the same atomic write as state and source positions.
* ``publish`` is called after the commit, in the order of batch ids, and again after a crash if the engine can't know
  that it succeeded. It must be idempotent by batch id: what was published before is recognised and not doubled.
* ``start`` returns the last batch id that this sink knows it has published, so that the engine can refuse to run with a
  state store older than the sink.
* A sink that can't be idempotent says so (``delivery = "at_least_once"``): a batch whose publishing was cut short by a
  crash is published again, with the same batch id and the same bytes, so that a receiver can tell.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeAlias, TypeVar

from streamproc.batch import Batch
from streamproc.eventtime.clock import Clock
from streamproc.io.source import no_step

__all__ = ["Delivery", "OutboxEntry", "Sink", "SinkContext", "SinkWriter"]

T_contra = TypeVar("T_contra", contravariant=True)

Delivery: TypeAlias = Literal["exactly_once", "at_least_once"]


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One sink's outputs of one committed batch.

    Attributes:
        batch_id: Numbers the committed batches of a shard from 1, each one more than the last. Not every batch has
            outputs for every sink, so a sink sees the ids grow with gaps.
        time: The batch's trigger time in epoch milliseconds; the same after a crash.
        payload: What the writer's own ``encode`` returned.
    """

    batch_id: int
    time: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What the engine gives a sink when it opens it.

    Attributes:
        app: The app's name.
        name: The operator name of the sink, unique in the app.
        clock: The time. ``publish`` must not let the outcome depend on it: use ``OutboxEntry.time``.
        shard: Which shard this is, from zero; two shards must not write the same file, row or transaction.
        shards: How many shards the job has.
        step: To be called with a name at each inner step where a crash would matter; tests stop the engine there.
    """

    app: str
    name: str
    clock: Clock
    shard: int = 0
    shards: int = 1
    step: Callable[[str], None] = no_step


class SinkWriter(ABC):
    """Writes to one sink for one shard. See the module for the rules."""

    @abstractmethod
    async def start(self) -> int | None:
        """Open the output, mend what a crash left half done, and return the last published batch id if it is known.

        Raises:
            SinkError: The output can't be opened.
        """

    @abstractmethod
    def encode(self, batch: Batch) -> bytes:
        """Return a batch's rows (at least one) as the payload to publish.

        Raises:
            Exception: A row can't be encoded. The engine then calls ``encode`` row by row to find it, and applies the
                error policy.
        """

    @abstractmethod
    async def publish(self, entry: OutboxEntry) -> None:
        """Make a batch's outputs visible. Idempotent by ``entry.batch_id``.

        Raises:
            SinkError: The output can't be written now. The job stops; the outbox keeps the batch for the next start.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release everything; what was published stays so. Called once, also after errors."""


class Sink(ABC, Generic[T_contra]):
    """The definition of a sink for ``T``: frozen and cheap to make."""

    delivery: ClassVar[Delivery]

    @abstractmethod
    def open(self, context: SinkContext) -> SinkWriter:
        """Make the writer for one shard; nothing is opened before its ``start``."""
