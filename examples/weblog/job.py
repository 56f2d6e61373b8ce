"""Runs the job: the app, what shows it, and what feeds it, until the input ends or a signal comes."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from examples.weblog.dashboard import Dashboard, Latest
from examples.weblog.inputs import Input, Simulation
from examples.weblog.pipeline import build, read_summary
from examples.weblog.progress import FileProgress, PlainLines
from examples.weblog.totals import Summary
from streamproc import App, Settings
from streamproc.eventtime.clock import SystemClock

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """What to run.

    Attributes:
        input: Where lines come from.
        out: The directory for results.
        state: The directory for state.
        echo: Whether to write every request to the results.
        console: Where to show how it goes: a dashboard or bar on a terminal, else plain lines.
        simulation: What feeds the input, if it needs that.
    """

    input: Input
    out: Path
    state: Path
    echo: bool
    console: Console
    simulation: Simulation | None = None

    async def run(self) -> Summary:
        """Run until the input ends or SIGINT or SIGTERM comes, and return what the job has done since its first start.

        Raises:
            StreamprocError: It failed; started again with the same directories, it goes on where it was.
        """
        latest = Latest()
        app = App(
            "weblog",
            trigger=self.input.trigger,
            # Batches of a fraction of a second, however fast lines come: the display stands still during one.
            settings=Settings(state_dir=str(self.state), max_records=20_000),
        )
        build(
            app.source(self.input.source, name="lines-in"),
            self.out,
            log_time=self.input.log_time,
            slide=self.input.slide,
            echo=self.echo,
            watch=latest.watch,
        )
        clock = SystemClock()
        begin = clock.monotonic()
        # Objects made by now live as long as the process: the collector need not look at them again.
        gc.freeze()
        self._stop_on_signals(app)
        try:
            async with asyncio.TaskGroup() as tasks:
                beside = [tasks.create_task(self._view(app, latest, clock).run())]
                if self.simulation is not None:
                    beside.append(tasks.create_task(self.simulation.run()))
                # Both wait for the app: they must be there before it runs.
                await _turn()
                await app.serve()
                for task in beside:
                    task.cancel()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        return read_summary(app, clock.monotonic() - begin)

    def _view(self, app: App, latest: Latest, clock: SystemClock) -> Dashboard | FileProgress | PlainLines:
        if not self.console.is_terminal:
            return PlainLines(app, latest, clock, self.console)
        if self.input.progress is not None:
            return FileProgress(app, self.input.progress, clock, self.console)
        return Dashboard(app, latest, f"weblog: {self.input.title}", clock, self.console)

    def _stop_on_signals(self, app: App) -> None:
        """Stop at the first SIGINT or SIGTERM, and end the process at the second; nothing is lost then either."""
        loop = asyncio.get_running_loop()
        asked = False

        def on_signal(number: signal.Signals) -> None:
            nonlocal asked
            if asked:
                os._exit(128 + number)
            asked = True
            if self.simulation is not None:
                self.simulation.stop()
            app.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal, number)


async def _turn() -> None:
    """Let tasks that were just made run up to their first wait."""
    loop = asyncio.get_running_loop()
    turned = loop.create_future()
    loop.call_soon(turned.set_result, None)
    await turned
