"""What becomes of a record on which a user's function fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from math import inf, nan
from typing import Any

import pytest

from streamproc import (
    App,
    Asap,
    DeadLetterRecord,
    KeyedProcess,
    List,
    OperatorError,
    ProcessContext,
    Record,
    Tumbling,
    Value,
    count,
    dead_letter,
    mean_of,
    sum_of,
    variance_of,
)
from streamproc.codecs import json_decoder
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver, run


def invert(number: int) -> float:
    return 1 / number


async def run_to_end(app: App) -> Driver:
    driver = Driver(app)
    await driver.start()
    await driver.finish()
    return driver


def numbers(*values: int) -> MemorySource[int]:
    source = MemorySource([list(values)])
    source.close()
    return source


async def test_by_default_the_job_fails_and_says_all_about_the_record() -> None:
    app = App("errors", trigger=Asap())
    app.source(numbers(5, 0), name="numbers").map(lambda n: n, name="same").map(invert, name="invert").print()
    with pytest.raises(OperatorError) as caught:
        await run_to_end(app)
    message = str(caught.value)
    assert "operator 'invert' failed on a record: ZeroDivisionError: division by zero" in message
    assert "function: invert (" in message
    assert f"test_errors.py:{invert.__code__.co_firstlineno})" in message
    assert "position: numbers [0] at 1" in message
    assert "record:   0" in message
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_the_position_is_found_behind_operators_that_drop_and_add_rows() -> None:
    app = App("errors", trigger=Asap())
    (
        app.source(numbers(1, 2, 3, 4), name="numbers")
        .filter(lambda n: n % 2 == 0)
        .flat_map(lambda n: [n, n - 4])
        .union(app.source(numbers(7), name="more"))
        .map(invert)
        .print()
    )
    with pytest.raises(OperatorError, match=r"position: numbers \[0\] at 3"):
        await run_to_end(app)


async def test_skip_leaves_the_record_out_counts_and_logs_it(caplog: pytest.LogCaptureFixture) -> None:
    sink = MemorySink[float]()
    app = App("errors", trigger=Asap())
    app.source(numbers(1, 0, 2, 0)).filter(lambda n: n >= 0).map(invert, name="invert", on_error="skip").to(sink)
    with caplog.at_level(logging.WARNING, "streamproc"):
        driver = await run_to_end(app)
    assert sink.values == [1.0, 0.5]
    assert driver.metrics.operators["invert"].skipped == 2
    assert any(record.getMessage() == "skipped records that failed" for record in caplog.records)


async def test_dead_letters_have_the_record_the_error_the_operator_and_the_position() -> None:
    good, bad = MemorySink[float](), MemorySink[DeadLetterRecord]()
    app = App("errors", trigger=Asap(), on_error=dead_letter(bad))
    app.source(numbers(1, 0, 4), name="numbers").map(invert, name="invert").filter(lambda x: 1 / (x - 1) != 0).to(good)
    await run_to_end(app)
    assert good.values == [0.25]
    assert [(d.value, d.error, d.operator, d.position) for d in bad.values] == [
        (1.0, "ZeroDivisionError: float division by zero", "filter-1", "numbers [0] at 0"),
        (0, "ZeroDivisionError: division by zero", "invert", "numbers [0] at 1"),
    ]


class Click(Record):
    user: str


async def test_undecodable_input_is_the_same_case() -> None:
    bad = MemorySink[DeadLetterRecord]()
    good = MemorySink[Click]()
    source = MemorySource[Click]([[b'{"user": "ann"}', b'{"user": 7}', b'{"user": "bob"}']], decode=json_decoder(Click))
    source.close()
    app = App("errors", trigger=Asap())
    app.source(source, name="clicks", on_error=dead_letter(bad)).to(good)
    await run_to_end(app)
    assert good.values == [Click("ann"), Click("bob")]
    assert [(d.value, d.operator, d.position) for d in bad.values] == [
        (b'{"user": 7}', "clicks.decode", "clicks [0] at 1")
    ]


async def test_a_value_that_a_sink_cannot_encode_fails_before_the_commit() -> None:
    sink = MemorySink[object]()
    app = App("errors", trigger=Asap())
    app.source(numbers(1, 2), name="numbers").map(lambda n: object() if n == 2 else n).to(sink, name="results")
    driver = Driver(app)
    with pytest.raises(OperatorError, match="operator 'results' failed on a record: EncodeError"):
        await driver.start()
    assert sink.values == []
    assert driver.metrics.batches == 0


async def test_state_is_as_if_a_skipped_record_had_never_been() -> None:
    def total(key: str, number: int, before: float | None) -> tuple[float, float | None]:
        after = (before or 0.0) + 1 / number
        return after, after

    sink = MemorySink[tuple[str, float]]()
    app = App("errors", trigger=Asap())
    keyed = app.source(numbers(1, 2, 0, 4)).flat_map(lambda n: [n]).key_by(lambda n: "all")
    keyed.map_with_state(total, name="total", on_error="skip").to(sink)
    driver = await run_to_end(app)
    assert [value for _, value in sink.values] == [1.0, 1.5, 1.75]
    assert driver.metrics.reruns == 1
    assert driver.metrics.records == 4


async def test_a_bad_event_time_says_what_was_expected() -> None:
    app = App("errors", trigger=Asap())
    unfit: Any = str
    stream = app.source(MemorySource[str]([["yesterday"]])).event_time(unfit)
    stream.window(Tumbling("1s")).aggregate(count()).print()
    with pytest.raises(OperatorError, match="expected epoch milliseconds as an int, or a datetime with a time zone"):
        await run_to_end(app)


def failure(values: Any, build: Callable[[Any], Any]) -> str:
    with pytest.raises(OperatorError) as caught:
        run(values, build)
    return str(caught.value)


def user_of(click: Click) -> str:
    return click.user


async def is_known(click: Click) -> bool:
    return click.user != ""


@pytest.mark.parametrize(("operator", "fn"), [("event_time", user_of), ("map", user_of), ("filter", is_known)])
def test_a_function_that_expects_no_pair_is_told_that_the_stream_is_keyed(operator: str, fn: object) -> None:
    message = failure([Click("ann")], lambda clicks: getattr(clicks.key_by(user_of), operator)(fn))
    assert "record:   ('ann', Click(user='ann')), a pair of key and value, as the stream is keyed\n" in message


@pytest.mark.parametrize("operator", ["map_values", "flat_map_values"])
def test_a_function_of_values_is_not_told_of_pairs(operator: str) -> None:
    message = failure([0], lambda s: getattr(s.key_by(str), operator)(invert))
    assert "record:   0\n" in message


@pytest.mark.parametrize("aggregate", [sum_of, mean_of, variance_of])
@pytest.mark.parametrize("added", [[inf], [1.0, inf], [1, -inf], [1.0, nan]], ids=repr)
def test_a_number_that_can_not_be_added_is_told_apart(aggregate: Callable[[Any], Any], added: list[float]) -> None:
    message = failure(added, lambda s: s.window(Tumbling("1s")).aggregate(aggregate(float)))
    assert f"ValueError: {added[-1]} is no number that can be added: expected a finite one\n" in message
    assert "function: float" in message


class Sums(KeyedProcess[str, int, int]):
    total = Value(int, default=0)
    seen = List(int)

    def __init__(self, variable: str, method: str) -> None:
        self.variable, self.method = variable, method

    def process(self, context: ProcessContext[str], value: int) -> Iterable[int]:
        getattr(getattr(self, self.variable), self.method)(value)
        return ()


@pytest.mark.parametrize(
    ("variable", "method", "expected"),
    [
        (
            "total",
            "get",
            "total has no 'get': Value(…) only declares it; what the current key has is context.value(self.",
        ),
        (
            "total",
            "set",
            "total has no 'set': Value(…) only declares it; what the current key has is context.value(self.",
        ),
        (
            "seen",
            "append",
            "seen has no 'append': List(…) only declares it; what the current key has is context.list(se",
        ),
    ],
)
def test_a_state_variable_that_is_used_without_the_context_says_so(variable: str, method: str, expected: str) -> None:
    assert expected in failure([1], lambda s: s.key_by(str).process(Sums(variable, method)))


async def test_a_dead_letter_that_its_sink_cannot_write_is_delivered_as_text() -> None:
    bad = MemorySink[DeadLetterRecord]()
    app = App("errors", trigger=Asap(), on_error=dead_letter(bad))
    app.source(MemorySource([[range(3)]]), name="ranges").map(lambda r: r[7]).to(MemorySink[int]())
    async with Driver(app):
        pass
    assert [(record.value, record.error) for record in bad.values] == [
        ("range(0, 3)", "IndexError: range object index out of range")
    ]


async def test_a_predicate_that_fails_is_named() -> None:
    def second(number: int) -> bool:
        return invert(number) > 1

    app = App("errors", trigger=Asap())
    app.source(numbers(0)).branch(lambda n: n == 9, second)[0].print()
    with pytest.raises(OperatorError, match=r"function: .*second \("):
        await run_to_end(app)


@pytest.mark.parametrize("bad", [[b'{"user": "a"}\n{"user": "b"}', b""], [b'{"user":', b'"a"}\n{"user": "b"}']])
async def test_records_that_are_no_json_alone_are_none_together(bad: list[bytes]) -> None:
    source = MemorySource[Click]([bad], decode=json_decoder(Click))
    source.close()
    app = App("errors", trigger=Asap())
    app.source(source, name="clicks", on_error="skip").to(MemorySink[Click]())
    driver = await run_to_end(app)
    assert driver.metrics.operators["clicks.decode"].skipped == 2


async def test_a_function_that_stops_an_iteration_fails_on_its_record_only() -> None:
    sink = MemorySink[int]()
    app = App("errors", trigger=Asap(), on_error="skip")
    app.source(numbers(1, 2, 3)).event_time(lambda n: next(t for t in [n * 1_000] if n != 2)).to(sink)
    await run_to_end(app)
    assert sink.values == [1, 3]


async def test_the_initial_state_is_the_states_own() -> None:
    initial: dict[str, list[int]] = {"all": []}

    def collect_all(new: list[int], seen: list[int] | None) -> list[int] | None:
        assert seen is not None
        seen.extend(new)
        return seen

    sink = MemorySink[int]()
    app = App("errors", trigger=Asap())
    totals = app.source(numbers(1)).key_by(lambda n: "all").update_state_by_key(collect_all, initial=initial)
    totals.map(lambda pair: len(pair[1])).map(lambda n: 1 // (n - 1), on_error="skip").to(sink)
    driver = await run_to_end(app)
    assert initial == {"all": []}
    assert driver.state("update_state_by_key-1") == {"all": [1]}
