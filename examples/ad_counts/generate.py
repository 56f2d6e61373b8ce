"""Writes simulated events to the topic: ``python -m examples.ad_counts.generate --rate 1000 --seconds 30``."""

# aiokafka has no type information.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable

import msgspec
from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]

from examples.ad_counts.kafka import ADS, client_options, make_topics, run
from examples.ad_counts.traffic import Traffic
from streamproc.eventtime.clock import Clock, SystemClock

__all__ = ["generate", "main"]

_PENDING = 1_000
"""How many events may be under way at once."""


async def generate(topic: str, traffic: Traffic, clock: Clock) -> None:
    """Write events, each when it is due, and return once Kafka has all of them.

    Args:
        topic: Where to.
        traffic: The events; those that were due in the past are written as fast as Kafka takes them.
        clock: Tells when.

    Raises:
        KafkaError: They can't be written.
    """
    async with AIOKafkaProducer(**client_options(), enable_idempotence=True, linger_ms=5) as producer:
        pending: list[Awaitable[object]] = []
        for due, event in traffic.events():
            if due > clock.now() or len(pending) == _PENDING:
                await asyncio.gather(*pending)
                pending.clear()
                await clock.sleep_until(due)
            pending.append(await producer.send(topic, msgspec.json.encode(event), key=event.ad_id.encode()))
        await asyncio.gather(*pending)


def main() -> int:
    """Run the program, and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.ad_counts.generate", description="Writes simulated events of ads to Kafka."
    )
    parser.add_argument("--rate", type=float, default=1_000.0, help="events a second (default: 1000)")
    parser.add_argument("--seconds", type=float, default=30.0, help="for how long (default: 30)")
    parser.add_argument("--seed", type=int, default=1, help="chooses the events (default: 1)")
    parser.add_argument("--start", type=int, help="the time of the first in epoch milliseconds (default: now)")
    parser.add_argument("--fast", action="store_true", help="start SECONDS ago, so that nothing has to be waited for")
    parser.add_argument("--ads", metavar="TOPIC", default=ADS, help=f"the topic to write to (default: {ADS})")
    arguments = parser.parse_args()
    if arguments.rate <= 0 or arguments.seconds <= 0:
        parser.error("--rate and --seconds: expected more than zero")
    clock = SystemClock()
    start = clock.now() if arguments.start is None else arguments.start
    if arguments.fast:
        start -= round(1_000 * arguments.seconds)
    traffic = Traffic(arguments.seed, arguments.rate, arguments.seconds, start)

    async def write() -> None:
        await make_topics(arguments.ads)
        await generate(arguments.ads, traffic, clock)
        print(f"wrote {len(traffic):,} events to {arguments.ads}")

    return run(write())


if __name__ == "__main__":
    sys.exit(main())
