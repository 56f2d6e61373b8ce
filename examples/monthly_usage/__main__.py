"""The command line of the example: ``python -m examples.monthly_usage --help``."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Annotated

import typer

from examples.monthly_usage.pipeline import Bill, Day, Reading, build
from examples.monthly_usage.readings import write_readings
from examples.out_directory import new_directory
from streamproc import App, Asap, BatchInfo, PipelineError, Settings
from streamproc.connectors.files import Csv, FileSource


def main(
    readings: Annotated[
        Path | None, typer.Argument(help="A CSV file, as it is or .gz; made-up readings by default.")
    ] = None,
    zone: Annotated[str, typer.Option(help="The time zone of months and days.")] = "Europe/Berlin",
    out: Annotated[Path | None, typer.Option(help="The directory for results; a new one in out/ by default.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="The directory for state; OUT/state by default.")] = None,
) -> None:
    """Account for what customers have used in each calendar month and day of a time zone.

    Started again with the same --out, it goes on where it was, also after a crash.
    """
    if readings is not None:
        check_header(readings)
    results = out or new_directory("monthly_usage")
    made_up = readings is None
    if readings is None:
        readings = results / "readings.csv"
        write_readings(readings)
    settings = Settings(
        state_dir=str(state_dir or results / "state"),
        log_level="WARNING",
        # A record is late to batches behind that of newer ones only: in small batches it shows.
        max_records=1_000 if made_up else 100_000,
    )
    app = App("monthly_usage", trigger=Asap(), settings=settings)
    source = app.source(FileSource(readings, Csv(Reading)))
    try:
        build(source, results, zone=zone, show_bills=show_bills, show_days=show_days)
    except PipelineError as error:
        raise typer.BadParameter(str(error)) from None
    app.run()
    late = app.metrics.operator("months").late
    print(f"{app.metrics.records:,} readings, {late:,} of them too late for their bill: see {results}")


def check_header(readings: Path) -> None:
    """Refuse a file whose first line doesn't name the columns: that line would be no reading, and nobody would know."""
    open_file = gzip.open if readings.suffix == ".gz" else open
    try:
        with open_file(readings, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
            header = next(csv.reader(file), list[str]())
    except (OSError, EOFError) as error:
        raise typer.BadParameter(f"can't read {readings}: {getattr(error, 'strerror', None) or error}") from None
    if not set(Reading.__struct_fields__) <= set(header):
        raise typer.BadParameter(
            f"{readings} begins with {','.join(header)!r:.100}: expected a header with the columns customer, at and wh"
        )


def show_bills(bills: list[Bill], _batch: BatchInfo) -> None:
    """Print a line for each bill."""
    for bill in bills:
        print(f"{bill.month:%Y-%m}     {bill.customer:<6} {bill.kwh:>9} kWh  {bill.euros:>8} EUR", flush=True)


def show_days(days: list[Day], _batch: BatchInfo) -> None:
    """Print a line for each day on which the clocks change."""
    for day in days:
        if day.hours != 24:
            print(f"{day.day}  {day.customer:<6} {day.kwh:>9} kWh  in {day.hours:g} hours", flush=True)


if __name__ == "__main__":
    typer.run(main)
