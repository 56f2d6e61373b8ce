"""Made-up traffic of a web site, with four things that go wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import pi, sin
from random import Random

from examples.traffic_anomalies.pipeline import Request

__all__ = ["ROUTES", "START", "requests_of_second"]

START = round(datetime(2026, 3, 2, 8, tzinfo=UTC).timestamp() * 1000)
"""The time of the first second."""

ROUTES = {"/": 8.0, "/search": 5.0, "/cart": 3.0, "/checkout": 2.0, "/api": 6.0}
"""The requests a second of each route, on average."""


@dataclass(frozen=True)
class _Episode:
    """A time at which a route has other requests than usual: from one minute on, for some minutes, by a factor."""

    route: str
    minute: int
    minutes: int
    factor: float


_EPISODES = (
    _Episode("/checkout", 25, 2, 3.0),
    _Episode("/search", 40, 1, 0.2),
    _Episode("/api", 55, 3, 2.5),
    _Episode("/cart", 74, 1, 0.4),
)
_LOST = "/", 66, 0.7
"""Of the requests of this route and minute, this part is lost: at first it looks like a drop."""
_FOUND_AT = 60 * 67 + 45
"""In this second they are delivered after all."""


def requests_of_second(second: int, random: Random) -> list[Request]:
    """Return what is delivered in a second of the traffic, counted from zero."""
    route, minute, part = _LOST
    found: list[Request] = []
    for each in ROUTES:
        arrives = 1.0 - part if each == route and second // 60 == minute else 1.0
        found += _requests(random, each, second, arrives)
    if second == _FOUND_AT:
        for lost in range(60 * minute, 60 * minute + 60):
            found += _requests(random, route, lost, part)
    random.shuffle(found)
    return found


def _requests(random: Random, route: str, second: int, part: float) -> list[Request]:
    """Return a part of the requests of a second, some of which were under way for up to four."""
    begin = START + 1_000 * second
    number = _whole(random, part * ROUTES[route] * _load(route, second))
    return [Request(max(START, begin + _jitter(random)), route) for _ in range(number)]


def _jitter(random: Random) -> int:
    return random.randrange(1_000) - int(4_000 * random.random() ** 8)


def _load(route: str, second: int) -> float:
    """Return how busy a route is in a second: it changes slowly over the day, and quickly in an episode."""
    load = 1.0 + 0.1 * sin(2 * pi * second / 86_400)
    for episode in _EPISODES:
        if episode.route == route and episode.minute <= second // 60 < episode.minute + episode.minutes:
            load *= episode.factor
    return load


def _whole(random: Random, expected: float) -> int:
    """Return a number of requests that is ``expected`` on average and varies as independent ones do."""
    return max(0, round(random.gauss(expected, expected**0.5)))
