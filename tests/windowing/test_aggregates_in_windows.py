"""All aggregates at once in windows of each kind on the real engine, against what they are by definition."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc import (
    App,
    AtWatermark,
    Count,
    Global,
    Interval,
    LookBack,
    OnUpdate,
    Session,
    Sliding,
    Stream,
    Tumbling,
    WindowResult,
    WindowResults,
    collect,
    dead_letter,
    distinct_count,
    max_of,
    mean_of,
    sum_of,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.errors import OperatorError
from streamproc.testing import Driver, run
from streamproc.windowing import WindowAssigner, several
from tests.windowing.definitions import PARTS, Item, Timed

ASSIGNERS: dict[str, WindowAssigner] = {
    "tumbling": Tumbling("10ms"),
    "sliding": Sliding("10ms", every="4ms"),
    "session": Session("4ms"),
    "look-back": LookBack("6ms"),
    "global": Global(),
    "count": Count(4, every=2),
}
ITEMS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(0, 40),
        st.floats(-1e9, 1e9, allow_subnormal=False) | st.integers(-3, 3).map(float),
        st.integers(-9, 9),
        st.text("abc", max_size=2),
    ),
    max_size=25,
)
Keyed = tuple[str, Timed]


async def results_of(
    pieces: list[list[Keyed]], assigner: WindowAssigner, restart_after: int | None = None, **options: Any
) -> tuple[list[tuple[str, WindowResult[Any]]], list[tuple[str, WindowResult[list[Timed]]]]]:
    """Return what windows give of all aggregates, and what is in them."""
    source, sink, collected = MemorySource[Keyed](), MemorySink[Any](), MemorySink[Any]()
    app = App("aggregates", trigger=Interval("1s"))
    # Nothing is late, whatever the pieces.
    timed = app.source(source).event_time(lambda keyed: keyed[1].time, out_of_orderness="50ms", idle_after=None)
    keyed = timed.key_by(lambda keyed: keyed[0]).map_values(lambda keyed: keyed[1])
    everything = several(**{name: case.aggregate for name, case in PARTS.items() if name != "reduce"})
    keyed.map_values(lambda timed: timed.item).window(assigner, **options).aggregate(everything).to(sink)
    keyed.window(assigner, **options).aggregate(collect()).to(collected)
    driver = Driver(app)
    await driver.start()
    for number, piece in enumerate(pieces):
        if piece:
            source.send(piece)
        await driver.tick()
        if number == restart_after:
            await driver.stop()
            await driver.restart()
    source.close()
    await driver.tick()
    await driver.finish()
    return sink.values, collected.values


def cut(rows: list[tuple[str, int, float, int, str]], borders: set[int]) -> list[list[Keyed]]:
    pieces: list[list[Keyed]] = [[]]
    for at, (key, time, number, integer, word) in enumerate(rows):
        if at in borders:
            pieces.append([])
        pieces[-1].append((key, Timed(time, Item(number, integer, word, at))))
    return pieces


@pytest.mark.parametrize("kind", ASSIGNERS)
@settings(max_examples=60, deadline=None)
@given(rows=ITEMS, borders=st.sets(st.integers(0, 25)), restart_after=st.integers(0, 8), update=st.booleans())
def test_windows_give_what_aggregates_are_by_definition_of_what_is_in_them(
    kind: str, rows: list[tuple[str, int, float, int, str]], borders: set[int], restart_after: int, update: bool
) -> None:
    options: Any = {} if kind == "count" else {"trigger": OnUpdate() if update else AtWatermark()}
    found, collected = asyncio.run(results_of(cut(rows, borders), ASSIGNERS[kind], restart_after, **options))
    assert [(key, result.start, result.end) for key, result in found] == [
        (key, result.start, result.end) for key, result in collected
    ]
    for (_, result), (_, inside) in zip(found, collected, strict=True):
        came = sorted(inside.value, key=lambda timed: timed.item.at)
        for name, case in PARTS.items():
            if name == "collect":
                assert sorted(result.value.collect) == sorted(timed.item for timed in came)
            elif name != "reduce":
                assert case.is_near(getattr(result.value, name), case.of(came)), name


@pytest.mark.parametrize("kind", [kind for kind in ASSIGNERS if kind not in {"count", "look-back"}])
@settings(max_examples=40, deadline=None)
@given(rows=ITEMS, borders=st.sets(st.integers(0, 25)))
def test_how_the_input_is_cut_into_batches_changes_no_digit(
    kind: str, rows: list[tuple[str, int, float, int, str]], borders: set[int]
) -> None:
    found, _ = asyncio.run(results_of(cut(rows, borders), ASSIGNERS[kind]))
    whole, _ = asyncio.run(results_of(cut(rows, set()), ASSIGNERS[kind]))
    assert [without_order(each) for each in sorted(found, key=place)] == [
        without_order(each) for each in sorted(whole, key=place)
    ]


def place(keyed: tuple[str, WindowResult[Any]]) -> Any:
    return keyed[0], keyed[1].start, keyed[1].end


def without_order(keyed: tuple[str, WindowResult[Any]]) -> Any:
    """Return a result as text, without what says in which order records came."""
    value = keyed[1].value
    names = PARTS.keys() - {"collect", "reduce", "distinct"}
    return place(keyed), sorted(value.distinct), {name: repr(getattr(value, name)) for name in names}


@pytest.mark.parametrize("assigner", [Tumbling("1s"), Count(3), Session("1s"), Sliding("2s", every="1s")], ids=str)
async def test_a_record_that_fails_is_in_none_of_several_aggregates(assigner: WindowAssigner) -> None:
    def inverse_of(number: int) -> float:
        return 1 / number

    source, sink, failed = MemorySource[int](), MemorySink[Any](), MemorySink[Any]()
    app = App("several", trigger=Interval("1s"), on_error=dead_letter(failed))
    windows = app.source(source).window(assigner)
    windows.aggregate(all=collect(), different=distinct_count(), inverses=sum_of(inverse_of)).to(sink)
    driver = Driver(app)
    await driver.start()
    source.send([4, 0, 2, 0, 4])
    await driver.tick()
    source.close()
    await driver.tick(3)
    await driver.finish()
    value = sink.values[0].value
    assert (value.all, value.different, value.inverses) == ([4, 2, 4], 2, 1.0)
    assert [record.value for record in failed.values] == [0, 0]


@pytest.mark.parametrize("together", [False, True])
def test_an_error_names_the_function_of_the_aggregate_that_failed(together: bool) -> None:
    def inverse_of(number: int) -> float:
        return 1 / number

    def aggregated(numbers: Stream[int]) -> WindowResults[int, Any]:
        windows = numbers.window(Tumbling("1s"))
        if together:
            return windows.aggregate(most=max_of(lambda number: number), mean=mean_of(inverse_of))
        return windows.aggregate(mean_of(inverse_of))

    with pytest.raises(OperatorError, match=r"function: .*inverse_of \(.*test_aggregates_in_windows"):
        run([1, 0], aggregated)
