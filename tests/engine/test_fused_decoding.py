"""Records are decoded a part of the batch at a time, in one pass with the steps behind: nothing else may tell."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc import App, Asap, DeadLetterRecord, OperatorError, Stream, Tumbling, count, dead_letter
from streamproc.codecs import json_decoder
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.engine.operators.fused import PART
from streamproc.testing import Driver

COUNT = 2 * PART + 500
"""So many records that a batch has several parts, and a last one that isn't full."""
BAD = PART + 7
"""In the second part."""


def lines(bad: int | None = None) -> list[bytes]:
    return [b"{" if number == bad else b"%d" % number for number in range(COUNT)]


def source_of(data: list[bytes], times: list[int] | None = None) -> MemorySource[int]:
    source = MemorySource[int](decode=json_decoder(int))
    source.send(data, timestamps=times)
    source.close()
    return source


async def run(app: App) -> None:
    driver = Driver(app)
    await driver.start()
    await driver.finish()


def even(number: int) -> bool:
    return number % 2 == 0


async def test_all_records_come_out_in_order() -> None:
    sink = MemorySink[tuple[int, int]]()
    app = App("parts", trigger=Asap())
    numbers = app.source(source_of(lines()))
    numbers.filter(even).key_by(lambda n: n % 10).map_values(lambda n: -n).to(sink)
    assert "fused: source-1.decode > filter-1 > key_by-1 > map_values-1" in app.plan().explain()

    await run(app)

    assert list(sink.batches.values()) == [[(n % 10, -n) for n in range(0, COUNT, 2)]]


async def test_timestamps_stay_with_their_records() -> None:
    sink = MemorySink[Any]()
    app = App("parts", trigger=Asap())
    numbers = app.source(source_of(lines(), times=[number // 500 * 1_000 for number in range(COUNT)]))
    numbers.filter(even).event_time().window(Tumbling("1s")).aggregate(count()).to(sink)

    await run(app)

    assert [(window.start, window.value) for window in sink.values] == [
        (second * 1_000, 250) for second in range(COUNT // 500)
    ]


@pytest.mark.parametrize("drops", [False, True], ids=["one-to-one", "behind a filter"])
async def test_a_record_on_which_a_step_fails_is_told_by_its_position(drops: bool) -> None:
    def fail(number: int) -> int:
        return 1 // (number - BAD + drops)

    app = App("parts", trigger=Asap())
    numbers: Stream[int] = app.source(source_of(lines()))
    (numbers.filter(even) if drops else numbers).map(fail, name="fail").to(MemorySink())

    with pytest.raises(OperatorError, match=rf"source-1 \[0\] at {BAD - drops}\n"):
        await run(app)


async def test_a_record_that_fails_in_a_later_operator_is_told_by_its_position() -> None:
    app = App("parts", trigger=Asap())
    keyed = app.source(source_of(lines())).key_by(lambda n: n % 3)
    keyed.reduce_by_key(lambda a, b: a + b // (b - BAD), name="sum").to(MemorySink())

    with pytest.raises(OperatorError, match=rf"operator 'sum'(.|\n)*source-1 \[0\] at {BAD}\n"):
        await run(app)


async def test_a_record_that_cannot_be_decoded_leaves_the_others() -> None:
    sink, letters = MemorySink[int](), MemorySink[DeadLetterRecord]()
    app = App("parts", trigger=Asap())
    numbers = app.source(source_of(lines(bad=BAD)), on_error=dead_letter(letters))
    numbers.map(lambda n: n + 1).to(sink)

    await run(app)

    assert sink.values == [n + 1 for n in range(COUNT) if n != BAD]
    (letter,) = letters.values
    assert (letter.value, letter.operator, letter.position) == (b"{", "source-1.decode", f"source-1 [0] at {BAD}")


async def test_positions_are_right_behind_records_that_could_not_be_decoded() -> None:
    app = App("parts", trigger=Asap())
    numbers = app.source(source_of(lines(bad=BAD)), on_error="skip")
    numbers.map(lambda n: 1 // (n - BAD - 2), on_error="fail").to(MemorySink())

    with pytest.raises(OperatorError, match=rf"source-1 \[0\] at {BAD + 2}\n"):
        await run(app)
