"""The commit protocol of one shard, without any I/O: what happened goes in, what may be done comes out.

A batch goes through these steps. The state store decides: before COMMIT nothing has left the process, behind it the
sinks catch up from the outbox.

    take ──> process ──> COMMIT ──> publish to each sink ──> acknowledge to the sources
                 ^          │            │
                 └──────────┼────────────┘   the next batch is taken and processed while this one is published, and
                            │                committed once fewer than ``max_in_flight`` wait in the outbox
                            v
              state, positions, outbox, batch id: one atomic, synced write

Batch ids count the commits of a shard from 1. An attempt that has nothing to commit uses up none.

Recovery, from what the store and the sinks say (N: the last committed batch; M: the sink's last published one, if it
knows; P: the last batch with outputs for the sink that the store has taken out of the outbox, as published):

    outbox has batch K for the sink     M unknown      publish K again: the sink is idempotent, or at-least-once
                                        M <  K         publish K
                                        M >= K         it is published; only its row in the outbox is left to delete
    M > N                                              refuse: the store is lost, or an old copy
    M < P                                              refuse: the sink has lost what it acknowledged
    outbox has a batch for no sink of the plan         refuse: committed outputs would be lost
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamproc.errors import PlanChangedError, SinkBehindStateError, StateBehindSinkError

__all__ = ["STEPS", "BatchProtocol", "Waiting", "recover"]

STEPS = (
    "before_take",
    "after_take",
    "after_process",
    "before_commit",
    "after_commit",
    "before_publish",
    "after_publish",
    "before_acknowledge",
    "after_acknowledge",
)
"""The steps of the loop that a test can stop the engine at, in order; sinks and sources add their own."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row of the outbox: the outputs of a committed batch for one sink."""

    batch_id: int
    sink: str


def recover(
    committed: int,
    outbox: Sequence[Waiting],
    published: Mapping[str, int | None],
    *,
    acknowledged: Mapping[str, int],
    where: str,
) -> list[Waiting]:
    """Return the rows of the outbox that have to be published before the first new batch, in order.

    Args:
        committed: The last batch that the store has committed.
        outbox: All its rows, in the order of their batches.
        published: For each sink of the plan the last batch that it knows it has published, or None.
        acknowledged: For each sink the last batch that was taken out of the outbox, if there was one.
        where: The store, for error messages.

    Raises:
        StateBehindSinkError: A sink has published more than the store has committed.
        SinkBehindStateError: A sink has published less than it had acknowledged.
        PlanChangedError: Rows wait for a sink that the plan doesn't have.
    """
    for sink, last in published.items():
        if last is not None and last > committed:
            raise StateBehindSinkError(
                f"the sink {sink!r} has published batch {last}, but the state in {where} ends with batch {committed}: "
                f"the state is lost or an older copy, and going on would publish results twice. Restore the newest "
                f"state, or start anew: with another state directory and another output for this sink"
            )
        if last is not None and last < acknowledged.get(sink, 0):
            raise SinkBehindStateError(
                f"the sink {sink!r} says that batch {last} is the last one it has published, but it had acknowledged "
                f"batch {acknowledged[sink]}, as the state in {where} knows: what it has written was lost or torn. "
                f"Repair its output or restore it; to go on without what is missing, give the sink another name="
            )
    lost = sorted({row.sink for row in outbox} - set(published))
    if lost:
        raise PlanChangedError(
            f"the state in {where} holds committed outputs for {', '.join(map(repr, lost))}, which the pipeline no "
            f"longer has: start once with the old pipeline, and stop it gracefully, before the sink is removed"
        )
    return [row for row in outbox if (published[row.sink] or 0) < row.batch_id]


class BatchProtocol:
    """Counts batches through commit and publishing.

    Args:
        committed: The last committed batch.
        max_in_flight: How many committed batches may wait to be published before the next commit waits.
    """

    def __init__(self, committed: int, max_in_flight: int) -> None:
        self.committed = committed
        self.published = committed
        self._max_in_flight = max_in_flight

    @property
    def in_flight(self) -> int:
        """How many committed batches are not yet published to all sinks."""
        return self.committed - self.published

    @property
    def may_commit(self) -> bool:
        """Whether the next batch may be committed now."""
        return self.in_flight < self._max_in_flight

    @property
    def next_batch(self) -> int:
        """The id of the next batch to commit."""
        return self.committed + 1

    def on_committed(self, batch_id: int) -> None:
        """Learn that a batch is committed."""
        assert batch_id == self.next_batch, f"batch {batch_id} was committed after {self.committed}"
        assert self.may_commit, f"batch {batch_id} was committed with {self.in_flight} in flight"
        self.committed = batch_id

    def on_published(self, batch_id: int) -> None:
        """Learn that a batch is published to all its sinks."""
        assert batch_id == self.published + 1, f"batch {batch_id} was published after {self.published}"
        assert batch_id <= self.committed, f"batch {batch_id} was published before its commit"
        self.published = batch_id
