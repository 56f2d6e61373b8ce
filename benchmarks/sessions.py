"""A million sessions at once: records a second, and what memory they take beside RocksDB's and the cache's."""

from __future__ import annotations

import multiprocessing
import random
import resource
from itertools import islice

from benchmarks.job import run_lists
from benchmarks.report import Report
from benchmarks.windows import Reading, windowed
from streamproc import Session, Settings, count

__all__ = ["main", "measure"]

KEYS = 1_000_000
BATCH = 25_000
OPENING = KEYS // BATCH
GROWING = 20


def batches() -> list[list[Reading]]:
    """Return batches: first each opens sessions, then records come for any of them. None ends before the last."""
    chance = random.Random(7)
    keys = list(range(KEYS))
    chance.shuffle(keys)
    opening = iter(keys)
    found = [
        [Reading(f"user-{key:07}", 1, 1_000_000 + batch * 1_000) for key in islice(opening, BATCH)]
        for batch in range(OPENING)
    ]
    return found + [
        [Reading(f"user-{chance.randrange(KEYS):07}", 1, 1_000_000 + batch * 1_000) for _ in range(BATCH)]
        for batch in range(OPENING, OPENING + GROWING)
    ]


def run() -> tuple[float, float, float, int]:
    """Return the records a second while sessions open and while they grow, and memory before and at most, in MB."""
    lists = batches()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    spent = run_lists(windowed(Session("1h"), count), lists, close=False)
    totals = [batch.total for batch in spent.batches]
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    opening, growing = sum(totals[:OPENING]), sum(totals[OPENING : OPENING + GROWING])
    return OPENING * BATCH / opening, GROWING * BATCH / growing, before, round(most)


def measure() -> Report:
    """Measure in a process of its own, whose memory is its own."""
    limit = Settings().cache_bytes
    report = Report(
        "sessions",
        f"{KEYS:,} keys with a session each, batches of {BATCH:,} records, RocksDB commit synced each batch;\n"
        f"the cache of decoded state is limited to {limit >> 20} MB",
    )
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        opening, growing, before, most = pool.apply(run)
    report.add("each record opens a session", opening, "records/s")
    report.add("each record is for one of a million sessions", growing, "records/s")
    report.add("memory before (the records)", before, "MB")
    report.add("memory at most", most, "MB")
    return report


def main() -> None:
    """Measure and print."""
    print(measure())


if __name__ == "__main__":
    main()
