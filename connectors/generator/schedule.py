"""`Schedule`: which records are due at a time. Exact, so that what is waited for is due when the wait is over."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

__all__ = ["Schedule"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Records that are due one after the other, at a constant rate.

    Attributes:
        rate: Records per second; `math.inf` for all at once.
        start: When the first of them is due, in epoch milliseconds.
        first: The number of that record.
    """

    rate: float
    start: int
    first: int

    def due(self, now: int) -> int:
        """Return the number of the first record that is not due at a time in epoch milliseconds."""
        if math.isinf(self.rate):
            return sys.maxsize
        if now < self.start:
            return self.first
        records, seconds = self.rate.as_integer_ratio()
        return self.first + (now - self.start) * records // (1000 * seconds) + 1

    def when(self, record: int) -> int:
        """Return when a record is due, in epoch milliseconds."""
        if math.isinf(self.rate) or record <= self.first:
            return self.start
        records, seconds = self.rate.as_integer_ratio()
        return self.start - (self.first - record) * 1000 * seconds // records
