"""What a benchmark gives: figures with names and units, printed for people or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

__all__ = ["Figure", "Report", "middle", "percentile"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Attributes:
        name: What was measured.
        value: The number.
        unit: Its unit; empty for ratios.
        note: A remark: the spread, or how it compares with what is wanted.
    """

    name: str
    value: float
    unit: str = ""
    note: str = ""

    def __str__(self) -> str:
        digits = 0 if abs(self.value) >= 100 else 2
        return f"  {self.name:<58} {self.value:>12,.{digits}f} {self.unit:<10} {self.note}".rstrip()


@dataclass(slots=True)
class Report:
    """The figures of one benchmark.

    Attributes:
        name: The benchmark.
        setup: What was run, in a line or two.
        figures: What came out.
    """

    name: str
    setup: str
    figures: list[Figure] = field(default_factory=list[Figure])

    def add(self, name: str, value: float, unit: str = "", note: str = "") -> None:
        """Add a figure."""
        self.figures.append(Figure(name, value, unit, note))

    def __str__(self) -> str:
        head = f"{self.name}   (python -m benchmarks --only {self.name})"
        return "\n".join([head, *(f"  {line}" for line in self.setup.splitlines()), *map(str, self.figures)])


def middle(values: Sequence[float]) -> tuple[float, str]:
    """Return the median of values, and their range as a note."""
    return median(values), f"({min(values):,.2f} to {max(values):,.2f} in {len(values)} rounds)"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that so large a share of all values doesn't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
