"""A program that sends a log over TCP to whoever listens, and never sends anything twice.

``python -m tests.chaos.send PORT SEED LINES RATE``

When its connection ends it connects again and goes on with the next line: with the one of which nothing was handed to
the kernel yet. It prints a `Connection` as JSON at the end of each.
"""

from __future__ import annotations

import socket
import sys

import msgspec

from streamproc.eventtime.clock import SystemClock
from tests.chaos.pace import Pace
from tests.chaos.traffic import traffic

__all__ = ["CHUNK", "Connection"]

CHUNK = 4096
"""How many bytes are handed to the kernel at a time."""

_SEND_BUFFER = 16 * 1024
_PATIENCE = 60.0
"""After how many seconds without a listener to give up, once all lines may be sent."""


class Connection(msgspec.Struct, frozen=True):
    """What was sent on one connection.

    Attributes:
        port: The sender's port.
        first: The number of its first line.
        handed: Up to which line all was handed to the kernel.
        cut: Whether a part of the line behind it was, too.
        broken: Whether the other side has ended it.
    """

    port: int
    first: int
    handed: int
    cut: bool
    broken: bool

    @property
    def next(self) -> int:
        """The number of the next connection's first line."""
        return self.handed + 1 + self.cut


def main(port: int, seed: int, lines: int, rate: float) -> None:
    clock = SystemClock()
    content = [request.line() for request in traffic(seed, lines)]
    pace = Pace(lines, rate, clock)
    number = 1
    give_up = None
    while number <= lines:
        connected = _connect(port)
        if connected is None:
            pace.wait()
            if pace.released:
                give_up = give_up or clock.monotonic() + _PATIENCE
                if clock.monotonic() > give_up:
                    sys.exit("nobody listens")
            continue
        with connected:
            connection = _send(connected, content, number, pace)
        print(msgspec.json.encode(connection).decode(), flush=True)
        number = connection.next


def _connect(port: int) -> socket.socket | None:
    connection = socket.socket()
    # Small, so that what a kill can swallow is small.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    try:
        connection.connect(("127.0.0.1", port))
    except OSError:
        connection.close()
        return None
    connection.setblocking(False)
    return connection


def _send(connection: socket.socket, content: list[bytes], first: int, pace: Pace) -> Connection:
    """Send lines from a number on until all are sent, or the other side ends the connection."""
    port: int = connection.getsockname()[1]
    taken = handed = first - 1
    pending = b""
    cut = broken = False
    while not broken and (pending or taken < len(content)):
        if not pending:
            until = pace.allowed()
            pending, taken = b"".join(content[taken:until]), max(taken, until)
        ended, ready = pace.wait(connection, to_send=bool(pending))
        if ended:
            broken = True  # The job never answers: there is only an end to be read.
        elif ready:
            try:
                sent = pending[: connection.send(pending[:CHUNK])]
            except OSError:
                broken = True
                continue
            handed += sent.count(b"\n")
            cut = not sent.endswith(b"\n")
            pending = pending[len(sent) :]
    return Connection(port, first, handed, cut, broken)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
