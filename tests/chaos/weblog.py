"""The web-log job as a program that is started, killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tests.chaos.moments import Cue

__all__ = ["ROOT", "Life", "Weblog", "program"]

ROOT = Path(__file__).parents[2]
_STOP_WITHIN = 60.0


@asynccontextmanager
async def program(*arguments: object, output: Path, errors: Path) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    """Start ``python -m`` something, and kill it at the end if it still runs; its output is appended to files."""
    with output.open("ab") as stdout, errors.open("ab") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *map(str, arguments)),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@dataclass(frozen=True)
class Weblog:
    """The job.

    Attributes:
        directory: For its results and its state.
        input: Where its lines come from, as arguments.
    """

    directory: Path
    input: tuple[object, ...]

    @property
    def out(self) -> Path:
        """The directory for results."""
        return self.directory / "out"

    @property
    def state(self) -> Path:
        """The directory of its only shard's state."""
        return self.directory / "state" / "weblog" / "0"

    @property
    def log(self) -> Path:
        """What it prints while it runs, over all its lives."""
        return self.directory / "job.log"

    @property
    def summaries(self) -> Path:
        """What it prints on standard output: a summary at each orderly stop."""
        return self.directory / "job.out"

    @asynccontextmanager
    async def alive(self) -> AsyncGenerator[Life, None]:
        """Start it, and make sure that it is dead at the end."""
        self.directory.mkdir(parents=True, exist_ok=True)
        results = f"--out={self.out}", f"--state-dir={self.directory / 'state'}", "--echo", "--summary=json"
        async with program("examples.weblog", *self.input, *results, output=self.summaries, errors=self.log) as process:
            yield Life(self, process)

    def written(self, what: Cue = "results") -> int:
        """Return how many bytes of echoed lines there are, published or about to be; or of the logs of its state."""
        size = 0
        for path in self.state.glob("*.log") if what == "state" else self.out.glob("lines/*part-*"):
            try:
                size += path.stat().st_size
            except FileNotFoundError:
                continue  # It has just got its final name, or was not needed any more.
        return size

    def has_written(self, number: int) -> bool:
        """Return whether the newest file of echoed lines ends with a line's number."""
        parts = {path.name.strip("."): path for path in self.out.glob("lines/*part-*")}
        if not parts:
            return False
        try:
            with parts[max(parts)].open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 300))
                end = file.read()
        except FileNotFoundError:
            return False
        return end.endswith(b"\n") and b'"/line/%d"' % number in end.splitlines()[-1]


class Life:
    """One process of the job."""

    def __init__(self, weblog: Weblog, process: asyncio.subprocess.Process) -> None:
        self._weblog = weblog
        self._process = process

    def check(self) -> None:
        """Raise an error if the job has ended by itself."""
        if self._process.returncode is not None:
            said = "\n".join(self._weblog.log.read_text(errors="replace").splitlines()[-30:])
            raise AssertionError(f"the job has ended by itself with exit code {self._process.returncode}:\n{said}")

    async def kill(self) -> None:
        """Kill it as ``kill -9`` does."""
        self.check()
        self._process.kill()
        code = await self._process.wait()
        assert code == -signal.SIGKILL, f"the job ended with {code} before it was killed"

    async def stop(self) -> dict[str, Any]:
        """Stop it in the orderly way, and return its summary."""
        self.check()
        self._process.terminate()
        async with asyncio.timeout(_STOP_WITHIN):
            await self._process.wait()
        assert self._process.returncode == 0, self._weblog.log.read_text(errors="replace")[-5000:]
        summary: dict[str, Any] = msgspec.json.decode(self._weblog.summaries.read_bytes().splitlines()[-1])
        return summary
