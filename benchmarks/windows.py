"""Windows on event time: what sliding costs against tumbling."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.job import Spent, run_lists
from benchmarks.report import Report, middle
from streamproc import Aggregate, Record, Sliding, Stream, Tumbling, sum_of
from streamproc.connectors.callable import BatchInfo
from streamproc.windowing import WindowAssigner

__all__ = ["Reading", "main", "measure", "windowed"]

KEYS = 100
RATE = 10_000
"""Records a second of event time."""
SECONDS = 40
"""Of event time that are measured, a batch each; before them comes an hour with one record a key and second."""
ROUNDS = 3


class Reading(Record):
    """A record that has a key, a number and a time."""

    sensor: str
    value: int
    at: int


def hour_and_more() -> list[list[Reading]]:
    """Return batches: an hour of little, and then so many seconds of much."""
    chance = random.Random(7)
    sensors = [f"sensor-{number:03}" for number in range(KEYS)]

    def second(at: int, records: int) -> list[Reading]:
        return [
            Reading(sensors[number % KEYS], chance.randrange(1_000), at * 1_000 + number * 1_000 // records)
            for number in range(records)
        ]

    sparse = [
        [reading for at in range(start, start + 100) for reading in second(at, KEYS)] for start in range(0, 3_600, 100)
    ]
    return [*sparse, *(second(at, RATE) for at in range(3_600, 3_600 + SECONDS))]


def windowed(
    assigner: WindowAssigner, aggregate: Callable[[], Aggregate[Reading, Any, int]]
) -> Callable[[Stream[Reading]], None]:
    """Return a pipeline that aggregates windows by sensor."""

    def build(readings: Stream[Reading]) -> None:
        keyed = readings.event_time(lambda reading: reading.at).key_by(lambda reading: reading.sensor)
        keyed.window(assigner).aggregate(aggregate(), name="operator").foreach_batch(nothing)

    return build


async def nothing(rows: Sequence[object], info: BatchInfo) -> None:
    """Take results, and do nothing with them."""


def total() -> Aggregate[Reading, int, int]:
    """Add up the values: an aggregate with an inverse."""
    return sum_of(lambda reading: reading.value)


def largest() -> Aggregate[Reading, int, int]:
    """Keep the largest value: an aggregate without an inverse."""
    return Aggregate(
        "largest",
        create=lambda reading: reading.value,
        add=lambda most, reading: max(most, reading.value),
        merge=max,
        copy=lambda most: most,
    )


def measured(spent: Spent) -> float:
    """Return how many records a second were processed in the batches that count."""
    return SECONDS * RATE / sum(batch.total for batch in list(spent.batches)[-SECONDS:])


def measure_sliding(report: Report) -> None:
    """Measure sliding windows of an hour, a second apart, against tumbling ones of a second."""
    lists = hour_and_more()
    pipelines = {
        "tumbling 1s, sum": windowed(Tumbling("1s"), total),
        "sliding 1h every 1s, sum (inverse)": windowed(Sliding("1h", every="1s"), total),
        "tumbling 1s, largest": windowed(Tumbling("1s"), largest),
        "sliding 1h every 1s, largest (two stacks)": windowed(Sliding("1h", every="1s"), largest),
    }
    rates: dict[str, list[float]] = {name: [] for name in pipelines}
    for _ in range(ROUNDS):
        for name, build in pipelines.items():
            rates[name].append(measured(run_lists(build, lists, close=False)))
    for name, found in rates.items():
        report.add(name, *_with_unit(found))
    for what in ("sum", "largest"):
        tumbling, sliding = (next(n for n in pipelines if n.startswith(kind) and what in n) for kind in ("tum", "sli"))
        ratio, note = middle([s / t for s, t in zip(rates[sliding], rates[tumbling], strict=True)])
        report.add(f"    sliding / tumbling, {what}", ratio, "", note)


def _with_unit(rates: list[float]) -> tuple[float, str, str]:
    rate, note = middle(rates)
    return rate, "records/s", note


def measure() -> Report:
    """Measure all."""
    report = Report(
        "windows",
        f"{KEYS} keys, {RATE:,} records a second of event time, a batch a second, RocksDB commit synced each batch;\n"
        f"medians of {ROUNDS} rounds",
    )
    measure_sliding(report)
    return report


def main() -> None:
    """Measure and print."""
    print(measure())


if __name__ == "__main__":
    main()
