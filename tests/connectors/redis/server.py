"""`RedisServer`: a Redis in a process of its own, that tests start, kill and freeze."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from tests.kafka.watchdog import Watchdog

__all__ = ["RedisServer", "UnavailableError"]

_START_SECONDS = 30.0


class UnavailableError(Exception):
    """This machine can't run Redis; says what to install."""


class RedisServer:
    """A server on a Unix socket, whose data stays the same however often it is started.

    Args:
        folder: A folder for its data and socket.
        watchdog: Ends it with the test run.
        options: More options of redis-server.
    """

    def __init__(self, folder: Path, watchdog: Watchdog, *options: str) -> None:
        self.socket = folder / "redis.sock"
        self._watchdog = watchdog
        # fmt: off
        self._command = [
            _program(), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(folder), "--save", "",
            "--appendonly", "yes", "--appendfsync", "always", *options,
        ]
        # fmt: on
        self._process: subprocess.Popen[str] | None = None
        self._reader = Thread()
        self._log: list[str] = []

    @classmethod
    @contextmanager
    def running(cls, *options: str) -> Generator[RedisServer]:
        """Start a new server; in the end it is killed and its data is removed.

        Raises:
            UnavailableError: It isn't installed.
        """
        # /tmp, and not where pytest keeps its folders: the path of a socket may have about a hundred characters.
        folder = Path(tempfile.mkdtemp(prefix="streamproc-redis-"))
        with Watchdog(folder) as watchdog:
            server = cls(folder, watchdog, *options)
            try:
                server.start()
                yield server
            finally:
                server.close()

    @property
    def url(self) -> str:
        """What a client connects to."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start the process and wait until it accepts connections."""
        assert self._process is None, "it runs already"
        self._process = process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=self._watchdog.group,
        )
        ready = Event()
        self._reader = Thread(target=self._read, args=(process, ready), name="log of Redis", daemon=True)
        self._reader.start()
        assert ready.wait(_START_SECONDS), self._log
        assert process.poll() is None, self._log

    def kill(self) -> None:
        """End it by SIGKILL, frozen or not."""
        assert self._process is not None, "it doesn't run"
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._process = None

    def close(self) -> None:
        """Kill it if it runs."""
        if self._process is not None:
            self.kill()

    def freeze(self) -> None:
        """Stop it by SIGSTOP: its connections stay and nobody answers."""
        assert self._process is not None, "it doesn't run"
        os.kill(self._process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        assert self._process is not None, "it doesn't run"
        self._process.send_signal(signal.SIGCONT)

    def _read(self, process: subprocess.Popen[str], ready: Event) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._log.append(line)
                if "ready to accept connections" in line.lower():
                    ready.set()
        ready.set()


def _program() -> str:
    program = shutil.which("redis-server")
    if program is None:
        raise UnavailableError(
            "Needs redis-server: install it (Debian: apt-get install redis-server; macOS: brew install redis). "
            "Tests that neither stop nor configure it can use one that runs: STREAMPROC_TEST_REDIS=redis://localhost. "
            '-m "not redis" leaves all of them out'
        )
    return program
