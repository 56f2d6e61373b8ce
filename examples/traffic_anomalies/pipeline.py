"""The pipeline: from requests to alerts about minutes that are not as usual."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from examples.traffic_anomalies.alarm import LATENESS_MS, MINUTE_MS, Alarm, Alert
from streamproc import AfterDelay, AtWatermark, BatchInfo, Record, Stream, Tumbling, WindowResult, count
from streamproc.connectors.files import FileSink, Ndjson, Roll

__all__ = ["Minute", "Request", "build"]


class Request(Record):
    """A request to the web site: when, in epoch milliseconds, and to which of its routes."""

    at: int
    route: str


class Minute(Record):
    """How many requests each route had in the minute that begins at ``start``, in epoch milliseconds."""

    start: int
    routes: dict[str, int]


def build(
    requests: Stream[Request],
    out: Path,
    *,
    early: timedelta,
    show_minutes: Callable[[list[Minute], BatchInfo], object],
    show_alerts: Callable[[list[Alert], BatchInfo], object],
) -> None:
    """Build the pipeline on requests, which may be out of order by five seconds, and late by two minutes.

    Args:
        requests: The requests.
        out: The directory for alerts: NDJSON, each `Alert` exactly once.
        early: How often to look at a minute that is not over yet.
        show_minutes: Is given each `Minute` that is over, after it is committed.
        show_alerts: Is given the alerts of each batch, after they are committed.
    """
    counts = (
        requests.event_time(lambda request: request.at, out_of_orderness="5s", name="request-time")
        .key_by(lambda request: request.route)
        .window(
            Tumbling(timedelta(milliseconds=MINUTE_MS)),
            trigger=AtWatermark(early=AfterDelay(early)),
            allowed_lateness=timedelta(milliseconds=LATENESS_MS),
        )
        .aggregate(count(), name="counts")
    )
    alerts = counts.process(Alarm(), name="alarm").map(lambda row: row[1])
    alerts.to(FileSink(out, Ndjson(), roll=Roll(every="1m")), name="alerts")
    alerts.foreach_batch(show_alerts, name="show-alerts")
    # Behind a window, a function of a whole batch is called once for each window.
    over = counts.filter(lambda row: row[1].timing == "on_time").transform(minute_of, name="minutes")
    over.foreach_batch(show_minutes, name="show-minutes")


def minute_of(counts: list[tuple[str, WindowResult[int]]]) -> list[Minute]:
    """Return the minute that the results of one window are of."""
    return [Minute(counts[0][1].start, {route: result.value for route, result in counts})] if counts else []
