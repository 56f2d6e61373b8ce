"""Keyed state and windows on RocksDB: records a second with few and with many keys, and where the time goes."""

from __future__ import annotations

import random
from collections.abc import Callable

from benchmarks.job import Spent, run_lists
from benchmarks.report import Report, middle
from streamproc import Record, Sliding, Stream, Tumbling, count
from streamproc.connectors.memory import MemorySink

__all__ = ["main", "measure"]

BATCHES = 8
RECORDS = 25_000
"""Records a batch."""
ROUNDS = 3
KEYS = (1_000, 100_000)


class Click(Record):
    """A record that has a key and a time."""

    user: str
    at: int


def make_lists(keys: int) -> list[list[Click]]:
    """Return batches of clicks, ten seconds of event time each."""
    chance = random.Random(7)
    users = [f"user-{number:08}" for number in range(keys)]
    return [
        [Click(chance.choice(users), 10_000 * batch + number * 10_000 // RECORDS) for number in range(RECORDS)]
        for batch in range(BATCHES)
    ]


def totals(clicks: Stream[Click]) -> None:
    """Count the clicks of each user since ever."""

    def add(new: list[Click], total: int | None) -> int:
        return (total or 0) + len(new)

    clicks.key_by(lambda click: click.user).update_state_by_key(add, name="operator").to(MemorySink())


def tumbling(clicks: Stream[Click]) -> None:
    """Count the clicks of each user in 20 seconds: a window closes every second batch."""
    by_user = clicks.event_time(lambda click: click.at).key_by(lambda click: click.user)
    by_user.window(Tumbling("20s")).aggregate(count(), name="operator").to(MemorySink())


def sliding(clicks: Stream[Click]) -> None:
    """Count the clicks of each user in 20 seconds, every 5 seconds: two windows close a batch."""
    by_user = clicks.event_time(lambda click: click.at).key_by(lambda click: click.user)
    by_user.window(Sliding("20s", "5s")).aggregate(count(), name="operator").to(MemorySink())


PIPELINES: dict[str, Callable[[Stream[Click]], None]] = {
    "update_state_by_key": totals,
    "tumbling window count": tumbling,
    "sliding window count": sliding,
}


def measure() -> Report:
    """Measure all pipelines with few and many keys."""
    report = Report(
        "state",
        f"{BATCHES} batches of {RECORDS:,} typed records, RocksDB commit synced each batch; medians of {ROUNDS} rounds",
    )
    runs: dict[tuple[str, int], list[Spent]] = {}
    inputs = {keys: make_lists(keys) for keys in KEYS}
    for _ in range(ROUNDS):
        for name, build in PIPELINES.items():
            for keys, lists in inputs.items():
                runs.setdefault((name, keys), []).append(run_lists(build, lists))
    for (name, keys), rounds in runs.items():
        rate, note = middle([BATCHES * RECORDS / spent.wall for spent in rounds])
        report.add(f"{name}, {keys:,} keys", rate, "records/s", note)
        for part, seconds in _parts(rounds).items():
            report.add(f"    {part}", seconds * 1e9 / (BATCHES * RECORDS), "ns/record")
    return report


def _parts(rounds: list[Spent]) -> dict[str, float]:
    """Return the seconds that each part of the engine took, in the middle round."""
    spent = sorted(rounds, key=lambda spent: spent.wall)[len(rounds) // 2]
    seconds = {name: counts.seconds for name, counts in spent.metrics.operators.items()}
    return {
        "the operator": seconds.pop("operator"),
        "the encoding for the sink": seconds.pop("sink-1"),
        "all other operators": sum(seconds.values()),
        "the commit, with encoding of state": sum(batch.commit for batch in spent.batches),
    }


def main() -> None:
    """Measure and print."""
    print(measure())


if __name__ == "__main__":
    main()
