"""`Broker`: a Kafka broker in a process of its own, that tests start, stop, kill and freeze."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Thread

from tests.kafka.node import Node
from tests.kafka.program import Program
from tests.kafka.security_access import Access
from tests.kafka.watchdog import Watchdog

__all__ = ["Broker", "BrokerError"]

_STARTED = "Kafka Server started\n"
_START_SECONDS = 120.0
_STOP_SECONDS = 60.0
_TERMINATED = 128 + signal.SIGTERM
_CLUSTER_ID = "c3RyZWFtcHJvYy10ZXN0cw"


class BrokerError(Exception):
    """A broker did not start, or did not stop; ends with the last lines of its log."""


class Broker:
    """A broker, whose data and ports stay the same however often it is started.

    All methods block until what they say has happened; a test whose own event loop has work meanwhile calls them by
    `asyncio.to_thread`.

    Args:
        program: Kafka.
        node: Which broker it is.
        nodes: All of its cluster.
        folder: A folder for its data, made at its first start.
        watchdog: Ends it with the test run.
        access: Who is let in on other ports, and how; by default there are none.
        properties: What to configure otherwise than `Node.properties` does.
    """

    def __init__(
        self,
        program: Program,
        node: Node,
        nodes: Sequence[Node],
        folder: Path,
        watchdog: Watchdog,
        access: Access | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self.node = node
        self.folder = folder
        self.log: deque[str] = deque(maxlen=20_000)
        """The last lines of its log, over all starts."""
        self._program = program
        self._nodes = nodes
        self._watchdog = watchdog
        self._access = access
        self._properties = dict(properties or {})
        self._process: subprocess.Popen[str] | None = None
        self._reader = Thread()
        self._started = False

    @property
    def address(self) -> str:
        """What a client connects to."""
        return self.node.address

    @property
    def pid(self) -> int:
        """The process that runs."""
        return self._running().pid

    def start(self) -> None:
        """Start the process and wait until Kafka has started.

        Brokers of one cluster are started at the same time: at first none is complete without the others.

        Raises:
            BrokerError: It ended instead, or needs too long.
        """
        assert self._process is None, f"{self} runs already"
        if not self._formatted.exists():
            self._format()
        process = subprocess.Popen(
            self._command("kafka.Kafka", self._configuration),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=self._watchdog.group,
        )
        self._process, self._started = process, False
        told = Event()
        self._reader = Thread(target=self._read, args=(process, told), name=f"log of {self}", daemon=True)
        self._reader.start()
        in_time = told.wait(_START_SECONDS)
        if not self._started:
            self.kill()
            raise self._error("ended while it started" if in_time else f"has not started in {_START_SECONDS:.0f} s")

    def stop(self) -> None:
        """End it as an operator does, by SIGTERM: it gives its partitions to others and closes its files.

        Raises:
            BrokerError: It needs too long, and is killed then; or it had ended by itself.
        """
        process = self._running()
        process.terminate()
        try:
            code = process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._error(f"has not stopped in {_STOP_SECONDS:.0f} s") from None
        self._ended()
        if code != _TERMINATED:
            raise self._error(f"had ended by itself ({code})")

    def kill(self) -> None:
        """End it by SIGKILL, frozen or not."""
        process = self._running()
        process.kill()
        process.wait()
        self._ended()

    def close(self) -> None:
        """Kill it if it runs."""
        if self._process is not None:
            self.kill()

    def freeze(self) -> None:
        """Stop it in the midst of whatever it does, by SIGSTOP: its connections stay and nobody answers."""
        pid = self._running().pid
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let it go on after `freeze`, by SIGCONT."""
        os.kill(self._running().pid, signal.SIGCONT)

    def __str__(self) -> str:
        return f"broker {self.node.number} on {self.address}"

    @property
    def _configuration(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _formatted(self) -> Path:
        return self.folder / "data" / "meta.properties"

    def _command(self, main: str, *arguments: str | Path) -> list[str]:
        return self._program.command(main, *arguments, scratch=self.folder)

    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, f"{self} doesn't run"
        return self._process

    def _format(self) -> None:
        self.folder.mkdir(exist_ok=True)
        properties = self.node.properties(self._nodes, self._formatted.parent) | self._properties
        users: Sequence[str] = ()
        if self._access is not None:
            properties |= self._access.properties(properties)
            users = self._access.storage_options
        self._configuration.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        done = subprocess.run(
            self._command("kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", self._configuration, *users),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_START_SECONDS,
            process_group=self._watchdog.group,
            check=False,
        )
        if done.returncode != 0:
            self.log.extend(done.stdout.splitlines())
            raise self._error("could not be given storage")

    def _read(self, process: subprocess.Popen[str], told: Event) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.log.append(line.rstrip("\n"))
                # Not its port: another process could have it.
                if line.endswith(_STARTED):
                    self._started = True
                    told.set()
        told.set()

    def _ended(self) -> None:
        self._reader.join()
        self._process = None

    def _error(self, what: str) -> BrokerError:
        return BrokerError("\n".join([f"{self} {what}. The end of its log:", *list(self.log)[-40:]]))
