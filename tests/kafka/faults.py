"""What brokers and machines do to a job under load: ``python -m tests.kafka.faults``, or with ``--only NAME``.

Each fault is survived without a hand: the job is started once, and every result is there once and in order.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from streamproc.eventtime.clock import SystemClock
from tests.kafka.cluster import Cluster
from tests.kafka.load import Load, quiet_plain_clients
from tests.kafka.program import Program

__all__ = ["broker_gone", "brokers_killed", "brokers_stopped", "time_out", "two_at_once"]


async def brokers_killed(cluster: Cluster, directory: Path, *, times: int = 20) -> Load:
    """Kill one broker after the other by SIGKILL, and start each again."""
    async with Load.on(cluster.kafka, directory) as load, load.running(load.job) as process:
        for number in range(times):
            await load.goes_on()
            broker = cluster.brokers[number % len(cluster.brokers)]
            await asyncio.to_thread(broker.kill)
            await load.goes_on()
            await asyncio.to_thread(broker.start)
        await load.ends(process)
    return load


async def brokers_stopped(cluster: Cluster, directory: Path, *, times: int = 10) -> Load:
    """Stop the brokers as an operator does, and start them again."""
    async with Load.on(cluster.kafka, directory) as load, load.running(load.job) as process:
        for number in range(times):
            await load.goes_on()
            broker = cluster.brokers[number % len(cluster.brokers)]
            await asyncio.to_thread(broker.stop)
            await asyncio.to_thread(broker.start)
        await load.ends(process)
    return load


async def broker_gone(cluster: Cluster, directory: Path, *, seconds: float = 60) -> Load:
    """Leave the only broker away for a while."""
    clock = SystemClock()
    [broker] = cluster.brokers
    async with Load.on(cluster.kafka, directory) as load, load.running(load.job) as process:
        await load.goes_on()
        await asyncio.to_thread(broker.stop)
        await clock.sleep_until(clock.now() + round(seconds * 1000))
        await asyncio.to_thread(broker.start)
        await load.ends(process)
    return load


async def time_out(cluster: Cluster, directory: Path) -> Load:
    """Freeze the job in the midst of a transaction until brokers have aborted that, and let it go on: a zombie."""
    async with (
        Load.on(cluster.kafka, directory, transaction_timeout="2s") as load,
        load.running(load.variant(freeze_at="records_written")) as process,
    ):
        await process.is_frozen()
        await cluster.kafka.settle(load.job.topic_out)
        process.thaw()
        await load.goes_on()
        await load.ends(process)
    return load


async def two_at_once(cluster: Cluster, directory: Path) -> Load:
    """Start two instances of the same app and shard at once: one of them stops, and the other goes on."""
    async with Load.on(cluster.kafka, directory) as load:
        other = load.variant(directory.with_name(f"{directory.name}-other"))
        async with load.running(load.job) as first, load.running(other) as second:
            await load.until(lambda: not (first.is_alive and second.is_alive), "one of two instances ends")
            winner, job, loser = (first, load.job, second) if first.is_alive else (second, other, first)
            code = await loser.end()
            assert code == 1, f"the loser ended with {code}"
            await load.goes_on()
            await load.ends(winner, job)
    return load


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens.

    Attributes:
        run: Makes it happen to a cluster, with a directory for the job.
        brokers: How many brokers it needs.
    """

    run: Callable[[Cluster, Path], Coroutine[Any, Any, Load]]
    brokers: int = 1


FAULTS = {
    "brokers-killed": Fault(brokers_killed, brokers=3),
    "brokers-stopped": Fault(brokers_stopped),
    "broker-gone": Fault(broker_gone),
    "time-out": Fault(time_out),
    "two-at-once": Fault(two_at_once),
}


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(FAULTS)}; may be repeated.")] = None,
) -> None:
    """Do to a job under load what brokers and machines do."""
    quiet_plain_clients()
    clock = SystemClock()
    failed = False
    for name in only or FAULTS:
        fault = FAULTS[name]
        begin = clock.monotonic()
        with Cluster.running(Program.find(), fault.brokers) as cluster, tempfile.TemporaryDirectory() as directory:
            try:
                load = asyncio.run(fault.run(cluster, Path(directory) / "job"))
            except* AssertionError as group:
                failed = True
                print("\n".join(f"{name:<16} FAILED: {error}" for error in group.exceptions), flush=True)
            else:
                seconds = clock.monotonic() - begin
                print(
                    f"{name:<16} ok: {load.reader.total:,} results, all once and in order, {seconds:.0f} s", flush=True
                )
    sys.exit(failed)


if __name__ == "__main__":
    typer.run(main)
