"""Latency: how long a small batch takes from its trigger to its commit, and what it costs whatever is in it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.job import Spent, run_lists
from benchmarks.report import Report, percentile
from streamproc import Sliding, Stream, count
from streamproc.connectors.memory import MemorySink

__all__ = ["main", "measure"]

BATCHES = 1_000
SIZES = (1, 100)
"""Records a batch."""
MEMORY = Path("/dev/shm")
"""A file system in memory, where a sync costs nothing; left out where there is none."""


def plain(numbers: Stream[int]) -> None:
    """One map: the least that a batch can cost."""
    numbers.map(lambda n: n + 1).to(MemorySink())


def stateful(numbers: Stream[int]) -> None:
    """Keyed state, and a sliding window of a minute in batch time."""

    def add(new: list[int], total: int | None) -> int:
        return (total or 0) + len(new)

    keyed = numbers.key_by(lambda n: n % 10)
    keyed.update_state_by_key(add).to(MemorySink())
    keyed.window(Sliding("1m", "10s")).aggregate(count()).to(MemorySink())


PIPELINES: dict[str, Callable[[Stream[Any]], None]] = {"map": plain, "state and window": stateful}


def measure() -> Report:
    """Measure both pipelines with tiny and small batches, with and without a disk."""
    report = Report(
        "latency",
        f"{BATCHES:,} batches as soon as possible, memory source to memory sink\n"
        "batch: from the trigger to the commit; period: from batch to batch, with publishing and acknowledging",
    )
    disks: dict[str, Path | None] = {"synced": None, **({"no sync": MEMORY} if MEMORY.is_dir() else {})}
    for name, build in PIPELINES.items():
        for size in SIZES:
            lists = [list(range(size)) for _ in range(BATCHES)]
            for disk, state in disks.items():
                _add(report, f"{name}, {size} a batch, {disk}", run_lists(build, lists, state=state))
    return report


def _add(report: Report, name: str, spent: Spent) -> None:
    """Add the figures of a run."""
    batches = spent.batches
    assert len(batches) == BATCHES
    totals = [batch.total * 1e6 for batch in batches]
    report.add(f"{name}: batch, p50", percentile(totals, 0.5), "µs")
    report.add(f"{name}: batch, p99", percentile(totals, 0.99), "µs")
    report.add("    period", spent.wall * 1e6 / BATCHES, "µs", "mean")
    report.add("    processor time", spent.cpu * 1e6 / BATCHES, "µs", "mean")
    for part in ("take", "process", "commit"):
        report.add(f"    {part}", statistics.median(getattr(batch, part) for batch in batches) * 1e6, "µs", "median")


def main() -> None:
    """Measure and print."""
    print(measure())


if __name__ == "__main__":
    main()
