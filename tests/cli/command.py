"""The real command, in folders that hold an app and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

APPS = Path(__file__).parent / "apps"


class Command(Protocol):
    """Runs ``streamproc`` with arguments and returns what became of it."""

    def __call__(
        self, *arguments: str, input: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]: ...


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without settings of streamproc, and with these variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STREAMPROC_")}
    # Otherwise a command leaves __pycache__ behind, and a module that was just changed may be read from there.
    return {**inherited, "PYTHONDONTWRITEBYTECODE": "1", **variables}


def command_in(folder: Path) -> Command:
    """Return a command whose working directory is a folder."""

    def command(*arguments: str, input: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "streamproc", *arguments],
            cwd=folder,
            env=environment(**variables),
            input=input or "",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return command


@contextmanager
def started(folder: Path, *arguments: str, until: str) -> Generator[subprocess.Popen[str]]:
    """Start the command, and wait until it has written a line that begins with some text."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "streamproc", *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert any(line.startswith(until) for line in process.stdout), process.communicate()
            yield process
        finally:
            process.kill()


def orders_in(folder: Path) -> Path:
    """Copy the app ``orders`` into a folder."""
    shutil.copyfile(APPS / "orders.py", folder / "orders.py")
    return folder
