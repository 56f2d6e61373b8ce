"""`BatchRun`: what the operators share while one batch runs through them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from streamproc.batch import Batch
from streamproc.dataflow.policies import DeadLetter, DeadLetterRecord
from streamproc.eventtime.partitions import Partition

__all__ = ["BatchRun"]


@dataclass(slots=True)
class BatchRun:
    """One attempt to process one batch.

    Attributes:
        trigger_time: The batch's time in epoch milliseconds.
        sources: What each source gave, by name.
        caught_up: For each partition that is read, whether everything that is in it was taken.
        ended: The sources that will never give anything again.
        lineage: Whether origins are kept behind operators that drop or add rows. It is off at first, because it costs;
            when a record fails whose origin isn't known, the batch is run again with it.
        side_outputs: What operators put aside, by the operator's name and the output's.
        outputs: What each sink is to publish, by its name.
        dead_letters: The failed records of each policy that delivers them.
        skipped: How many records each operator skipped.
        skipped_first: The first error of each operator that skipped.
        counts: What each operator counts besides, by its name: see `streamproc.metrics.OperatorCounts`.
        paused: The partitions that each operator wants to be read no further for now.
    """

    trigger_time: int
    sources: Mapping[str, Batch]
    caught_up: Mapping[Partition, bool] = field(default_factory=dict[Partition, bool])
    ended: Set[str] = frozenset()
    lineage: bool = False
    side_outputs: dict[tuple[str, str], Batch] = field(default_factory=dict[tuple[str, str], Batch])
    outputs: dict[str, bytes] = field(default_factory=dict[str, bytes])
    dead_letters: dict[DeadLetter, list[DeadLetterRecord]] = field(
        default_factory=dict[DeadLetter, list[DeadLetterRecord]]
    )
    skipped: Counter[str] = field(default_factory=Counter[str])
    skipped_first: dict[str, str] = field(default_factory=dict[str, str])
    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter[str]))
    paused: dict[str, frozenset[Partition]] = field(default_factory=dict[str, frozenset[Partition]])

    @property
    def time(self) -> int:
        """The timestamp of records that have none of their own.

        The batch of trigger time T holds what came in the interval that ends there, so its records have the last
        millisecond before T: then the watermark T closes exactly the windows that end at T or before.
        """
        return self.trigger_time - 1
