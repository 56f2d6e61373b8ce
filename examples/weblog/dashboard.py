"""`Dashboard`: the job on a terminal, live."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from examples.weblog.alerts import Alert
from examples.weblog.pipeline import Watch
from examples.weblog.windows import Rate, WindowReport
from streamproc import App, WindowResult
from streamproc.eventtime.clock import Clock
from streamproc.metrics import JobMetrics

__all__ = ["Dashboard", "Latest", "Status", "alert_text", "amount", "render", "status_of"]

_REFRESH_MS = 250
_BARS = " ▁▂▃▄▅▆▇█"


@dataclass
class Latest:
    """The newest results of the job, to be shown."""

    rates: deque[WindowResult[Rate]] = field(default_factory=lambda: deque[WindowResult[Rate]](maxlen=40))
    window: WindowReport | None = None
    alerts: deque[Alert] = field(default_factory=lambda: deque[Alert](maxlen=200))
    raised: int = 0

    @property
    def watch(self) -> Watch:
        """What to give to the pipeline, so that it keeps this up to date."""
        return Watch(self.rates.extend, self._on_windows, self._on_alerts)

    def _on_windows(self, windows: list[WindowReport]) -> None:
        self.window = windows[-1]

    def _on_alerts(self, alerts: list[Alert]) -> None:
        self.alerts.extend(alerts)
        self.raised += len(alerts)


@dataclass(frozen=True)
class Status:
    """How the engine does.

    Attributes:
        seconds: Since the start.
        lines: Lines read since then.
        rejected: Lines that were none of a log.
        per_second: Lines a second lately.
        batches: Batches committed.
        batch_ms: The median time of a batch lately, in milliseconds.
        batch_ms_99: The time that 99 of 100 batches stay below.
        waiting: Committed batches whose outputs are not written yet.
        state_bytes: The size of the state on disk.
    """

    seconds: float
    lines: int
    rejected: int
    per_second: float
    batches: int
    batch_ms: float
    batch_ms_99: float
    waiting: int
    state_bytes: int


def status_of(metrics: JobMetrics, state_path: Path, seconds: float, per_second: float) -> Status:
    """Return how the engine does.

    Args:
        metrics: What it counts.
        state_path: Where its state is.
        seconds: How long it runs.
        per_second: How many lines a second it read lately.
    """
    times = sorted(batch.total * 1000 for batch in metrics.recent) or [0.0]
    parse = metrics.operators.get("parse")
    return Status(
        seconds=seconds,
        lines=metrics.records,
        rejected=parse.dead_letters if parse else 0,
        per_second=per_second,
        batches=metrics.batches,
        batch_ms=times[len(times) // 2],
        batch_ms_99=times[len(times) * 99 // 100],
        waiting=metrics.in_flight,
        state_bytes=_size(state_path),
    )


class Dashboard:
    """Shows a running app on a terminal until it is cancelled.

    Args:
        app: The app.
        latest: What its pipeline has found.
        title: What is analysed.
        clock: The time.
        console: The terminal.
    """

    def __init__(self, app: App, latest: Latest, title: str, clock: Clock, console: Console) -> None:
        self._app = app
        self._latest = latest
        self._title = title
        self._clock = clock
        self._console = console

    async def run(self) -> None:
        """Show the app."""
        begin = self._clock.monotonic()
        # Lines read and when, for the rate of the last seconds.
        marks: deque[tuple[float, int]] = deque([(begin, 0)], maxlen=12)
        with Live(console=self._console, screen=True, auto_refresh=False) as screen:
            while True:
                now = self._clock.monotonic()
                metrics = self._app.metrics
                then, before = marks[0]
                per_second = (metrics.records - before) / max(now - then, 0.001)
                marks.append((now, metrics.records))
                status = status_of(metrics, self._app.state_path, now - begin, per_second)
                screen.update(render(self._title, status, self._latest), refresh=True)
                await self._clock.sleep_until(self._clock.now() + _REFRESH_MS)


def render(title: str, status: Status, latest: Latest) -> RenderableType:
    """Return the dashboard as something that rich can print."""
    # What matters most comes first: a small terminal cuts off the rest.
    parts: list[RenderableType] = [_engine(title, status), _traffic(latest), _alerts(latest)]
    if latest.window is not None:
        window = latest.window
        parts.append(Columns([_pages(window), _failing(window), _clients(window)], padding=(0, 1)))
    return Group(*parts)


def alert_text(alert: Alert) -> str:
    """Return an alert as a sentence."""
    length = (alert.end - alert.start) // 1000
    match alert.kind:
        case "brute_force":
            what = f"{alert.client} was denied access {alert.requests} times in {length} s: brute force?"
        case "scan":
            what = f"{alert.client} asked for {alert.requests} missing pages in {length} s: scan?"
        case "spike":
            what = f"{alert.requests:,} requests in {length} s, usually {alert.usual or 0:,.0f}: traffic spike"
    return f"{_time(alert.end)} {what}"


def amount(number: float, unit: str = "") -> str:
    """Return a number in a short form: ``12,480``, ``3.2 M``, ``1.5 GB``."""
    for limit, letter in ((1e9, "G"), (1e6, "M")):
        if number >= limit:
            return f"{number / limit:.1f} {letter}{unit}"
    if unit and number >= 1e3:
        return f"{number / 1e3:.1f} k{unit}"
    return f"{number:,.0f} {unit}".rstrip()


def _engine(title: str, status: Status) -> RenderableType:
    grid = Table.grid(padding=(0, 3))
    grid.add_row(
        _fact("lines", f"{status.lines:,}"),
        _fact("lines/s", f"{status.per_second:,.0f}"),
        _fact("rejected", f"{status.rejected:,}"),
        _fact("running", f"{status.seconds:,.0f} s"),
    )
    grid.add_row(
        _fact("batches", f"{status.batches:,}"),
        _fact("batch", f"{status.batch_ms:,.0f} ms (99 %: {status.batch_ms_99:,.0f} ms)"),
        _fact("waiting", f"{status.waiting}"),
        _fact("state", amount(status.state_bytes, "B")),
    )
    return Panel(grid, title=title, title_align="left", border_style="cyan")


def _traffic(latest: Latest) -> RenderableType:
    grid = Table.grid(padding=(0, 3))
    if latest.rates:
        newest = latest.rates[-1]
        seconds = (newest.end - newest.start) / 1000
        grid.add_row(
            _fact("now", f"{newest.value.requests / seconds:,.0f} requests/s"),
            _fact("sent", f"{amount(newest.value.bytes / seconds, 'B')}/s"),
            Text(_sparkline([result.value.requests for result in latest.rates]), style="green"),
        )
    title = "waiting for the first window"
    if latest.window is not None:
        window = latest.window
        title = f"the minute to {_time(window.end)}"
        grid.add_row(
            _fact("minute", f"{window.requests_per_second:,.1f} requests/s"),
            _fact("sent", f"{amount(window.bytes_per_second, 'B')}/s"),
            _statuses(window),
        )
    return Panel(grid, title=title, title_align="left", border_style="green")


def _statuses(window: WindowReport) -> Text:
    text = Text()
    styles = {"2xx": "green", "3xx": "cyan", "4xx": "yellow", "5xx": "red"}
    for name, requests in window.statuses.items():
        if requests:
            text.append(f"{name} {requests:,} ", style=styles.get(name, ""))
    return text.append(f"errors {window.error_rate:.1%}", style="bold")


def _pages(window: WindowReport) -> RenderableType:
    table = _table("top pages", "page", "requests", "errors")
    for page in window.top_pages:
        table.add_row(_short(page.page), f"{page.requests:,}", f"{page.error_rate:.1%}")
    return table


def _failing(window: WindowReport) -> RenderableType:
    table = _table("failing pages", "page", "requests", "errors")
    for page in window.failing_pages[:5]:
        table.add_row(_short(page.page), f"{page.requests:,}", f"{page.error_rate:.1%}")
    return table


def _clients(window: WindowReport) -> RenderableType:
    table = _table("top clients", "client", "requests")
    for client in window.top_clients:
        table.add_row(client.client, f"{client.requests:,}")
    return table


def _alerts(latest: Latest) -> RenderableType:
    lines = [Text(alert_text(alert), style="bold red") for alert in reversed(latest.alerts)][:6]
    return Panel(
        Group(*(lines or [Text("none", style="dim")])),
        title=f"alerts: {latest.raised:,}",
        title_align="left",
        border_style="red" if latest.alerts else "dim",
    )


def _table(title: str, name: str, *numbers: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1), header_style="dim")
    table.add_column(name, no_wrap=True)
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    return table


def _fact(name: str, value: str) -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, "bold"))


def _sparkline(values: Sequence[int]) -> str:
    most = max(*values, 1)
    return "".join(_BARS[ceil(value / most * (len(_BARS) - 1))] for value in values)


def _short(path: str, length: int = 34) -> str:
    return path if len(path) <= length else f"{path[: length - 1]}…"


def _time(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _size(directory: Path) -> int:
    """Return the size of a directory's files, as far as they are there while the store rewrites them."""
    total = 0
    for path in directory.glob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
