"""`Totals`: what is counted of each client for good, and the `Summary` that is made of it.

Nothing here is counted in the memory of the process: the totals are keyed state of the job, so they are right to the
line however often the job was killed on its way.
"""

from __future__ import annotations

import msgspec

from examples.weblog.log_line import LogLine
from streamproc import Record

__all__ = ["ClientTotals", "Summary", "Totals", "summarize"]


class Totals(msgspec.Struct):
    """Counts of requests.

    Attributes:
        requests: How many.
        bytes: The sizes of their answers together.
        by_status: How many by the status of the answer.
    """

    requests: int = 0
    bytes: int = 0
    by_status: dict[int, int] = msgspec.field(default_factory=dict[int, int])

    @classmethod
    def of(cls, line: LogLine) -> Totals:
        """Return the counts of one request."""
        return cls(1, line.size, {line.status: 1})

    def add(self, line: LogLine) -> Totals:
        """Count one more request, and return self."""
        self.requests += 1
        self.bytes += line.size
        by_status = self.by_status
        status = line.status
        by_status[status] = by_status.get(status, 0) + 1
        return self

    def merge(self, other: Totals) -> Totals:
        """Add other counts, and return self."""
        self.requests += other.requests
        self.bytes += other.bytes
        for status, requests in other.by_status.items():
            self.by_status[status] = self.by_status.get(status, 0) + requests
        return self


class ClientTotals(Record):
    """The totals of one client so far, as a row of the output files; it replaces the client's earlier rows."""

    client: str
    requests: int
    bytes: int
    by_status: dict[int, int]


class Summary(Record):
    """What a job has done since it was first started, over all its restarts.

    Attributes:
        lines: The lines read.
        parsed: Those that are requests.
        rejected: Those that are not.
        bytes: The sizes of all answers together.
        by_status: The number of requests by status.
        by_client: The number of requests by client, most first.
        alerts: The number of alerts raised.
        seconds: How long this run took.
    """

    lines: int
    parsed: int
    rejected: int
    bytes: int
    by_status: dict[str, int]
    by_client: dict[str, int]
    alerts: int
    seconds: float


def running_totals(new: list[Totals], before: Totals | None) -> Totals:
    """Return a client's totals after a batch; the state before stays as it is."""
    totals = Totals()
    if before is not None:
        totals.merge(before)
    for counts in new:
        totals.merge(counts)
    return totals


def summarize(lines: int, clients: dict[str, Totals], alerts: int, seconds: float) -> Summary:
    """Return the summary of a job's state.

    Args:
        lines: The lines read.
        clients: The totals of each client.
        alerts: The number of alerts.
        seconds: How long the run took.
    """
    overall = Totals()
    for totals in clients.values():
        overall.merge(totals)
    by_client = sorted(clients.items(), key=lambda item: (-item[1].requests, item[0]))
    return Summary(
        lines=lines,
        parsed=overall.requests,
        rejected=lines - overall.requests,
        bytes=overall.bytes,
        by_status={str(status): requests for status, requests in sorted(overall.by_status.items())},
        by_client={client: totals.requests for client, totals in by_client},
        alerts=alerts,
        seconds=round(seconds, 3),
    )
