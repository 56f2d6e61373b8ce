"""Event-time windows on the real engine against windows by definition, on random times, bounds and restarts."""

from __future__ import annotations

import asyncio
import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc import App, Asap, KeyedProcess, ProcessContext, Sliding, Tumbling, WindowResult, count
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver

Click = tuple[str, int]
"""A key and a time."""

BATCHES = st.lists(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60)), min_size=1, max_size=5), min_size=1, max_size=8
)


class WithTime(KeyedProcess[str, int, tuple[int, int]]):
    """Gives each value with the timestamp that it has."""

    def process(self, context: ProcessContext[str], value: int) -> Iterable[tuple[int, int]]:
        yield context.timestamp, value


class ByDefinition:
    """What a record counts for: each window that holds it and ends behind the watermark that it finds."""

    def __init__(self, size: int, slide: int, offset: int) -> None:
        self.size, self.slide, self.offset = size, slide, offset
        self.totals: Counter[tuple[int, str]] = Counter()
        self.late = 0

    def add(self, batches: Sequence[Sequence[Click]], bound: int) -> None:
        watermark = -1_000_000
        for batch in batches:
            for key, time in batch:
                windows = self.windows(time)
                on_time = [end for end in windows if end > watermark]
                self.late += bool(windows) and not on_time
                for end in on_time:
                    self.totals[end, key] += 1
            watermark = max(watermark, max(time for _, time in batch) - bound)

    def windows(self, time: int) -> list[int]:
        """Return the ends of the windows that hold a time."""
        return [
            end for end in range(time + 1, time + self.size + 1) if (end - self.size - self.offset) % self.slide == 0
        ]


async def drive(
    app: App, source: MemorySource[Click], batches: Sequence[list[Click]], restart_after: int
) -> Counter[str]:
    """Run all batches, with a restart after some, and return how many records were late, by operator."""
    late: Counter[str] = Counter()
    driver = Driver(app)

    def add_late() -> None:
        late.update({name: counts.late for name, counts in driver.metrics.operators.items() if counts.late})

    await driver.start()
    for number, batch in enumerate(batches, start=1):
        source.send(batch)
        await driver.settle()
        if number == restart_after:
            add_late()
            await driver.stop()
            await driver.restart()
    source.close()
    await driver.finish()
    add_late()
    return late


@settings(max_examples=250, deadline=None)
@given(
    batches=BATCHES,
    size=st.integers(1, 12),
    slide=st.integers(1, 12),
    bound=st.sampled_from([0, 3, 10, 40]),
    restart_after=st.integers(0, 8),
)
def test_windows_hold_what_came_in_time_and_the_rest_is_counted_as_late(
    batches: list[list[Click]], size: int, slide: int, bound: int, restart_after: int
) -> None:
    # The windows of an assigner leave no gaps; those of a length and a slide may.
    every, slide = slide, min(size, slide)
    source = MemorySource[Click]()
    results = MemorySink[tuple[str, WindowResult[int]]]()
    rolling = MemorySink[tuple[str, tuple[int, int]]]()
    app = App("events", trigger=Asap())
    assigner = Tumbling(f"{size}ms") if size == slide else Sliding(f"{size}ms", every=f"{slide}ms")
    keyed = (
        app.source(source)
        .event_time(lambda click: click[1], out_of_orderness=f"{bound}ms")
        .key_by(lambda click: click[0])
        .map_values(lambda _click: 1)
    )
    keyed.window(assigner).aggregate(count(), name="sliced").to(results)
    (
        keyed.reduce_by_key_and_window(operator.add, f"{size}ms", f"{every}ms", inverse=operator.sub, name="rolling")
        .process(WithTime())
        .to(rolling)
    )
    late = asyncio.run(drive(app, source, batches, restart_after))

    sliced_model = ByDefinition(size, slide, 0)
    sliced_model.add(batches, bound)
    assert {(result.end, key): result.value for key, result in results.values} == dict(sliced_model.totals)
    assert len(results.values) == len(sliced_model.totals), "a window came out twice"
    assert all(result.end - result.start == size for _, result in results.values)
    assert [result.end for _, result in results.values] == sorted(result.end for _, result in results.values)
    assert late["sliced"] == sliced_model.late

    rolling_model = ByDefinition(size, every, -size % every)
    rolling_model.add(batches, bound)
    rolled = {(timestamp + 1, key): total for key, (timestamp, total) in rolling.values}
    assert {place: total for place, total in rolled.items() if total} == dict(rolling_model.totals)
    assert len(rolled) == len(rolling.values), "a window came out twice"
    assert late["rolling"] == rolling_model.late


@settings(max_examples=50, deadline=None)
@given(batches=BATCHES, restart_after=st.integers(0, 8), data=st.data())
def test_windows_of_windows_add_up(batches: list[list[Click]], restart_after: int, data: st.DataObject) -> None:
    bound = data.draw(st.sampled_from([0, 10]))
    source, inner, outer = MemorySource[Click](), MemorySink[Any](), MemorySink[Any]()
    app = App("events", trigger=Asap())
    counts = (
        app.source(source)
        .event_time(lambda click: click[1], out_of_orderness=f"{bound}ms")
        .window(Tumbling("5ms"))
        .aggregate(count())
    )
    counts.to(inner)
    counts.map(lambda result: result.value).window(Tumbling("20ms")).reduce(operator.add).to(outer)
    late = asyncio.run(drive(app, source, batches, restart_after))
    expected: Counter[int] = Counter()
    for result in inner.values:
        expected[result.start - result.start % 20] += result.value
    assert {result.start: result.value for result in outer.values} == dict(expected)
    assert late.keys() <= {"window-1"}, "a result of a window was late for the next one"
