"""Kills a job from Kafka to Kafka at random times, while a plain consumer reads what it publishes.

``python -m tests.kafka.chaos --kills 2000 --seed 1``
"""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from streamproc.eventtime.clock import SystemClock
from tests.kafka.client import Kafka
from tests.kafka.cluster import Cluster
from tests.kafka.load import Load, quiet_plain_clients
from tests.kafka.program import Program

__all__ = ["kill"]

_LIFE = (0.0, 0.9)
"""How long the job lives before it is killed, in seconds: from before it has connected to some dozen batches."""


async def kill(kafka: Kafka, directory: Path, kills: int, seed: int) -> tuple[int, Counter[str]]:
    """Kill a job again and again, then let it come to its end.

    Returns:
        How many results it has given, and how often it was killed behind each step.

    Raises:
        AssertionError: A result is lost, doubled or out of order, or the job has ended by itself.
    """
    rng = random.Random(seed)
    clock = SystemClock()
    steps: Counter[str] = Counter()
    async with Load.on(kafka, directory) as load:
        for number in range(1, kills + 1):
            process = load.job.start()
            await clock.sleep_until(clock.now() + round(rng.uniform(*_LIFE) * 1000))
            assert process.is_alive, f"the job ended by itself before kill {number}"
            process.kill()
            steps[load.job.step] += 1
            assert not load.reader.wrong, load.reader.wrong
            if number % 100 == 0:
                print(f"  {number} kills, {load.reader.total:,} results read", flush=True)
        async with load.running(load.job) as process:
            await load.ends(process)
    return load.reader.total, steps


def main(
    kills: Annotated[int, typer.Option(min=1, help="How often to kill the job.")] = 2_000,
    seed: Annotated[int | None, typer.Option(help="Chooses the moments; any by default.")] = None,
) -> None:
    """Kill a job from Kafka to Kafka at random times."""
    quiet_plain_clients()
    clock = SystemClock()
    begin = clock.monotonic()
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    print(f"kafka: {kills} kills, seed {seed} ...", flush=True)
    with Cluster.running(Program.find()) as cluster, tempfile.TemporaryDirectory() as directory:
        try:
            results, steps = asyncio.run(kill(cluster.kafka, Path(directory), kills, seed))
        except* AssertionError as group:
            print("\n".join(f"  FAILED: {error}" for error in group.exceptions))
            sys.exit(1)
    print(f"  {kills} kills in {clock.monotonic() - begin:.0f} s; the last step of the job was")
    for step, times in steps.most_common():
        print(f"    {times:>5} {step}")
    print(f"  {results:,} results: none lost, none doubled, all in order")


if __name__ == "__main__":
    typer.run(main)
