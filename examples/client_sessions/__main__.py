"""The command line of the example: ``python -m examples.client_sessions --help``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from examples.client_sessions.made_up_log import made_up_log
from examples.client_sessions.pipeline import Visit, build
from examples.out_directory import new_directory
from streamproc import App, Asap, BatchInfo, Interval, PipelineError, Settings
from streamproc.connectors.files import FileSource, Text


def main(
    log: Annotated[Path | None, typer.Argument(help="An access log; a made-up one by default.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what is written to the log.")] = False,
    out: Annotated[Path | None, typer.Option(help="The directory for results; a new one in out/ by default.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="The directory for state; OUT/state by default.")] = None,
) -> None:
    """Find the visits of each client of a web server in its access log.

    Started again with the same --out, it goes on where it was, also after a crash.
    """
    if follow and log is None:
        raise typer.BadParameter("--follow needs a LOG that grows")
    results = out or new_directory("client_sessions")
    made_up = log is None
    if log is None:
        log = results / "access.log"
        write_log(log)
    settings = Settings(
        state_dir=str(state_dir or results / "state"),
        log_level="WARNING",
        # A record is late to batches behind that of newer ones only: in small batches it shows.
        max_records=100 if made_up else 100_000,
    )
    app = App("client_sessions", trigger=Interval("500ms") if follow else Asap(), settings=settings)
    try:
        source = FileSource(log, Text("utf-8", "replace"), follow=follow)
    except PipelineError as error:
        raise typer.BadParameter(str(error)) from None
    build(app.source(source), results, show)
    app.run()

    found, rejected = app.metrics.operator("sessions"), app.metrics.operator("parse").dead_letters
    print(f"{found.panes:,} visits; {found.late:,} requests were late, {rejected:,} lines rejected: see {results}")


def write_log(path: Path) -> None:
    """Write the made-up log: the same at each start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in made_up_log()))


def show(visits: list[Visit], _batch: BatchInfo) -> None:
    """Print a line for each visit."""
    for visit in visits:
        begin, end = (datetime.fromtimestamp(time / 1000, UTC) for time in (visit.begin, visit.end))
        print(
            f"{begin:%Y-%m-%d %H:%M} to {end:%H:%M}  {visit.client:<15}  {visit.requests:4,} requests "
            f"{visit.pages:3,} pages {visit.bytes / 1000:8,.0f} kB  {visit.landing} to {visit.exit}",
            flush=True,
        )


if __name__ == "__main__":
    typer.run(main)
