"""Made-up readings of meters in Berlin, from March to October 2025: both changes of the clocks are among them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import pi, sin
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from examples.monthly_usage.pipeline import Reading

__all__ = ["made_up_readings", "write_readings"]

_BERLIN = ZoneInfo("Europe/Berlin")
_BEGIN = datetime(2025, 3, 1, tzinfo=_BERLIN).astimezone(UTC)
_END = datetime(2025, 11, 1, tzinfo=_BERLIN).astimezone(UTC)
_CUSTOMERS = {"ann": 260, "bob": 410, "cleo": 180, "dan": 730, "eve": 320}
"""The watt-hours of an hour, on average."""


def made_up_readings(seed: int = 1) -> list[Reading]:
    """Return the readings in the order in which they were delivered; the same for the same seed."""
    random = Random(seed)
    delivered = [
        (_delivery(random, customer, at), Reading(customer, at, _usage(random, average, at)))
        for customer, average in _CUSTOMERS.items()
        for at in _hours()
    ]
    return [reading for _, reading in sorted(delivered, key=lambda item: item[0])]


def write_readings(path: Path) -> None:
    """Write them as CSV: the same at each start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{reading.customer},{reading.at:%Y-%m-%dT%H:%M:%SZ},{reading.wh}\n" for reading in made_up_readings()]
    path.write_text("".join(["customer,at,wh\n", *lines]))


def _hours() -> Iterator[datetime]:
    at = _BEGIN
    while at < _END:
        yield at
        at += timedelta(hours=1)


def _usage(random: Random, average: int, at: datetime) -> int:
    """Return the watt-hours of an hour: more in the evening than at night."""
    hour = at.astimezone(_BERLIN).hour
    return max(0, round(random.gauss(average * (1 + 0.6 * sin(2 * pi * (hour - 13) / 24)), average / 5)))


def _delivery(random: Random, customer: str, at: datetime) -> datetime:
    """Return when a reading is delivered: mostly at once, but two meters were offline."""
    local = at.astimezone(_BERLIN)
    if customer == "bob" and (local.month, local.day) in {(5, 30), (5, 31)}:
        return at.replace(month=6, day=5, hour=12)
    if customer == "dan" and (local.month, local.day) == (7, 14):
        return at.replace(month=9, day=1, hour=12)
    return at + timedelta(minutes=60 + 90 * random.random())
