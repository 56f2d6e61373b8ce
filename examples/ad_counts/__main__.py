"""The job: ``python -m examples.ad_counts``. Where Kafka is, the environment says (``KAFKA_BOOTSTRAP_SERVERS`` …)."""

from __future__ import annotations

import argparse
import sys

from examples.ad_counts.kafka import ADS, COUNTS
from examples.ad_counts.pipeline import make_app
from streamproc import StreamprocError


def main() -> None:
    """Run the job until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m examples.ad_counts", description="Counts the views of ads.")
    parser.add_argument("--ads", metavar="TOPIC", default=ADS, help=f"the topic with the events (default: {ADS})")
    parser.add_argument(
        "--counts", metavar="TOPIC", default=COUNTS, help=f"the topic for the results (default: {COUNTS})"
    )
    arguments = parser.parse_args()
    try:
        app = make_app(arguments.ads, arguments.counts)
    except StreamprocError as error:
        sys.exit(f"failed: {error}")
    app.run()


if __name__ == "__main__":
    main()
