"""`PostgresServer`: a PostgreSQL in processes of its own, that tests start, stop, kill and freeze."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from tests.kafka.watchdog import Watchdog

__all__ = ["PostgresServer", "UnavailableError"]

_READY = "database system is ready to accept connections"
_START_SECONDS = 60.0
# Below the ports that systems give to outgoing connections, which could hold it while the server is stopped.
_PORTS = range(20_000, 32_768)
_USER = "streamproc"


class UnavailableError(Exception):
    """This machine can't run PostgreSQL; says what to install."""


class PostgresServer:
    """A server on loopback, whose data and port stay the same however often it is started.

    Args:
        programs: The folder of PostgreSQL's programs.
        folder: A folder for its data, made at its first start.
        watchdog: Ends it with the test run.
        options: Settings of PostgreSQL.
    """

    def __init__(self, programs: Path, folder: Path, watchdog: Watchdog, **options: str) -> None:
        self.port = _free_port()
        self.log: deque[str] = deque(maxlen=5_000)
        """The last lines of its log, over all starts."""
        self.folder = folder
        """Where its data is."""
        self._programs = programs
        self._data = folder / "data"
        self._watchdog = watchdog
        self._options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            # In its folder, so that nothing is left when it is killed.
            "dynamic_shared_memory_type": "mmap",
            # A connection whose client was killed must not keep a test waiting.
            "client_connection_check_interval": "100ms",
            **options,
        }
        self._owner = _unprivileged()
        self._process: subprocess.Popen[str] | None = None
        self._reader = Thread()

    @classmethod
    @contextmanager
    def running(cls, **options: str) -> Generator[PostgresServer]:
        """Start a new server; in the end it is killed and its data is removed.

        Raises:
            UnavailableError: It isn't installed.
        """
        programs = _programs()
        # Not where pytest keeps its folders: those are closed to other users.
        folder = Path(tempfile.mkdtemp(prefix="streamproc-postgres-"))
        with Watchdog(folder) as watchdog:
            server = cls(programs, folder, watchdog, **options)
            if server._owner is not None:
                shutil.chown(folder, server._owner)
            try:
                server.start()
                yield server
            finally:
                server.close()

    @property
    def url(self) -> str:
        """What a client connects to; it asks for no password."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        assert self._process is None, "it runs already"
        if not self._data.exists():
            # What is durable depends on no sync of the files that initdb makes.
            self._run("initdb", "--no-sync", "--auth=trust", f"--username={_USER}", "--encoding=UTF8", "--locale=C")
        process = self._popen("postgres", *(f"--{name}={value}" for name, value in self._options.items()))
        self._process = process
        ready = Event()
        self._reader = Thread(target=self._read, args=(process, ready), name="log of PostgreSQL", daemon=True)
        self._reader.start()
        assert ready.wait(_START_SECONDS), "".join(self.log)
        assert process.poll() is None, "".join(self.log)

    def stop(self) -> None:
        """End it as an operator does in a hurry: sessions are ended, and what is committed is written."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash would: nothing is written any more."""
        process = self._running()
        # A child that is killed makes the server restart; the server itself is asked to forget everything at once.
        process.send_signal(signal.SIGCONT)
        self._end(signal.SIGQUIT)

    def close(self) -> None:
        """Kill it if it runs."""
        if self._process is not None:
            self.kill()

    def freeze(self, backend: int) -> None:
        """Stop the process of one connection by SIGSTOP: it stays and doesn't answer."""
        os.kill(backend, signal.SIGSTOP)

    def thaw(self, backend: int) -> None:
        """Let the process of a connection go on after `freeze`."""
        os.kill(backend, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        process = self._running()
        process.send_signal(how)
        process.wait(_START_SECONDS)
        self._reader.join()
        self._process = None

    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, "it doesn't run"
        return self._process

    def _read(self, process: subprocess.Popen[str], ready: Event) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.log.append(line)
                if _READY in line:
                    ready.set()
        ready.set()

    def _run(self, program: str, *arguments: str) -> None:
        process = self._popen(program, *arguments)
        output, _ = process.communicate()
        assert process.returncode == 0, output

    def _popen(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self._programs / program), "-D", str(self._data), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd="/",
            env={**os.environ, "LC_ALL": "C"},
            process_group=self._watchdog.group,
            user=self._owner,
        )


def _unprivileged() -> str | None:
    """Return whom to run it as: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _programs() -> Path:
    folders = [Path(found).parent for found in [shutil.which("postgres")] if found is not None]
    if config := shutil.which("pg_config"):
        listed = subprocess.run([config, "--bindir"], check=True, capture_output=True, text=True).stdout
        folders.append(Path(listed.strip()))
    # Debian keeps them out of the way, one folder a version.
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    for folder in folders:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise UnavailableError(
        "Needs PostgreSQL: install it (Debian: apt-get install postgresql; macOS: brew install postgresql). Tests that "
        "don't stop it can use one that runs, whose user may make schemas: "
        'STREAMPROC_TEST_POSTGRES=postgresql://user@host/database. -m "not postgres" leaves all of them out'
    )


def _free_port() -> int:
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as attempt:
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port is free between {_PORTS.start} and {_PORTS.stop}")
