"""Sends simulated traffic to the job, as the servers of a web site would; or prints it.

Examples::

    python -m examples.weblog.send --to 127.0.0.1:9000 --rate 1000
    python -m examples.weblog.send --lines 1000000 > access.log
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from collections.abc import Iterator
from itertools import islice

from examples.weblog.traffic import Traffic
from streamproc.eventtime.clock import Clock, SystemClock

__all__ = ["main", "send"]

_CHUNK_MS = 20
"""Lines that are due within so long are sent together."""


async def send(host: str, port: int, lines: Iterator[tuple[int, str]], clock: Clock, *, paced: bool = True) -> int:
    """Send lines over one connection, each when it is due, and return how many were sent.

    Args:
        host: Where the job listens.
        port: Its port.
        lines: When each line is due, in milliseconds after the first, and the line.
        clock: Tells when.
        paced: Whether to wait until lines are due; else they go as fast as the job takes them.

    Raises:
        OSError: The job can't be reached, or has closed the connection.
    """
    _, writer = await asyncio.open_connection(host, port)
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    begin = clock.now()
    sent = 0
    until = 0
    chunk: list[str] = []
    try:
        for offset, line in lines:
            if offset >= until or len(chunk) >= 1000:
                await _write(writer, chunk)
                sent += len(chunk)
                chunk = []
                until = offset - offset % _CHUNK_MS + _CHUNK_MS
                if paced:
                    await clock.sleep_until(begin + until - _CHUNK_MS)
            chunk.append(line)
        await _write(writer, chunk)
        return sent + len(chunk)
    finally:
        writer.close()
        await writer.wait_closed()


async def _write(writer: asyncio.StreamWriter, lines: list[str]) -> None:
    if lines:
        writer.write("\n".join([*lines, ""]).encode())
        await writer.drain()


def main() -> int:
    """Run the program, and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.weblog.send", description="Sends simulated traffic, or prints it."
    )
    parser.add_argument("--to", metavar="HOST:PORT", help="where to send the lines; printed by default")
    parser.add_argument("--lines", type=int, help="how many; without end by default")
    parser.add_argument("--rate", type=float, default=1000.0, help="lines a second on average (default: 1000)")
    parser.add_argument("--seed", type=int, default=1, help="chooses the traffic (default: 1)")
    parser.add_argument("--start", type=int, help="the time of the first line in epoch milliseconds (default: now)")
    parser.add_argument("--no-attacks", action="store_true", help="leave attacks and spikes out")
    parser.add_argument("--fast", action="store_true", help="send as fast as the receiver takes the lines")
    arguments = parser.parse_args()
    clock = SystemClock()
    traffic = Traffic(
        seed=arguments.seed,
        rate=arguments.rate,
        start=clock.now() if arguments.start is None else arguments.start,
        attacks=not arguments.no_attacks,
    )
    lines = islice(traffic.lines(), arguments.lines)
    try:
        if arguments.to is None:
            sys.stdout.writelines(f"{line}\n" for _, line in lines)
        else:
            host, _, port = arguments.to.rpartition(":")
            asyncio.run(send(host, int(port), lines, clock, paced=not arguments.fast))
    except (ConnectionError, BrokenPipeError) as error:
        print(f"the receiver is gone: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
