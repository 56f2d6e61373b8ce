"""Makes the topics that are missing: ``python -m examples.ad_counts.topics``."""

from __future__ import annotations

import argparse
import sys

from examples.ad_counts.kafka import ADS, COUNTS, make_topics, run

__all__ = ["main"]


def main() -> int:
    """Run the program, and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.ad_counts.topics", description="Makes the topics that are missing."
    )
    parser.add_argument("topics", nargs="*", default=[ADS, COUNTS], help=f"their names (default: {ADS} {COUNTS})")
    parser.add_argument("--replicas", type=int, default=1, help="on how many brokers they are (default: 1)")
    arguments = parser.parse_args()

    async def make() -> None:
        made = await make_topics(*arguments.topics, replicas=arguments.replicas)
        print(f"made: {', '.join(made) or 'nothing, all were there'}")

    return run(make())


if __name__ == "__main__":
    sys.exit(main())
