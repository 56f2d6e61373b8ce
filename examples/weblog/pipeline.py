"""The pipeline: from the lines of a log to windows, totals and alerts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import TypeVar

from examples.weblog.alerts import Alert, IntrusionAlarm, SpikeAlarm, is_refused, refusals
from examples.weblog.log_line import LogLine, parse
from examples.weblog.totals import ClientTotals, Summary, Totals, running_totals, summarize
from examples.weblog.windows import Rate, WindowReport, rate, report, traffic
from streamproc import App, BatchInfo, KeyedStream, Sliding, Stream, Tumbling, WindowResult, dead_letter
from streamproc.connectors.files import FileSink, Ndjson, Roll
from streamproc.state.rocksdb import RocksStore
from streamproc.state.tables import Tables

__all__ = ["RATE_WINDOW", "Watch", "build", "read_summary"]

T = TypeVar("T")

MINUTE = "1m"
RATE_WINDOW = "2s"
"""The length of the windows in which the traffic is compared with what is usual."""

COUNTERS = "counters"
CLIENT_TOTALS = "client-totals"


def _ignore(_rows: object) -> None:
    """Do nothing with results."""


@dataclass(frozen=True)
class Watch:
    """Who is shown results as they are published, to display them; after a crash some are shown again."""

    rates: Callable[[list[WindowResult[Rate]]], object] = field(default=_ignore)
    windows: Callable[[list[WindowReport]], object] = field(default=_ignore)
    alerts: Callable[[list[Alert]], object] = field(default=_ignore)


def build(
    lines: Stream[str], out: Path, *, log_time: bool, slide: str = "5s", echo: bool = False, watch: Watch | None = None
) -> None:
    """Build the pipeline on a stream of lines.

    All files are NDJSON parts, each row in them exactly once:

    * ``windows/``: a `WindowReport` for each sliding minute;
    * ``alerts/``: an `Alert` for each intrusion and spike;
    * ``clients/``: the `ClientTotals` so far of the clients of each batch;
    * ``counters/``: how many lines were read and alerts raised so far;
    * ``rejected/``: the lines that are no log lines, with the reason and where they were read;
    * ``lines/``: with ``echo``, every request.

    Args:
        lines: The lines of one or several logs, without line breaks.
        out: The directory for these files.
        log_time: Whether windows follow the times in the log, which may be out of order by a minute; else they follow
            the time at which lines arrive.
        slide: The distance between windows.
        echo: Whether to write every request.
        watch: Who is shown results.
    """
    rejected = dead_letter(_files(out / "rejected"))
    requests = lines.map(parse, name="parse", on_error=rejected)
    if echo:
        requests.to(_files(out / "lines"), name="lines")
    if log_time:
        requests = requests.event_time(attrgetter("time"), out_of_orderness=MINUTE, name="log-time")

    windows = requests.window(Sliding(MINUTE, slide)).aggregate(traffic(), name="minute").map(report)
    rates = requests.window(Tumbling(RATE_WINDOW)).aggregate(rate(), name="rate")
    alerts = _intrusions(requests, slide).union(_spikes(rates))

    windows.to(_files(out / "windows"), name="windows")
    alerts.to(_files(out / "alerts"), name="alerts")
    _client_totals(requests).to(_files(out / "clients"), name="clients")
    _counters(lines, alerts).to(_files(out / "counters"), name="counters-files")

    # Always there, used or not: the results that wait for a sink when a job is killed wait for the same at its restart.
    show = watch or Watch()
    rates.foreach_batch(_rows_to(show.rates), name="show-rates")
    windows.foreach_batch(_rows_to(show.windows), name="show-windows")
    alerts.foreach_batch(_rows_to(show.alerts), name="show-alerts")


def read_summary(app: App, seconds: float) -> Summary:
    """Return the summary of what a stopped app has committed.

    Args:
        app: An app that runs the pipeline.
        seconds: How long it ran.
    """
    store = RocksStore.open(app.state_path, cache_bytes=app.settings.cache_bytes)
    try:
        tables = Tables(store, cache_bytes=0)
        counters: dict[str, int] = dict(tables.table(COUNTERS, "state").items())
        clients: dict[str, Totals] = dict(tables.table(CLIENT_TOTALS, "state").items())
    finally:
        store.close()
    return summarize(counters.get("lines", 0), clients, counters.get("alerts", 0), seconds)


def _intrusions(requests: Stream[LogLine], slide: str) -> Stream[Alert]:
    """Return the alerts about single clients."""
    refused = requests.filter(is_refused).key_by(attrgetter("client"))
    by_client = refused.window(Sliding(MINUTE, slide)).aggregate(refusals(), name="refusals")
    return by_client.process(IntrusionAlarm(), name="intrusion-alarm").map(itemgetter(1))


def _spikes(rates: Stream[WindowResult[Rate]]) -> Stream[Alert]:
    """Return the alerts about the traffic as a whole."""
    return rates.key_by(lambda _: "all").process(SpikeAlarm(), name="spike-alarm").map(itemgetter(1))


def _client_totals(requests: Stream[LogLine]) -> Stream[ClientTotals]:
    """Return the running totals of clients, whenever they have changed."""
    # Added up within the batch first, so that state is touched once a client and not once a request.
    counted = requests.key_by(attrgetter("client")).combine_by_key(Totals.of, Totals.add, Totals.merge)
    return counted.update_state_by_key(running_totals, name=CLIENT_TOTALS).map(
        lambda row: ClientTotals(row[0], row[1].requests, row[1].bytes, row[1].by_status)
    )


def _counters(lines: Stream[str], alerts: Stream[Alert]) -> KeyedStream[str, int]:
    """Return how many lines were read and how many alerts raised so far, whenever that has changed."""
    read = lines.transform(lambda batch: [("lines", len(batch))] if batch else [])
    raised = alerts.map(_one_alert)
    named = read.union(raised).key_by(itemgetter(0)).map_values(itemgetter(1))
    return named.update_state_by_key(lambda new, total: (total or 0) + sum(new), name=COUNTERS)


def _one_alert(_alert: Alert) -> tuple[str, int]:
    return "alerts", 1


def _files(directory: Path) -> FileSink:
    return FileSink(directory, Ndjson(), roll=Roll(size_bytes=64 << 20, every="1m"))


def _rows_to(show: Callable[[list[T]], object]) -> Callable[[list[T], BatchInfo], object]:
    def on_batch(rows: list[T], _batch: BatchInfo) -> None:
        show(rows)

    return on_batch
