"""The job where there is no dashboard: a progress bar for a file, and plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from examples.weblog.dashboard import Latest, alert_text, amount, status_of
from streamproc import App
from streamproc.eventtime.clock import Clock

__all__ = ["FileProgress", "PlainLines"]

_BAR_MS = 100
_LINE_MS = 2_000


class FileProgress:
    """Shows on a terminal how much of a file was read, until it is cancelled.

    Args:
        app: The app that reads it.
        read: Returns how many bytes were read and how many there are, or None before the file was opened.
        clock: The time.
        console: The terminal.
    """

    def __init__(self, app: App, read: Callable[[], tuple[int, int] | None], clock: Clock, console: Console) -> None:
        self._app = app
        self._read = read
        self._clock = clock
        self._console = console

    async def run(self) -> None:
        """Show the bar."""
        columns = (
            BarColumn(bar_width=None),
            DownloadColumn(),
            TextColumn("{task.fields[lines]} lines, {task.fields[rate]}/s"),
            TimeRemainingColumn(),
        )
        begin = self._clock.monotonic()
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task("reading", lines="0", rate="0")
            while True:
                done, total = self._read() or (0, 0)
                lines = self._app.metrics.records
                rate = lines / max(self._clock.monotonic() - begin, 0.001)
                bar.update(task, completed=done, total=total or None, lines=f"{lines:,}", rate=amount(rate))
                await self._clock.sleep_until(self._clock.now() + _BAR_MS)


class PlainLines:
    """Prints a line every two seconds, and each alert, until it is cancelled.

    Args:
        app: The app.
        latest: What its pipeline has found.
        clock: The time.
        console: Where to print.
    """

    def __init__(self, app: App, latest: Latest, clock: Clock, console: Console) -> None:
        self._app = app
        self._latest = latest
        self._clock = clock
        self._console = console
        self._shown = 0

    async def run(self) -> None:
        """Print the lines."""
        begin = last = self._clock.monotonic()
        before = 0
        try:
            while True:
                await self._clock.sleep_until(self._clock.now() + _LINE_MS)
                now = self._clock.monotonic()
                lines = self._app.metrics.records
                self._print_alerts()
                self._print_status(now - begin, (lines - before) / (now - last))
                last, before = now, lines
        finally:
            self._print_alerts()

    def _print_alerts(self) -> None:
        latest = self._latest
        new = min(latest.raised - self._shown, len(latest.alerts))
        for alert in list(latest.alerts)[len(latest.alerts) - new :]:
            self._print(f"ALERT {alert_text(alert)}")
        self._shown = latest.raised

    def _print_status(self, seconds: float, per_second: float) -> None:
        status = status_of(self._app.metrics, self._app.state_path, seconds, per_second)
        parts = [
            f"{status.seconds:6.1f} s",
            f"{status.lines:,} lines",
            f"{status.per_second:,.0f}/s",
            f"{status.rejected:,} rejected",
            f"batch {status.batch_ms:,.0f} ms",
            f"state {amount(status.state_bytes, 'B')}",
        ]
        if (window := self._latest.window) is not None and window.top_pages:
            parts.append(f"minute: {window.requests_per_second:,.1f}/s, errors {window.error_rate:.1%}")
            parts.append(f"top {window.top_pages[0].page}, {window.top_clients[0].client}")
        self._print("  ".join(parts))

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
