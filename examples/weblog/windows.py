"""What is kept of the requests of a window, and the reports that are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import nsmallest
from typing import TypeVar

import msgspec

from examples.weblog.log_line import LogLine
from streamproc import Aggregate, Record, WindowResult

__all__ = ["ClientReport", "PageReport", "Rate", "WindowReport", "rate", "report", "traffic"]

K = TypeVar("K", int, str)

TOP = 10
"""How many pages and clients a report names."""

_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


class Rate(msgspec.Struct):
    """How much came in a short window.

    Attributes:
        requests: How many requests.
        bytes: The sizes of their answers together.
    """

    requests: int = 0
    bytes: int = 0

    def add(self, line: LogLine) -> Rate:
        """Count a request, and return self."""
        self.requests += 1
        self.bytes += line.size
        return self


class Traffic(msgspec.Struct):
    """The requests of a window, counted in all the ways that a report needs.

    One accumulator for everything, because then each request is touched once, and a window of a minute is merged from
    its slices without a read for every page and client.

    Attributes:
        requests: How many requests.
        bytes: The sizes of their answers together.
        statuses: How many requests by the first digit of the status.
        pages: How many requests by page, and ``failed`` how many of them were answered with 4xx or 5xx.
        clients: How many requests by client.
    """

    requests: int = 0
    bytes: int = 0
    statuses: dict[int, int] = msgspec.field(default_factory=dict[int, int])
    pages: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    failed: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    clients: dict[str, int] = msgspec.field(default_factory=dict[str, int])

    def add(self, line: LogLine) -> Traffic:
        """Count a request, and return self."""
        self.requests += 1
        self.bytes += line.size
        status, client, page = line.status // 100, line.client, line.path
        if "?" in page:
            page = page[: page.index("?")]
        statuses, pages, clients = self.statuses, self.pages, self.clients
        statuses[status] = statuses.get(status, 0) + 1
        pages[page] = pages.get(page, 0) + 1
        clients[client] = clients.get(client, 0) + 1
        if status > 3:
            self.failed[page] = self.failed.get(page, 0) + 1
        return self


def traffic() -> Aggregate[LogLine, Traffic, Traffic]:
    """Return the aggregate of a window's requests."""
    return Aggregate("traffic", create=lambda line: Traffic().add(line), add=Traffic.add, merge=_merge)


def rate() -> Aggregate[LogLine, Rate, Rate]:
    """Return the aggregate of how much a window holds."""
    return Aggregate(
        "rate",
        create=lambda line: Rate(1, line.size),
        add=Rate.add,
        merge=lambda a, b: Rate(a.requests + b.requests, a.bytes + b.bytes),
    )


class PageReport(Record):
    """A page in a window: its requests, and which share of them was answered with 4xx or 5xx."""

    page: str
    requests: int
    error_rate: float


class ClientReport(Record):
    """A client in a window, with its requests."""

    client: str
    requests: int


class WindowReport(Record):
    """The requests of a sliding minute ``[start, end)``.

    Attributes:
        start: Its begin, in epoch milliseconds.
        end: Its end.
        requests: How many requests.
        requests_per_second: The mean over the window, also where the job began in the middle of it.
        bytes_per_second: The same of the answers' sizes.
        statuses: How many requests by the class of the status: ``"2xx"`` and so on.
        error_rate: Which share of the requests was answered with 4xx or 5xx.
        top_pages: The most requested pages.
        failing_pages: The pages with the most answers of 4xx or 5xx.
        top_clients: The clients with the most requests.
    """

    start: int
    end: int
    requests: int
    requests_per_second: float
    bytes_per_second: float
    statuses: dict[str, int]
    error_rate: float
    top_pages: list[PageReport]
    failing_pages: list[PageReport]
    top_clients: list[ClientReport]


def report(window: WindowResult[Traffic]) -> WindowReport:
    """Return the report of a window."""
    found = window.value
    seconds = (window.end - window.start) / 1000

    def page(name: str) -> PageReport:
        return PageReport(name, found.pages[name], round(found.failed.get(name, 0) / found.pages[name], 4))

    return WindowReport(
        start=window.start,
        end=window.end,
        requests=found.requests,
        requests_per_second=round(found.requests / seconds, 3),
        bytes_per_second=round(found.bytes / seconds, 1),
        statuses={name: found.statuses.get(digit, 0) for digit, name in enumerate(_CLASSES, 1)},
        error_rate=round(sum(found.failed.values()) / found.requests, 4),
        top_pages=[page(name) for name in _most(found.pages)],
        failing_pages=[page(name) for name in _most(found.failed)],
        top_clients=[ClientReport(client, found.clients[client]) for client in _most(found.clients)],
    )


def _most(counts: Mapping[str, int]) -> list[str]:
    """Return the names with the highest counts, equal ones in the order of their names."""
    return [name for _, name in nsmallest(TOP, [(-count, name) for name, count in counts.items()])]


def _merge(a: Traffic, b: Traffic) -> Traffic:
    # A new one: slices belong to several windows.
    return Traffic(
        a.requests + b.requests,
        a.bytes + b.bytes,
        _sum(a.statuses, b.statuses),
        _sum(a.pages, b.pages),
        _sum(a.failed, b.failed),
        _sum(a.clients, b.clients),
    )


def _sum(a: dict[K, int], b: dict[K, int]) -> dict[K, int]:
    total = a.copy()
    for key, count in b.items():
        total[key] = total.get(key, 0) + count
    return total
