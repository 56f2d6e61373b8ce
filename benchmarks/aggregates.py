"""What each aggregate costs a record in tumbling windows by key, besides reading, event time and keys."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from benchmarks.job import run_lists
from benchmarks.report import Report, middle
from streamproc import (
    Aggregate,
    Record,
    Stream,
    Tumbling,
    collect,
    count,
    distinct_count,
    first,
    histogram,
    max_of,
    mean_of,
    quantile,
    sum_of,
    top_k,
    variance_of,
)
from streamproc.connectors.callable import BatchInfo
from streamproc.windowing import several

__all__ = ["main", "measure"]

KEYS = 100
SECONDS = 30
RATE = 20_000
"""Records a second of event time; a second is a window, and a batch."""
ROUNDS = 3


class Reading(Record):
    """A record that has a key, numbers, a name and a time."""

    sensor: str
    whole: int
    value: float
    user: str
    at: int


def readings() -> list[list[Reading]]:
    """Return batches."""
    chance = random.Random(7)

    def reading(at: int, number: int) -> Reading:
        return Reading(
            f"sensor-{number % KEYS:03}",
            chance.randrange(1_000),
            chance.lognormvariate(3, 1),
            f"user-{chance.randrange(1_000_000)}",
            at * 1_000 + number * 1_000 // RATE,
        )

    return [[reading(at, number) for number in range(RATE)] for at in range(SECONDS)]


AGGREGATES: dict[str, Callable[[], Aggregate[Reading, object, object]]] = {
    "count": count,
    "sum of integers": lambda: sum_of(lambda reading: reading.whole),
    "sum of floats": lambda: sum_of(lambda reading: reading.value),
    "mean of floats": lambda: mean_of(lambda reading: reading.value),
    "variance of floats": lambda: variance_of(lambda reading: reading.value),
    "max of floats": lambda: max_of(lambda reading: reading.value),
    "first": first,
    "top 10": lambda: top_k(10, by=lambda reading: reading.value),
    "histogram, 10 edges": lambda: histogram([2.0**number for number in range(10)], lambda reading: reading.value),
    "quantile": lambda: quantile(0.95, lambda reading: reading.value),
    "distinct count, exact": lambda: distinct_count(lambda reading: reading.user),
    "distinct count, approximate": lambda: distinct_count(lambda reading: reading.user, approximate=True),
    "collect": collect,
    "several: count, mean, quantile": lambda: several(
        n=count(),
        mean=mean_of(lambda reading: reading.value),
        p95=quantile(0.95, lambda reading: reading.value),
    ),
}


def aggregated(aggregate: Callable[[], Aggregate[Reading, object, object]]) -> Callable[[Stream[Reading]], None]:
    """Return a pipeline that aggregates windows by sensor."""

    def build(stream: Stream[Reading]) -> None:
        keyed = stream.event_time(lambda reading: reading.at).key_by(lambda reading: reading.sensor)
        keyed.window(Tumbling("1s")).aggregate(aggregate()).foreach_batch(nothing)

    return build


def bare(stream: Stream[Reading]) -> None:
    """Build the pipeline without the windows."""
    keyed = stream.event_time(lambda reading: reading.at).key_by(lambda reading: reading.sensor)
    keyed.filter(lambda _: False).foreach_batch(nothing)


async def nothing(rows: Sequence[object], info: BatchInfo) -> None:
    """Take results, and do nothing with them."""


def measure() -> Report:
    """Measure all."""
    report = Report(
        "aggregates",
        f"{KEYS} keys, {RATE:,} records a batch and window, RocksDB commit synced each batch; processor time a record\n"
        f"above that of the same pipeline without windows, medians of {ROUNDS} rounds",
    )
    lists = readings()
    spent: dict[str, list[float]] = {name: [] for name in ["", *AGGREGATES]}
    for _ in range(ROUNDS):
        spent[""].append(run_lists(bare, lists).cpu)
        for name, aggregate in AGGREGATES.items():
            spent[name].append(run_lists(aggregated(aggregate), lists).cpu - spent[""][-1])
    for name, found in spent.items():
        time, note = middle([seconds / (RATE * SECONDS) * 1e9 for seconds in found])
        report.add(name or "all but the windows", time, "ns", note)
    return report


def main() -> None:
    """Measure and print."""
    print(measure())


if __name__ == "__main__":
    main()
