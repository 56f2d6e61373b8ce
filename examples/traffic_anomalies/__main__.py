"""The command line of the example: ``python -m examples.traffic_anomalies --help``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from examples.out_directory import new_directory
from examples.traffic_anomalies.alarm import Alert
from examples.traffic_anomalies.pipeline import Minute, build
from examples.traffic_anomalies.traffic import requests_of_second
from streamproc import App, BatchInfo, Interval, Settings
from streamproc.connectors.generator import GeneratorSource


def main(
    minutes: Annotated[int, typer.Option(min=1, help="How many minutes of traffic to make up.")] = 90,
    speed: Annotated[float, typer.Option(min=1, help="How many of its seconds pass in one.")] = 120.0,
    seed: Annotated[int, typer.Option(help="Chooses what is made up.")] = 1,
    out: Annotated[Path | None, typer.Option(help="The directory for results; a new one in out/ by default.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="The directory for state; OUT/state by default.")] = None,
) -> None:
    """Find routes of a web site with far more or fewer requests in a minute than in those of the hour before.

    Started again with the same --out, it goes on where it was, also after a crash.
    """
    results = out or new_directory("traffic_anomalies")
    settings = Settings(state_dir=str(state_dir or results / "state"), log_level="WARNING")
    ten_seconds_ms = max(100, round(10_000 / speed))
    trigger = Interval(timedelta(milliseconds=ten_seconds_ms // 4))
    app = App("traffic_anomalies", trigger=trigger, settings=settings)
    seconds = app.source(GeneratorSource(requests_of_second, rate=speed, seed=seed, limit=60 * minutes))
    build(
        seconds.flat_map(list),
        results / "alerts",
        early=timedelta(milliseconds=ten_seconds_ms),
        show_minutes=show_minutes,
        show_alerts=show_alerts,
    )
    app.run()
    print(f"the alerts are in {results / 'alerts'}")


def show_minutes(minutes: list[Minute], _batch: BatchInfo) -> None:
    """Print a line for each minute that is over."""
    for minute in minutes:
        counts = "  ".join(f"{route} {requests:<4,}" for route, requests in sorted(minute.routes.items()))
        print(f"{clock(minute.start)}  {counts}", flush=True)


def show_alerts(alerts: list[Alert], _batch: BatchInfo) -> None:
    """Print a line for each alert."""
    for alert in alerts:
        print(
            f"{clock(alert.minute)}    {alert.verdict.upper():<6} {alert.route:<10} {alert.timing:<8} "
            f"{alert.requests:4,} requests, usually {alert.mean:,} ± {alert.deviation:,}",
            flush=True,
        )


def clock(time: int) -> str:
    """Return a time as text."""
    return f"{datetime.fromtimestamp(time / 1000, UTC):%H:%M}"


if __name__ == "__main__":
    typer.run(main)
