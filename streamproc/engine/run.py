"""`BatchRun`: what the operators share while one batch runs through them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from streamproc.batch import Batch
from streamproc.dataflow.policies import DeadLetter, DeadLetterRecord

__all__ = ["END_OF_TIME", "START_OF_TIME", "BatchRun"]

START_OF_TIME = -(1 << 62)
"""The watermark before the first record."""
END_OF_TIME = 1 << 62
"""The watermark behind the last record: all sources have ended."""


@dataclass(slots=True)
class BatchRun:
    """One attempt to process one batch.

    Attributes:
        trigger_time: The batch's time in epoch milliseconds.
        sources: What each source gave, by name.
        lineage: Whether origins are kept behind operators that drop or add rows. It is off at first, because it costs;
            when a record fails whose origin isn't known, the batch is run again with it.
        side_outputs: What operators put aside, by the operator's name and the output's.
        outputs: What each sink is to publish, by its name.
        dead_letters: The failed records of each policy that delivers them.
        skipped: How many records each operator skipped.
        skipped_first: The first error of each operator that skipped.
        late: How many records came too late for each window operator.
    """

    trigger_time: int
    sources: Mapping[str, Batch]
    lineage: bool = False
    side_outputs: dict[tuple[str, str], Batch] = field(default_factory=dict[tuple[str, str], Batch])
    outputs: dict[str, bytes] = field(default_factory=dict[str, bytes])
    dead_letters: dict[DeadLetter, list[DeadLetterRecord]] = field(
        default_factory=dict[DeadLetter, list[DeadLetterRecord]]
    )
    skipped: Counter[str] = field(default_factory=Counter[str])
    skipped_first: dict[str, str] = field(default_factory=dict[str, str])
    late: Counter[str] = field(default_factory=Counter[str])

    @property
    def time(self) -> int:
        """The timestamp of records that have none of their own.

        The batch of trigger time T holds what came in the interval that ends there, so its records have the last
        millisecond before T: then the watermark T closes exactly the windows that end at T or before.
        """
        return self.trigger_time - 1
