"""What a job has made of its lines, compared with what was in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from tests.chaos.traffic import Request, count

__all__ = ["Echo", "read_echo", "rows", "wrong_totals"]


@dataclass(frozen=True)
class Echo:
    """The lines that a job has written to its results.

    Attributes:
        numbers: Their numbers.
        doubled: How many of them are there more than once.
        changed: How many are not as they were written.
        disordered: How many stand behind a line with a higher number.
    """

    numbers: frozenset[int]
    doubled: int
    changed: int
    disordered: int


def rows(directory: Path) -> list[Any]:
    """Return the rows of the part files in a directory, in their order."""
    parts = sorted(directory.glob("part-*.ndjson"))
    return [msgspec.json.decode(line) for part in parts for line in part.read_bytes().splitlines()]


def read_echo(out: Path, requests: list[Request]) -> Echo:
    """Read the echoed lines."""
    times: Counter[int] = Counter()
    changed = disordered = last = 0
    for row in rows(out / "lines"):
        number = int(row["path"].removeprefix("/line/"))
        times[number] += 1
        changed += not 0 < number <= len(requests) or row != requests[number - 1].row()
        disordered += number < last
        last = number
    return Echo(frozenset(times), sum(n > 1 for n in times.values()), changed, disordered)


def wrong_totals(out: Path, summary: dict[str, Any], requests: list[Request]) -> list[str]:
    """Return in which respects a job's summary and files of totals differ from a count of requests."""
    counts = count(requests)
    expected = {**asdict(counts), "parsed": counts.lines, "rejected": 0}
    wrong = [
        f"the summary's {name!r} is {summary[name]!s:.60}, expected {value!s:.60}"
        for name, value in expected.items()
        if summary[name] != value
    ]
    if {row["client"]: row["requests"] for row in rows(out / "clients")} != counts.by_client:
        wrong.append("the last rows in clients/ are not the clients' totals")
    counters = {row["key"]: row["value"] for row in rows(out / "counters")}
    if counters.get("lines") != counts.lines:
        wrong.append(f"the last number of lines in counters/ is {counters.get('lines')}, expected {counts.lines}")
    return wrong
