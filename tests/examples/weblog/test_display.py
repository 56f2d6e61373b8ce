"""The job on a terminal, and where there is none, while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from io import StringIO
from pathlib import Path

from rich.console import Console

from examples.weblog.dashboard import Dashboard, Latest
from examples.weblog.pipeline import build
from examples.weblog.progress import FileProgress, PlainLines
from examples.weblog.traffic import Traffic
from streamproc import App, Interval
from streamproc.connectors.memory import MemorySource
from streamproc.testing import Driver, VirtualClock


async def shown_after(display: Awaitable[None], driver: Driver, console: Console) -> str:
    """Return what a display has written when the app has analysed ten seconds of simulated traffic."""
    showing = asyncio.ensure_future(display)
    async with driver:
        await driver.advance("10s")
        showing.cancel()
        await asyncio.wait([showing])
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def analysing(out: Path, latest: Latest) -> tuple[App, Driver]:
    clock = VirtualClock()
    lines = Traffic(seed=1, rate=100, start=0).lines()
    seconds = [[next(lines)[1] for _ in range(100)] for _ in range(10)]
    app = App("weblog", trigger=Interval("500ms"))
    build(app.source(MemorySource[str](seconds)), out, log_time=False, watch=latest.watch)
    return app, Driver(app, clock=clock)


async def test_the_dashboard_shows_the_running_app(tmp_path: Path) -> None:
    latest = Latest()
    app, driver = analysing(tmp_path, latest)
    console = Console(file=StringIO(), force_terminal=True, width=100, height=40, color_system=None)
    text = await shown_after(Dashboard(app, latest, "simulated", driver.clock, console).run(), driver, console)
    assert "lines 1,000" in text
    assert "/style.css" in text


async def test_the_progress_bar_shows_how_much_of_the_file_was_read(tmp_path: Path) -> None:
    app, driver = analysing(tmp_path, Latest())
    console = Console(file=StringIO(), force_terminal=True, width=100, color_system=None)
    bar = FileProgress(app, lambda: (21_100_000, 63_400_000), driver.clock, console)
    text = await shown_after(bar.run(), driver, console)
    assert "21.1/63.4 MB" in text
    assert "1,000 lines" in text


async def test_without_a_terminal_there_are_plain_lines(tmp_path: Path) -> None:
    latest = Latest()
    app, driver = analysing(tmp_path, latest)
    console = Console(file=StringIO(), width=100)
    text = await shown_after(PlainLines(app, latest, driver.clock, console).run(), driver, console)
    lines = text.splitlines()
    assert len(lines) == 5, "one every two seconds"
    assert "10.0 s  1,000 lines" in lines[-1]
    assert "\x1b" not in text
