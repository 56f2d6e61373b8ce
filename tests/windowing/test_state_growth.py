"""What windows keep grows with their keys and slices, never with the records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from streamproc import App, Asap, KeyedStream, Session, Sliding, Tumbling, count, max_of
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.state.memory import MemoryStore
from streamproc.state.store import Family
from streamproc.testing import Driver

Build = Callable[[KeyedStream[int, int]], Any]

KEYS = 5
SECONDS = 100
"""Ten seconds are a slice below, and a thousand seconds a window: what comes stays open."""


def entries(build: Build, records_a_second: int) -> int:
    """Return how many entries the state has while all windows are open."""
    source = MemorySource[tuple[int, int]]()
    app = App("growth", trigger=Asap())
    records = app.source(source).event_time(lambda record: record[1])
    build(records.key_by(lambda record: record[0]).map_values(lambda record: record[1])).to(MemorySink[Any]())
    driver = Driver(app)

    async def drive() -> None:
        await driver.start()
        for second in range(SECONDS):
            source.send((number % KEYS, second * 1_000 + number) for number in range(records_a_second))
            await driver.settle()
        await driver.stop()

    asyncio.run(drive())
    driver.disk.crash()
    store = MemoryStore.open(driver.disk)
    try:
        return sum(1 for _ in store.scan(Family.STATE))
    finally:
        store.close()


def tumbling(keyed: KeyedStream[int, int]) -> Any:
    return keyed.window(Tumbling("1000s")).aggregate(count())


def sliding_with_an_inverse(keyed: KeyedStream[int, int]) -> Any:
    return keyed.window(Sliding("1000s", every="10s")).aggregate(count())


def sliding_with_two_stacks(keyed: KeyedStream[int, int]) -> Any:
    return keyed.window(Sliding("1000s", every="10s")).aggregate(max_of(itself))


def sessions(keyed: KeyedStream[int, int]) -> Any:
    return keyed.window(Session("60s")).aggregate(count())


def itself(time: int) -> int:
    return time


@pytest.mark.parametrize(
    ("build", "at_most"),
    [
        (tumbling, KEYS),
        (sliding_with_an_inverse, KEYS * (SECONDS // 10 + 1)),
        (sliding_with_two_stacks, KEYS * (SECONDS // 10 + 2)),
        (sessions, 2 * KEYS),
    ],
)
def test_ten_times_the_records_take_no_more_room(build: Build, at_most: int) -> None:
    few, many = entries(build, 10), entries(build, 100)
    assert few == many
    # A few entries say how far time has come.
    assert many <= at_most + SECONDS // 10 + 5
