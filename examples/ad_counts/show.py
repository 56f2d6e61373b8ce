"""Prints the results as they come: ``python -m examples.ad_counts.show``."""

# aiokafka has no type information.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]

from examples.ad_counts.kafka import COUNTS, client_options, make_topics, run
from streamproc import WindowResult

__all__ = ["main", "show"]


async def show(topic: str, *, new: bool) -> None:
    """Print the results in a topic, and those that come, until cancelled.

    Results of a transaction that isn't committed, or was aborted, are left out: so each is printed once, whatever
    happens to the job.

    Args:
        topic: Where from.
        new: Whether to leave out what is there already.

    Raises:
        KafkaError: It can't be read.
    """
    decoder = msgspec.json.Decoder(WindowResult[int])
    async with AIOKafkaConsumer(
        topic,
        **client_options(),
        isolation_level="read_committed",
        auto_offset_reset="latest" if new else "earliest",
        enable_auto_commit=False,
    ) as consumer:
        message: Any
        async for message in consumer:
            result = decoder.decode(message.value)
            start = datetime.fromtimestamp(result.start // 1000, UTC)
            print(f"{start:%Y-%m-%dT%H:%M:%SZ}  {message.key.decode():<8}{result.value:>8}", flush=True)


def main() -> int:
    """Run the program, and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.ad_counts.show",
        description="Prints the results as they come: when a window began, the ad, its views.",
    )
    parser.add_argument("--new", action="store_true", help="leave out what is there already")
    parser.add_argument("--counts", metavar="TOPIC", default=COUNTS, help=f"the topic (default: {COUNTS})")
    arguments = parser.parse_args()

    async def follow() -> None:
        await make_topics(arguments.counts)
        await show(arguments.counts, new=arguments.new)

    return run(follow())


if __name__ == "__main__":
    sys.exit(main())
