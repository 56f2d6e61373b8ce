"""The lines that a job is fed: numbered, seeded, and with all that the job must make of them, known without it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["LONGEST_LINE", "Counts", "Request", "count", "traffic"]

LONGEST_LINE = 128
"""No line has more bytes, its line break included."""

_CLIENTS = [f"198.18.{number // 250}.{number % 250}" for number in range(500)]
_STATUSES = [200, 200, 200, 200, 304, 401, 404, 500]


@dataclass(frozen=True, slots=True)
class Request:
    """A request with a number of its own, from 1, which is in its path."""

    number: int
    client: str
    status: int
    size: int

    def line(self) -> bytes:
        """Return the line of the log, with its line break."""
        return (
            f"{self.client} - - [17/May/2015:10:05:03 +0000] "
            f'"GET /line/{self.number} HTTP/1.1" {self.status} {self.size} "-" "chaos"\n'
        ).encode()

    def row(self) -> dict[str, Any]:
        """Return the row that the job echoes."""
        return {
            "client": self.client,
            "time": 1_431_857_103_000,
            "method": "GET",
            "path": f"/line/{self.number}",
            "status": self.status,
            "size": self.size,
            "referrer": "-",
            "agent": "chaos",
        }


@dataclass
class Counts:
    """Totals of requests, under the names that the job's summary has for them."""

    lines: int = 0
    bytes: int = 0
    by_status: dict[str, int] = field(default_factory=dict[str, int])
    by_client: dict[str, int] = field(default_factory=dict[str, int])


def traffic(seed: int, lines: int) -> list[Request]:
    """Return the requests that a seed stands for; request ``n`` is at ``[n - 1]``."""
    rng = random.Random(seed)
    return [
        Request(number, rng.choice(_CLIENTS), rng.choice(_STATUSES), rng.randrange(100_000))
        for number in range(1, lines + 1)
    ]


def count(requests: Iterable[Request]) -> Counts:
    """Count requests."""
    counts = Counts()
    for request in requests:
        status = str(request.status)
        counts.lines += 1
        counts.bytes += request.size
        counts.by_status[status] = counts.by_status.get(status, 0) + 1
        counts.by_client[request.client] = counts.by_client.get(request.client, 0) + 1
    return counts
