"""A log to analyse, and what is in it: counted with the standard library alone, by other means than the job's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from examples.weblog.traffic import Traffic

ROOT = Path(__file__).parents[3]
REAL_LOG = ROOT.parent / "shared" / "data" / "apache_access.log"


@dataclass
class Counts:
    """What is in a log."""

    lines: int = 0
    bytes: int = 0
    by_status: Counter[str] = field(default_factory=Counter[str])
    by_client: Counter[str] = field(default_factory=Counter[str])


def log_file(directory: Path) -> Path:
    """Return 10,000 lines of a real log; of simulated traffic where the project was cloned without that file."""
    if REAL_LOG.exists():
        return REAL_LOG
    path = directory / "access.log"
    lines = islice(Traffic(seed=5, rate=40, start=1_431_857_100_000).lines(), 10_000)
    path.write_text("".join(f"{line}\n" for _, line in lines))
    return path


def count(path: Path) -> Counts:
    """Count a log in which no request line holds a quote."""
    counts = Counts()
    for line in path.read_text().splitlines():
        counts.lines += 1
        status, size = line.split('"')[2].split()[:2]
        counts.by_client[line.split(" ")[0]] += 1
        counts.by_status[status] += 1
        counts.bytes += int(size) if size.isdigit() else 0
    return counts


def assert_totals(summary: dict[str, Any], counts: Counts) -> None:
    """Assert that a job's summary says what is in a log, all of it."""
    assert summary["lines"] == counts.lines
    assert summary["parsed"] == counts.lines
    assert summary["rejected"] == 0
    assert summary["bytes"] == counts.bytes
    assert summary["by_status"] == dict(counts.by_status)
    assert summary["by_client"] == dict(counts.by_client)
