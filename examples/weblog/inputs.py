"""Where the lines come from: each way to feed the job, as a source with what fits it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from streamproc import Asap, Interval, StreamprocError
from streamproc.codecs import Decoder, text_decoder
from streamproc.connectors.files import FileSource, Text
from streamproc.connectors.files.polled import PolledReader
from streamproc.connectors.stdin import StdinSource
from streamproc.connectors.tcp import TcpServerSource
from streamproc.io.source import Source, SourceContext

__all__ = ["Input", "Progress", "Simulation", "SimulationError", "follow", "read_file", "read_stdin", "serve"]

# A byte that is no UTF-8 spoils a character of a path or user agent, not the line.
_ENCODING = ("utf-8", "replace")


@dataclass(frozen=True)
class Input:
    """Where lines come from.

    Attributes:
        source: The source.
        title: What to call it.
        trigger: When batches begin.
        log_time: Whether windows follow the log's own time, which they do when old lines are read as fast as possible;
            else the time of arrival, for then windows end on time also when no line comes.
        slide: The distance between windows.
        progress: How much of it was read, where that is known.
    """

    source: Source[str]
    title: str
    trigger: Asap | Interval
    log_time: bool
    slide: str
    progress: Progress | None = None


class Progress:
    """How much of a file was read: asks the reader that the job has opened."""

    def __init__(self) -> None:
        self._ask: Callable[[], tuple[int, int] | None] | None = None

    def watch(self, ask: Callable[[], tuple[int, int] | None]) -> None:
        """Ask this from now on."""
        self._ask = ask

    def __call__(self) -> tuple[int, int] | None:
        """Return how many bytes were read and how many there are; None if that isn't known yet."""
        return None if self._ask is None else self._ask()


@dataclass(frozen=True, kw_only=True)
class _WatchedFile(FileSource[str]):
    """A file source whose progress can be seen."""

    seen_by: Progress

    def open(self, context: SourceContext) -> PolledReader:
        reader = super().open(context)
        self.seen_by.watch(reader.progress)
        return reader


def read_file(path: Path) -> Input:
    """Read a file to its end, faster than real time."""
    progress = Progress()
    source = _WatchedFile(path, Text(*_ENCODING), seen_by=progress)
    return Input(source, str(path), Asap(), log_time=True, slide="10s", progress=progress)


def read_stdin() -> Input:
    """Read standard input to its end."""
    return Input(StdinSource.text(*_ENCODING), "standard input", Asap(), log_time=True, slide="10s")


def follow(path: Path) -> Input:
    """Follow a file that grows and is rotated, like ``tail -F``."""
    source = FileSource(path, Text(*_ENCODING), follow=True)
    return Input(source, str(path), Interval("500ms"), log_time=False, slide="5s")


def serve(
    host: str, port: int, title: str, *, on_listening: Callable[[str, int], None], clients: int | None = None
) -> Input:
    """Listen for clients that send lines.

    Args:
        host: The address to listen on.
        port: The port; 0 picks a free one.
        title: What to call it.
        on_listening: Learns the address and port once clients can connect.
        clients: After how many clients the input ends; by default it doesn't.
    """
    decoder: Decoder[str] = text_decoder(*_ENCODING)
    source = TcpServerSource(port, host=host, decode=decoder, on_listening=on_listening, until_clients_done=clients)
    return Input(source, title, Interval("500ms"), log_time=False, slide="5s")


class SimulationError(StreamprocError):
    """The simulated web site ended before it should."""


class Simulation:
    """A simulated web site: a process of its own, that sends its log over TCP.

    Args:
        rate: How many lines a second on average.
        seed: Chooses the traffic.
        lines: How many lines; None without end.
    """

    def __init__(self, *, rate: float, seed: int, lines: int | None) -> None:
        self._arguments = [f"--rate={rate}", f"--seed={seed}", *([] if lines is None else [f"--lines={lines}"])]
        self._address: asyncio.Future[tuple[str, int]] | None = None
        self._lines = lines
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    def input(self) -> Input:
        """Return the input to give to the job."""
        return serve(
            "127.0.0.1",
            0,
            "simulated traffic",
            on_listening=self._on_listening,
            clients=None if self._lines is None else 1,
        )

    async def run(self) -> None:
        """Send once the job listens; ends with the last line.

        Raises:
            SimulationError: Not all was sent.
        """
        self._address = asyncio.get_running_loop().create_future()
        host, port = await self._address
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "examples.weblog.send", f"--to={host}:{port}", *self._arguments),
            # Ctrl-C is for the job alone: it ends the simulation when it has finished its batch.
            start_new_session=True,
        )
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        if code and not self._stopping:
            raise SimulationError(f"the simulated web site ended with exit code {code}")

    def stop(self) -> None:
        """Stop sending: the job won't listen any more."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    def _on_listening(self, host: str, port: int) -> None:
        assert self._address is not None, "run() was started before the job"
        self._address.set_result((host, port))
