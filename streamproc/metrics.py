"""What a running job counts: cheap enough to be always on, because nothing is counted per record."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

__all__ = ["BatchTimes", "JobMetrics", "OperatorCounts"]


@dataclass(slots=True)
class OperatorCounts:
    """The counts of one operator since the start.

    Attributes:
        records_in: Records that came in, over all inputs.
        records_out: Records that went out.
        skipped: Records that failed and were skipped.
        dead_letters: Records that failed and were delivered to a dead letter sink.
        late: Records that came when all of their windows were closed.
        dropped: Records that it has left out because that is what it does, such as duplicates.
        panes: Results of windows.
        expired: Windows and entries of state that were removed because their time was over.
        timers: Timers that have rung.
        seconds: Time spent in it.
    """

    records_in: int = 0
    records_out: int = 0
    skipped: int = 0
    dead_letters: int = 0
    late: int = 0
    dropped: int = 0
    panes: int = 0
    expired: int = 0
    timers: int = 0
    seconds: float = 0.0

    def add(self, records_in: int, records_out: int, seconds: float) -> None:
        """Add what one batch came to."""
        self.records_in += records_in
        self.records_out += records_out
        self.seconds += seconds


@dataclass(frozen=True, slots=True)
class BatchTimes:
    """How long the parts of one batch took, in seconds.

    Attributes:
        batch_id: The batch.
        trigger_time: Its trigger time in epoch milliseconds.
        records: How many records its sources gave.
        take: Taking them from the sources.
        process: Running the operators.
        commit: Waiting for room in the outbox, and the commit.
    """

    batch_id: int
    trigger_time: int
    records: int
    take: float
    process: float
    commit: float

    @property
    def total(self) -> float:
        """The time from the trigger to the end of the commit."""
        return self.take + self.process + self.commit


@dataclass(slots=True)
class JobMetrics:
    """The counts of one shard since the start.

    Attributes:
        batches: Committed batches.
        records: Records that sources gave in committed batches.
        reruns: Batches that were run again to find where a failed record came from.
        in_flight: Committed batches that are not yet published to all sinks.
        state_bytes: About how large the state store is.
        recent: The times of the last committed batches.
        operators: The counts of each operator by name. Fused steps are counted as one, under the name of the last; only
            their failures are counted under their own.
        blocked: The sources and sinks that wait for something outside that should be there, by name, with the reason.
            Empty in a healthy job.
    """

    batches: int = 0
    records: int = 0
    reruns: int = 0
    in_flight: int = 0
    state_bytes: int = 0
    recent: deque[BatchTimes] = field(default_factory=lambda: deque[BatchTimes](maxlen=100))
    operators: dict[str, OperatorCounts] = field(default_factory=dict[str, OperatorCounts])
    blocked: dict[str, str] = field(default_factory=dict[str, str])

    def operator(self, name: str) -> OperatorCounts:
        """Return the counts of an operator, to be added to."""
        return self.operators.setdefault(name, OperatorCounts())
