"""A made-up access log of one day, in the order in which its lines were delivered.

Clients come, look at some pages within minutes, go, and come back hours later. A line is delivered when its answer has
been sent, up to half a minute after the request. From noon to one o'clock one of the three servers is cut off; it
delivers the lines of that hour at two.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

__all__ = ["made_up_log"]

_DAY = datetime(2026, 3, 2, tzinfo=UTC)
_CLIENTS = 60
_SERVERS = 3
_CUT_OFF = _DAY + timedelta(hours=12), _DAY + timedelta(hours=13)
_CONNECTED = _DAY + timedelta(hours=14)
_PAGES = ("/", "/docs/", "/docs/windows?q=session", "/docs/state", "/blog/", "/blog/42", "/contact", "/download")
_POPULARITY = (8, 5, 3, 2, 4, 2, 1, 1)


def made_up_log(seed: int = 1) -> list[str]:
    """Return the lines; the same for the same seed."""
    random = Random(seed)
    # From the network set aside for benchmarks: no addresses of real machines.
    clients = [(f"198.18.{number // 250}.{number % 250 + 1}", number % _SERVERS) for number in range(_CLIENTS)]
    delivered = [
        (_delivery(random, time, server), f"{client} - - [{_clock(time)}] {_request(random)}")
        for client, server in clients
        for time in _requests(random)
    ]
    return [line for _, line in sorted(delivered)]


def _requests(random: Random) -> Iterator[datetime]:
    """Yield the times at which one client asks for something, all day long."""
    time = _DAY + timedelta(seconds=random.expovariate(1 / 7_200))
    while time < _DAY + timedelta(days=1):
        yield time
        stays = random.random() < 0.9
        time += timedelta(seconds=random.expovariate(1 / 60) if stays else 1_800 + random.expovariate(1 / 10_000))


def _delivery(random: Random, time: datetime, server: int) -> datetime:
    """Return when a line is delivered."""
    begin, end = _CUT_OFF
    return _CONNECTED if server == 0 and begin <= time < end else time + timedelta(seconds=30 * random.random() ** 4)


def _request(random: Random) -> str:
    [path] = random.choices(_PAGES, _POPULARITY)
    return f'"GET {path} HTTP/1.1" 200 {random.randint(500, 60_000)} "-" "Mozilla/5.0"'


def _clock(time: datetime) -> str:
    # The log of an English server; `strftime` would write the month in the machine's language.
    return f"{time.day:02d}/Mar/{time.year}:{time:%H:%M:%S} +0000"
