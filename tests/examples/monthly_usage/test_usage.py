"""Readings through the job: usage by local month and day is what zoneinfo and a dict find."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from examples.monthly_usage.pipeline import Bill, Day, Reading, build
from examples.monthly_usage.readings import made_up_readings
from streamproc import App, BatchInfo, Interval
from streamproc.connectors.memory import MemorySource
from streamproc.testing import Driver
from tests.examples.running import run, started

DAN_WAS_OFFLINE = datetime(2025, 7, 13, 22, tzinfo=UTC), datetime(2025, 7, 14, 22, tzinfo=UTC)


def usage(readings: Iterable[Reading], zone: str, form: str) -> dict[tuple[str, str], Decimal]:
    """Return the kilowatt-hours by customer and by local month or day."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for reading in readings:
        found[reading.customer, f"{reading.at.astimezone(ZoneInfo(zone)):{form}}"] += reading.wh
    return {place: Decimal(wh) / 1000 for place, wh in found.items()}


def in_time(readings: Iterable[Reading]) -> list[Reading]:
    """Return the made-up readings without those that come too late."""
    begin, end = DAN_WAS_OFFLINE
    return [reading for reading in readings if not (reading.customer == "dan" and begin <= reading.at < end)]


def rows(directory: Path) -> list[dict[str, str]]:
    """Return the rows of all part files in a directory."""
    found: list[dict[str, str]] = []
    for part in sorted(directory.glob("part-*.csv")):
        with part.open(newline="") as file:
            found += csv.DictReader(file)
    return found


def kwh(directory: Path, column: str, form: slice = slice(None)) -> dict[tuple[str, str], Decimal]:
    """Return the kilowatt-hours that are in files."""
    found = rows(directory)
    usage = {(row["customer"], row[column][form]): Decimal(row["kwh"]) for row in found}
    assert len(usage) == len(found), "a row for each customer and period"
    return usage


MONTH = slice(7)


async def account(readings: list[Reading], out: Path, *, zone: str, batch: int, crash_at: str | None = None) -> None:
    """Run the job on readings in batches, with or without a crash in the tenth."""
    source = MemorySource([readings[start : start + batch] for start in range(0, len(readings), batch)])
    source.close()
    app = App("usage", trigger=Interval("500ms"))
    build(app.source(source), out, zone=zone, show_bills=show_bills, show_days=show_days)
    driver = Driver(app)
    if crash_at is not None:
        driver.crash_at(crash_at, 10)
    await driver.start()
    await driver.advance("5m")
    assert driver.crashed == (crash_at is not None)
    if driver.crashed:
        await driver.restart()
        await driver.advance("5m")
    assert not driver.running


def show_bills(_bills: list[Bill], _batch: BatchInfo) -> None:
    pass


def show_days(_days: list[Day], _batch: BatchInfo) -> None:
    pass


async def test_months_and_days_are_those_of_the_zone(tmp_path: Path) -> None:
    printed = await run("monthly_usage", "--out", tmp_path)

    readings = in_time(made_up_readings())
    months = usage(readings, "Europe/Berlin", "%Y-%m")
    assert len(months) == 5 * 8
    assert kwh(tmp_path / "bills", "month", MONTH) == months
    assert kwh(tmp_path / "days", "day") == usage(readings, "Europe/Berlin", "%Y-%m-%d")
    assert printed[-1] == f"29,400 readings, 24 of them too late for their bill: see {tmp_path}"
    assert len(printed) == 5 * 8 + 5 * 2 + 1


@pytest.mark.parametrize("text", ["", "ann,2025-03-01T00:00:00Z,260\n", "customer,wh\nann,260\n"])
async def test_a_file_without_a_header_is_refused(text: str, tmp_path: Path) -> None:
    readings = tmp_path / "readings.csv"
    readings.write_text(text)
    async with started("monthly_usage", readings, "--out", tmp_path / "out") as process:
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert "expected a header with the columns customer" in " ".join(errors.decode().replace("│", "").split())


async def test_readings_of_a_compressed_file_are_read(tmp_path: Path) -> None:
    readings = tmp_path / "readings.csv.gz"
    readings.write_bytes(gzip.compress(b"customer,wh,at\nann,260,2025-03-01T00:00:00Z\n"))
    printed = await run("monthly_usage", readings, "--out", tmp_path / "out")
    assert printed[-1].startswith("1 readings, 0 of them too late")


async def test_a_bill_is_the_usage_at_its_price(tmp_path: Path) -> None:
    readings = [Reading("ann", datetime(2025, 3, 5, hour, tzinfo=UTC), 1_005) for hour in range(10)]
    await account(readings, tmp_path, zone="Europe/Berlin", batch=100)
    euros = (Decimal("9.90") + Decimal("0.31") * Decimal("10.05")).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert rows(tmp_path / "bills") == [
        {"customer": "ann", "month": "2025-03-01", "kwh": "10.050", "euros": str(euros)},
    ]


async def test_where_clocks_change_days_have_23_and_25_hours_and_months_an_hour_less_and_more(tmp_path: Path) -> None:
    every_hour = [Reading("ann", datetime(2025, 3, 1, tzinfo=UTC) + timedelta(hours=n), 1_000) for n in range(24 * 250)]
    await account(every_hour, tmp_path, zone="Europe/Berlin", batch=500)
    hours = {row["day"]: (float(row["hours"]), float(row["kwh"])) for row in rows(tmp_path / "days")[1:-1]}
    assert {day: found for day, found in hours.items() if found != (24, 24)} == {
        "2025-03-30": (23, 23),
        "2025-10-26": (25, 25),
    }
    months = kwh(tmp_path / "bills", "month", MONTH)
    # Of March, the first hour in Berlin is missing: it is still February in Greenwich.
    assert months["ann", "2025-03"] == 31 * 24 - 1 - 1
    assert months["ann", "2025-10"] == 31 * 24 + 1


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
@pytest.mark.parametrize("batch", [700, 50_000])
async def test_other_zones(zone: str, batch: int, tmp_path: Path) -> None:
    readings = in_time(made_up_readings(seed=2))
    await account(readings, tmp_path, zone=zone, batch=batch)
    assert kwh(tmp_path / "bills", "month", MONTH) == usage(readings, zone, "%Y-%m")
    assert kwh(tmp_path / "days", "day") == usage(readings, zone, "%Y-%m-%d")
    assert rows(tmp_path / "late") == []


async def test_what_comes_days_later_is_in_the_bill_and_what_comes_weeks_later_is_kept_apart(tmp_path: Path) -> None:
    def reading(month: int, day: int, wh: int) -> Reading:
        return Reading("ann", datetime(2025, month, day, 12, tzinfo=UTC), wh)

    delivered = [reading(3, 31, 1_000), reading(4, 9, 2_000), reading(3, 30, 4_000), reading(4, 20, 8_000)]
    await account([*delivered, reading(3, 29, 16_000)], tmp_path, zone="Europe/Berlin", batch=1)
    assert kwh(tmp_path / "bills", "month", MONTH) == {("ann", "2025-03"): 5, ("ann", "2025-04"): 10}
    assert [row["at"] for row in rows(tmp_path / "late")] == ["2025-03-29T12:00:00+00:00"]


@pytest.mark.parametrize("step", ["after_take", "before_commit", "after_commit", "after_publish"])
async def test_a_crash_changes_nothing_in_the_files(step: str, tmp_path: Path) -> None:
    readings = made_up_readings(seed=3)
    await account(readings, tmp_path / "undisturbed", zone="Europe/Berlin", batch=1_000)
    await account(readings, tmp_path / "crashed", zone="Europe/Berlin", batch=1_000, crash_at=step)
    for files in ("bills", "days", "late"):
        undisturbed = rows(tmp_path / "undisturbed" / files)
        assert undisturbed
        assert rows(tmp_path / "crashed" / files) == undisturbed
