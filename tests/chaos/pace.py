"""`Pace`: how fast a feeder gives its lines to the job."""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Sequence

from streamproc.eventtime.clock import Clock

__all__ = ["Pace"]

_TICK = 0.005
_BURST = 0.2
"""Of how many seconds the lines come at once."""


class Pace:
    """Allows so many lines a second, in bursts, and the last tenth of them only when standard input has ended.

    So a job has much to do at once; lines are still to come at the last kill, however long the kills take; and a feeder
    whose parent is gone ends.

    Args:
        lines: How many lines there are.
        rate: How many a second.
        clock: The time.
    """

    def __init__(self, lines: int, rate: float, clock: Clock) -> None:
        self._lines = lines
        self._rate = rate
        self._burst = max(1, int(rate * _BURST))
        self._clock = clock
        self._begin = clock.monotonic()
        self.released = False
        """Whether all lines are allowed, as fast as they go."""

    def allowed(self) -> int:
        """Return how many lines may be out by now."""
        if self.released:
            return self._lines
        due = int((self._clock.monotonic() - self._begin) * self._rate)
        return min(due - due % self._burst, self._lines - self._lines // 10)

    def wait(self, connection: socket.socket | None = None, *, to_send: bool = False) -> tuple[bool, bool]:
        """Wait a moment, and return whether a connection can be read, and whether it can be written.

        Args:
            connection: Ends the wait as soon as it can be read.
            to_send: Whether also as soon as it can be written.
        """
        sockets: Sequence[socket.socket] = [] if connection is None else [connection]
        inputs = [*sockets] if self.released else [*sockets, sys.stdin]
        readable, writable, _ = select.select(inputs, sockets if to_send else [], [], _TICK)
        if sys.stdin in readable:
            self.released = True  # Nothing is ever sent on it: it can be read at its end.
        return connection in readable, connection in writable
