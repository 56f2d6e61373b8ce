"""What the kernel knows of the connections to a port of this machine."""

from __future__ import annotations

import random
import socket
from collections import Counter
from pathlib import Path

__all__ = ["free_port", "queued_bytes"]

_CONNECTIONS = Path("/proc/net/tcp")
_ESTABLISHED = "01"


def queued_bytes(port: int) -> dict[int, int] | None:
    """Return how many bytes sent to a server's port no program has read yet, by the port of the client that sent them.

    Those that the client's side keeps until they are acknowledged count too: it can be too many, never too few. Only
    connections that stand are looked at.

    Returns:
        None on a machine that doesn't tell: Linux does.
    """
    if not _CONNECTIONS.exists():
        return None
    found: Counter[int] = Counter()
    for row in _CONNECTIONS.read_text().splitlines()[1:]:
        _, local, remote, state, queues, *_ = row.split()
        if state != _ESTABLISHED:
            continue
        ports = int(local.split(":")[1], 16), int(remote.split(":")[1], 16)
        to_send, to_read = (int(size, 16) for size in queues.split(":"))
        if ports[0] == port:
            found[ports[1]] += to_read
        elif ports[1] == port:
            found[ports[0]] += to_send
    return dict(found)


def free_port(rng: random.Random) -> int:
    """Return a port on which a server can listen again and again.

    Not one that the kernel gives to clients: while nobody listens, a client that tries to connect to such a port can
    be given the same one for its own end, and is then connected to itself.
    """
    for port in rng.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("no free port among 100 from 20000 to 32000")
