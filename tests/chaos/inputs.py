"""The two ways in which the job is fed while it is killed, and what each of them may lose: nothing, or very little."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from tests.chaos.send import CHUNK, Connection
from tests.chaos.sockets import free_port, queued_bytes
from tests.chaos.traffic import LONGEST_LINE, Request
from tests.chaos.weblog import Life

__all__ = ["Followed", "Input", "Missing", "Sent"]

_ONE_READ = 256 * 1024
"""How many bytes the job's event loop reads from a socket at a time, at most."""

_MOST_QUEUED = 1 << 20
"""More can't be on the wire of a sender with a small buffer: the kernel gives the other side no larger one so fast."""


@dataclass
class Missing:
    """Which lines the job has not counted.

    Attributes:
        lost: How many that it had to count.
        swallowed: How many that were on their way when it was killed, which no reader of a wire can avoid.
        figures: What there is to say about these.
        problems: What should not be.
    """

    lost: int = 0
    swallowed: int = 0
    figures: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])


class Input(Protocol):
    """A way to feed the job."""

    @property
    def job(self) -> tuple[object, ...]:
        """The job's arguments."""
        ...

    @property
    def feeder(self) -> tuple[object, ...]:
        """The feeder's program and first arguments; the seed, the number of lines and the rate follow."""
        ...

    @property
    def options(self) -> tuple[object, ...]:
        """The feeder's arguments behind these."""
        ...

    @property
    def rotates(self) -> bool:
        """Whether the feeder rotates what it writes, and says so."""
        ...

    async def kill(self, life: Life, feeder: asyncio.subprocess.Process) -> None:
        """Kill the job."""
        ...

    def missing(self, said: Path, counted: frozenset[int], requests: list[Request]) -> Missing:
        """Judge which lines are missing, by what the feeder has printed to a file."""
        ...


class Followed:
    """A file that grows and is rotated.

    Args:
        directory: Where the file is.
        rotations: How often it is rotated.
    """

    rotates = True

    def __init__(self, directory: Path, rotations: int) -> None:
        path = directory / "access.log"
        self.job: tuple[object, ...] = "--follow", path
        self.feeder: tuple[object, ...] = "tests.chaos.append", path
        self.options: tuple[object, ...] = (rotations,)

    async def kill(self, life: Life, feeder: asyncio.subprocess.Process) -> None:
        """Kill the job; the feeder writes on."""
        await life.kill()

    def missing(self, said: Path, counted: frozenset[int], requests: list[Request]) -> Missing:
        """Every missing line is lost: it is still in the file."""
        lost = [request.number for request in requests if request.number not in counted]
        rotations = said.read_bytes().count(b"\n")
        problems = [f"lost: {len(lost)} lines, among them {lost[:5]}"] if lost else []
        return Missing(len(lost), figures=[f"rotations {rotations}"], problems=problems)


class Sent:
    """A connection that is made anew after each kill.

    To know what is on the wire at a kill, the sender is stopped for that moment, at half of the kills: then it is what
    the kernel says is in the queues of the connection, and the part of a line that the job has read. Beyond that, a
    kill can hit the job between reading from the socket and writing to its journal: one read, at most, that is counted
    apart. At the other half, the sender sends on, as in earnest.

    Args:
        rng: Chooses the port, and the kills at which to look.
    """

    rotates = False
    options: tuple[object, ...] = ()

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._port = free_port(rng)
        self.job: tuple[object, ...] = "--tcp", f"127.0.0.1:{self._port}"
        self.feeder: tuple[object, ...] = "tests.chaos.send", self._port
        self._queued: dict[int, int] = {}
        self._kills = 0

    async def kill(self, life: Life, feeder: asyncio.subprocess.Process) -> None:
        """Kill the job; half of the times, note what it has not read."""
        self._kills += 1
        if self._rng.random() < 0.5:
            await life.kill()
            return
        feeder.send_signal(signal.SIGSTOP)
        try:
            queued = queued_bytes(self._port) if _has_stopped(feeder.pid) else None
            for port, size in (queued or {}).items():
                # Should a port come twice, by chance, the larger bound is kept.
                self._queued[port] = max(size, self._queued.get(port, 0))
            await life.kill()
        finally:
            feeder.send_signal(signal.SIGCONT)

    def missing(self, said: Path, counted: frozenset[int], requests: list[Request]) -> Missing:
        """Lines may be missing only from the end of a connection that was broken, and only what was on the wire."""
        found = Missing()
        sizes: list[int] = []
        in_hand = served = 0
        expected = 1
        connections = [msgspec.json.decode(line, type=Connection) for line in said.read_bytes().splitlines()]
        for connection in connections:
            if connection.first != expected:
                found.problems.append(f"the sender itself left out lines {expected} to {connection.first - 1}")
            expected = connection.next
            tail = _missing_tail(connection, counted, found)
            size = sum(len(requests[number - 1].line()) for number in tail)
            queued = self._queued.get(connection.port)
            bound = _MOST_QUEUED if queued is None else queued + LONGEST_LINE + CHUNK
            if size > bound + _ONE_READ:
                found.problems.append(f"{size:,} bytes are missing, but only {bound:,} were on the wire")
            in_hand += size > bound
            served += len(tail) < connection.next - connection.first
            sizes.append(size)
        # The sender may connect once more to a job that is dying, when the kernel has closed the connection but not yet
        # the listening socket. Nobody reads from that.
        if served > self._kills + 1:
            found.problems.append(f"{served} connections were read from, and the job had {self._kills + 1} lives")
        queues = self._queued.values()
        found.figures += [
            f"connections {len(connections)}, read from {served}",
            f"missing bytes a kill: mean {sum(sizes) // max(len(sizes), 1):,}, most {max(sizes, default=0):,}",
            f"bytes in a connection's queues, looked at {len(queues)} times: most {max(queues, default=0):,}",
            f"kills between a read and the journal: {in_hand}",
        ]
        return found


def _missing_tail(connection: Connection, counted: frozenset[int], found: Missing) -> range:
    """Return the lines that are missing at the end of a connection, and note those that should not be."""
    numbers = range(connection.first, connection.next)
    tail = numbers[1 + max((place for place, number in enumerate(numbers) if number in counted), default=-1) :]
    holes = [number for number in numbers if number not in counted and number not in tail]
    if holes:
        found.lost += len(holes)
        found.problems.append(f"lost: {len(holes)} lines before others of their connection, among them {holes[:5]}")
    if tail and not connection.broken:
        found.lost += len(tail)
        found.problems.append(f"lost: {len(tail)} lines from {tail[0]} of a connection that was not broken")
    else:
        found.swallowed += len(tail)
    return tail


def _has_stopped(pid: int) -> bool:
    """Wait until a process that was sent SIGSTOP stands still; return False where the system doesn't tell."""
    status = Path(f"/proc/{pid}/stat")
    if not status.exists():
        return False
    while status.read_text().rpartition(")")[2].split()[0] not in "TZ":
        os.sched_yield()
    return True
