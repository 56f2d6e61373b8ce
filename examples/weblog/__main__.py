"""The command line of the example: ``python -m examples.weblog --help``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from examples.out_directory import new_directory
from examples.weblog.dashboard import amount
from examples.weblog.inputs import Input, Simulation, follow, read_file, read_stdin, serve
from examples.weblog.job import Job
from examples.weblog.totals import Summary
from streamproc import StreamprocError
from streamproc.logs import configure_logging


class SummaryFormat(StrEnum):
    """How to print the summary."""

    TEXT = "text"
    JSON = "json"


def main(
    demo: Annotated[bool, typer.Option("--demo", help="Analyse simulated traffic.")] = False,
    file: Annotated[Path | None, typer.Option(help="Analyse a log to its end; .gz and .zst are fine.")] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Analyse standard input to its end.")] = False,
    tcp: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Listen for clients that send lines.")] = None,
    follow_file: Annotated[
        Path | None, typer.Option("--follow", metavar="FILE", help="Follow a log that grows and is rotated.")
    ] = None,
    lines: Annotated[int | None, typer.Option(min=1, help="With --demo: end after so many lines.")] = None,
    rate: Annotated[float, typer.Option(min=1, help="With --demo: lines a second.")] = 5_000,
    seed: Annotated[int, typer.Option(help="With --demo: chooses the traffic.")] = 1,
    out: Annotated[Path | None, typer.Option(help="The directory for results; a new one in out/ by default.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="The directory for state; OUT/state by default.")] = None,
    echo: Annotated[bool, typer.Option("--echo", help="Write every request to OUT/lines, too.")] = False,
    summary: Annotated[SummaryFormat, typer.Option(help="How to print the summary.")] = SummaryFormat.TEXT,
) -> None:
    """Analyse the log of a web server, live: traffic by the minute, totals by client, alerts.

    Started again with the same --out, it goes on where it was, also after a crash.
    """
    if sum([demo, file is not None, stdin, tcp is not None, follow_file is not None]) != 1:
        raise typer.BadParameter("give one of --demo, --file, --stdin, --tcp and --follow")
    simulation = Simulation(rate=rate, seed=seed, lines=lines) if demo else None
    if lines is not None and not demo:
        raise typer.BadParameter("--lines goes with --demo: other inputs end by themselves or run until stopped")
    results = out or new_directory("weblog")
    # With a summary for programs, standard output is for them alone.
    console = Console(stderr=summary is SummaryFormat.JSON)
    job = Job(
        input=simulation.input() if simulation else _input(file, tcp, follow_file, console),
        out=results,
        state=state_dir or results / "state",
        echo=echo,
        console=console,
        simulation=simulation,
    )
    configure_logging(level="WARNING")
    if console.is_terminal:
        # They would tear the display; what they say of rejected lines is in the summary.
        logging.disable(logging.WARNING)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            found = runner.run(job.run())
    except StreamprocError as error:
        Console(stderr=True).print(Text.assemble(("failed: ", "bold red"), str(error)), soft_wrap=True)
        raise typer.Exit(1) from None
    if summary is SummaryFormat.JSON:
        print(msgspec.json.encode(found).decode(), flush=True)
    else:
        _print_summary(console, found, results)


def _input(file: Path | None, tcp: str | None, follow_file: Path | None, console: Console) -> Input:
    if file is not None:
        return read_file(file)
    if follow_file is not None:
        return follow(follow_file)
    if tcp is None:
        return read_stdin()
    host, _, port = tcp.rpartition(":")
    if not host or not port.isdecimal():
        raise typer.BadParameter(f"--tcp {tcp}: expected HOST:PORT, for example 127.0.0.1:9000")

    def announce(host: str, port: int) -> None:
        console.print(f"listening on {host}:{port}", highlight=False)

    return serve(host, int(port), tcp, on_listening=announce)


def _print_summary(console: Console, summary: Summary, results: Path) -> None:
    table = Table.grid(padding=(0, 2))
    for name, value in (
        ("lines", f"{summary.lines:,}; this run took {summary.seconds:,.1f} s"),
        ("requests", f"{summary.parsed:,}; {summary.rejected:,} lines were rejected"),
        ("sent", amount(summary.bytes, "B")),
        ("statuses", ", ".join(f"{status}: {count:,}" for status, count in summary.by_status.items())),
        ("clients", f"{len(summary.by_client):,}"),
        ("", ", ".join(f"{client}: {count:,}" for client, count in list(summary.by_client.items())[:5])),
        ("alerts", f"{summary.alerts:,}"),
        ("results", str(results)),
    ):
        table.add_row(name, value)
    console.print(table, highlight=False)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - it has no wheel for some platforms
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    typer.run(main)
