"""The pipeline: from the readings of meters to a bill for each month, and to the usage of each day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from streamproc import BatchInfo, Calendar, Record, Stream, WindowResult, sum_of
from streamproc.connectors.files import Csv, FileSink, Roll

__all__ = ["Bill", "Day", "Reading", "build"]

_BASE = Decimal("9.90")
_PER_KWH = Decimal("0.31")
_CENT = Decimal("0.01")


class Reading(Record):
    """What a meter has counted in the hour that begins at ``at``, in watt-hours."""

    customer: str
    at: datetime
    wh: int


class Bill(Record):
    """What a customer has used in a month, and pays for it; ``month`` is its first day."""

    customer: str
    month: date
    kwh: Decimal
    euros: Decimal


class Day(Record):
    """What a customer has used on a day, and how many hours the day had."""

    customer: str
    day: date
    hours: float
    kwh: Decimal


def build(
    readings: Stream[Reading],
    out: Path,
    *,
    zone: str,
    show_bills: Callable[[list[Bill], BatchInfo], object],
    show_days: Callable[[list[Day], BatchInfo], object],
) -> None:
    """Build the pipeline on readings that come within two hours, or within ten days where a meter was offline.

    A month or a day is accounted for once, ten days after its end. All files are CSV, each row in them exactly once:

    * ``bills/``: a `Bill` for each customer and month;
    * ``days/``: a `Day` for each customer and day;
    * ``late/``: each `Reading` that came when its bill was written already.

    Args:
        readings: The readings.
        out: The directory for these files.
        zone: The time zone of months and days.
        show_bills: Is given the bills of each batch, after they are committed.
        show_days: Is given the days.
    """
    timed = readings.event_time(lambda reading: reading.at, out_of_orderness="2h", name="reading-time")
    usage = timed.key_by(lambda reading: reading.customer)
    by_month = usage.window(Calendar("month", zone), emit="final", allowed_lateness="10d")
    by_day = usage.window(Calendar("day", zone), emit="final", allowed_lateness="10d")
    months = by_month.aggregate(sum_of(watt_hours), name="months")
    days = by_day.aggregate(sum_of(watt_hours), name="days")

    bills = months.map(partial(bill_of, zone))
    bills.to(_files(out / "bills"), name="bill-files")
    bills.foreach_batch(show_bills, name="show-bills")
    of_days = days.map(partial(day_of, zone))
    of_days.to(_files(out / "days"), name="day-files")
    of_days.foreach_batch(show_days, name="show-days")
    months.late().map(lambda row: row[1]).to(_files(out / "late"), name="late-files")


def watt_hours(reading: Reading) -> int:
    """Return what a meter has counted."""
    return reading.wh


def bill_of(zone: str, month: tuple[str, WindowResult[int]]) -> Bill:
    """Return the bill of a customer for a month."""
    customer, used = month
    kwh = kilowatt_hours(used.value)
    return Bill(customer, local_date(used.start, zone), kwh, (_BASE + _PER_KWH * kwh).quantize(_CENT, ROUND_HALF_UP))


def day_of(zone: str, day: tuple[str, WindowResult[int]]) -> Day:
    """Return the usage of a customer on a day."""
    customer, used = day
    hours = (used.end - used.start) / 3_600_000
    return Day(customer, local_date(used.start, zone), hours, kilowatt_hours(used.value))


def kilowatt_hours(wh: int) -> Decimal:
    """Return watt-hours as kilowatt-hours, exactly."""
    return Decimal(wh).scaleb(-3)


def local_date(time: int, zone: str) -> date:
    """Return the date of a time in epoch milliseconds."""
    return datetime.fromtimestamp(time / 1000, UTC).astimezone(ZoneInfo(zone)).date()


def _files(directory: Path) -> FileSink:
    return FileSink(directory, Csv(), roll=Roll(every="1m"))
