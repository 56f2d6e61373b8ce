"""What a sink is: the contract between the engine and everything that results go to.

A sink is a pair. The **definition** (`Sink`) is a frozen dataclass that says where the results go; it opens nothing.
The **writer** (`SinkWriter`) is what runs, one per shard.

The rules that exactly-once rests on:

* ``encode`` turns a batch's rows into one payload of bytes, before the commit. It has no side effect. The commit stores
  the payload in the *outbox*, in the same atomic write as state and source positions.
* ``publish`` is called after the commit, in the order of batch ids, and again after a crash if the engine can't know
  that it succeeded. It must be idempotent by batch id: what was published before is recognised and not doubled.
* ``start`` returns the last batch id that this sink knows it has published, so that the engine can refuse to run with a
  state store older than the sink, or with a sink that has lost what it acknowledged.
* A sink that another instance of the same shard can write to as well lets the last one that started win: from then on
  ``publish`` of the older one has no effect and raises `FencedError`. An instance whose ``committed`` batch is older
  than what the sink has can't go on anyway, and must not fence one that can: its ``start`` only returns the batch id.
* A sink that can't be idempotent says so (``delivery = "at_least_once"``): a batch whose publishing was cut short by a
  crash is published again, with the same batch id and the same bytes, so that a receiver can tell.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from streamproc.batch import Batch
from streamproc.eventtime.clock import Clock
from streamproc.io.source import Position, Source, no_report, no_step

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
        positions: Where each source goes on behind this batch, for a sink that publishes that with the outputs so that
            operators see the progress of both together. Empty after a crash where later batches wait as well: only the
            last one's positions are known then.
    """

    batch_id: int
    time: int
    payload: bytes
    positions: Mapping[str, Mapping[str, Position | None]] = field(
        default_factory=dict[str, Mapping[str, "Position | None"]]
    )


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
        blocked: To be called with the reason whenever the sink waits for something outside, such as a broker that is
            gone, and with None when it goes on; it is logged and shown in `JobMetrics.blocked`.
        committed: The last batch that the shard's store has committed, when the sink is opened.
        published: The last batch with outputs for this sink that the store knows the sink has published; 0 for none.
        sources: The sources of the app by their names.
    """

    app: str
    name: str
    clock: Clock
    shard: int = 0
    shards: int = 1
    step: Callable[[str], None] = no_step
    blocked: Callable[[str | None], None] = no_report
    committed: int = 0
    published: int = 0
    sources: Mapping[str, Source[Any]] = field(default_factory=dict[str, Source[Any]])


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
