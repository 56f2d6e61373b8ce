"""Kills the web-log job again and again, and compares its results: ``python -m tests.chaos --help``."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tests.chaos.trial import Kind, Outcome, Trial


def main(
    kills: Annotated[int, typer.Option(min=1, help="How often to kill the job.")] = 100,
    lines: Annotated[int, typer.Option(min=1000, help="How many lines it is fed meanwhile.")] = 200_000,
    only: Annotated[str | None, typer.Option(metavar="follow|tcp", help="One of the two trials.")] = None,
    seed: Annotated[int | None, typer.Option(help="Chooses lines and moments; any by default.")] = None,
) -> None:
    """Kill the job while another process appends to the file that it follows, or sends it lines over TCP."""
    kinds: list[Kind] = ["follow", "tcp"]
    if only is not None:
        kinds = [kind for kind in kinds if kind == only]
        if not kinds:
            raise typer.BadParameter(f"--only {only}: expected follow or tcp")
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    failed = [kind for kind in kinds if not _passes(Trial(kind, kills, lines, seed))]
    sys.exit(1 if failed else 0)


def _passes(trial: Trial) -> bool:
    """Run a trial and print its outcome; the files of one that fails are kept."""
    print(f"{trial.kind}: {trial.kills} kills, {trial.lines:,} lines, seed {trial.seed} ...", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="streamproc-chaos-"))
    try:
        outcome = asyncio.run(_run(trial, directory))
    except AssertionError as error:
        print(f"{trial.kind}: FAILED: {error}\n  files are kept in {directory}", flush=True)
        return False
    print(outcome, flush=True)
    if outcome.problems:
        print(f"  files are kept in {directory}", flush=True)
        return False
    shutil.rmtree(directory)
    return True


async def _run(trial: Trial, directory: Path) -> Outcome:
    """Run a trial; SIGTERM ends it in the way that Ctrl-C does, so that no process is left behind."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await trial.run(directory)


if __name__ == "__main__":
    typer.run(main)
