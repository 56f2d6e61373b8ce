"""A record whose key can't be a key is a failed record: one bad record does not stop a job that skips such ones."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pytest

from streamproc import (
    AfterCount,
    App,
    Asap,
    Count,
    DeadLetterRecord,
    Global,
    Interval,
    KeyedProcess,
    KeyedStream,
    LookBack,
    OperatorError,
    ProcessContext,
    Session,
    Sliding,
    Tumbling,
    Value,
    WindowResult,
    count,
    dead_letter,
    max_of,
    sum_of,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver

Keyed = KeyedStream[Any, Any]


class Counts(KeyedProcess[Any, Any, int]):
    seen = Value(int, default=0)

    def process(self, context: ProcessContext[Any], value: Any) -> Iterable[int]:
        seen = context.value(self.seen)
        seen.set(seen.get() + 1)
        yield seen.get()


class Waits(KeyedProcess[Any, Any, int]):
    def process(self, context: ProcessContext[Any], value: Any) -> Iterable[int]:
        context.set_timer(context.time)
        return ()

    def on_timer(self, context: ProcessContext[Any], timer: object) -> Iterable[int]:
        yield 1


def result_value(result: WindowResult[int]) -> int:
    return result.value


def windowed(assigner: Any, **options: Any) -> Callable[[Any], Keyed]:
    def build(stream: Any) -> Keyed:
        counted: Keyed = stream.window(assigner, **options).aggregate(count(), name="op").map_values(result_value)
        return counted

    return build


OPERATORS: dict[str, Callable[[Keyed], Keyed]] = {
    "update_state_by_key": lambda s: s.update_state_by_key(lambda new, n: (n or 0) + len(new), name="op"),
    "map_with_state": lambda s: s.map_with_state(lambda _key, _value, n: ((n or 0) + 1, (n or 0) + 1), name="op"),
    "process": lambda s: s.process(Counts(), name="op"),
    "timers": lambda s: s.process(Waits(), name="op"),
    "deduplicate": lambda s: s.deduplicate(by=lambda pair: pair[0], within="1s", name="op").map_values(
        lambda _value: 1
    ),
    "rate_limit": lambda s: s.rate_limit(1, per="1s", name="op").map_values(lambda _value: 1),
    "window": windowed(Tumbling("1s")),
    "triggered window": windowed(Tumbling("1s"), trigger=AfterCount(1)),
    "session": windowed(Session("1s")),
    "session with a maximum": windowed(Session("1s", at_most="5s")),
    "look-back window": windowed(LookBack("1s")),
    "count window": windowed(Count(1)),
    "global window": windowed(Global(), trigger=AfterCount(1)),
    "rolling": lambda s: s.map_values(lambda _value: 1).reduce_by_key_and_window(
        operator.add, "1s", "1s", inverse=operator.sub, name="op"
    ),
    "running": lambda s: s.running(count(), name="op"),
    "batch": lambda s: s.batch(1, name="op").map_values(len),
    "cogroup": lambda s: s.cogroup(s, name="op").map_values(lambda sides: len(sides[0])),
    "reduce_by_key": lambda s: s.map_values(lambda _value: 1).reduce_by_key(operator.add, name="op"),
}
WITHOUT_STATE = ("cogroup", "reduce_by_key")
NO_LIST: Any = ["no", "list"]


async def outcome(name: str, policy: Any, bad: Any = None, good: Any = "good") -> tuple[list[Any], Driver]:
    if bad is None:
        bad = NO_LIST if name in WITHOUT_STATE else float("nan")
    source, sink = MemorySource[Any]([[good, bad]]), MemorySink[Any]()
    source.close()
    app = App("keys", trigger=Asap(), on_error=policy)
    OPERATORS[name](app.source(source).key_by(lambda key: key)).to(sink)
    driver = Driver(app)
    await driver.start()
    await driver.finish()
    return sink.values, driver


@pytest.mark.parametrize("name", OPERATORS)
async def test_by_default_it_fails_the_job_and_the_error_names_the_operator(name: str) -> None:
    with pytest.raises(OperatorError, match=r"'op' failed on a record: EncodeError: (NaN|a key is of type list)"):
        await outcome(name, "fail")


@pytest.mark.parametrize("name", [name for name in OPERATORS if name != "deduplicate"])
@pytest.mark.parametrize("bad", [NO_LIST, (1, ["no", "list"])], ids=repr)
async def test_the_error_blames_the_key_and_no_function_and_says_what_to_do(name: str, bad: Any) -> None:
    with pytest.raises(OperatorError) as failed:
        await outcome(name, "fail", bad)
    message = str(failed.value)
    assert "EncodeError: a key is of type list: ['no', 'list']; expected None, bool, int" in message
    assert "make it a tuple\n  function: none: it is the record's key, which key_by() has given it" in message


async def test_what_by_returns_is_blamed_on_the_function() -> None:
    with pytest.raises(OperatorError, match=r"'op' failed on a record: EncodeError: NaN(.|\n)*function: .*<lambda>"):
        await outcome("deduplicate", "fail")


@pytest.mark.parametrize("name", OPERATORS)
async def test_it_can_be_skipped(name: str) -> None:
    values, driver = await outcome(name, "skip")
    assert values == [("good", 1)]
    assert driver.metrics.operators["op"].skipped >= 1


@pytest.mark.parametrize("name", OPERATORS)
async def test_it_can_be_delivered_to_dead_letters(name: str) -> None:
    letters = MemorySink[DeadLetterRecord]()
    values, _ = await outcome(name, dead_letter(letters))
    assert values == [("good", 1)]
    assert {letter.operator for letter in letters.values} == {"op"}


@pytest.mark.parametrize("bad", [float("nan"), NO_LIST], ids=repr)
@pytest.mark.parametrize("name", [name for name in OPERATORS if name not in WITHOUT_STATE])
async def test_the_record_fails_once_and_its_position_is_told(name: str, bad: Any) -> None:
    letters = MemorySink[DeadLetterRecord]()
    values, driver = await outcome(name, dead_letter(letters), bad)
    assert values == [("good", 1)]
    assert [letter.position for letter in letters.values] == ["source-1 [0] at 1"]
    assert driver.metrics.operators["op"].late == 0


COLLECTING = [
    name for name in OPERATORS if name not in (*WITHOUT_STATE, "process", "timers", "deduplicate", "rate_limit")
]


@pytest.mark.parametrize("equal", [1.0, True, Decimal(1)], ids=repr)
@pytest.mark.parametrize("name", COLLECTING)
async def test_where_an_operator_collects_records_by_key_one_whose_key_equals_that_of_another_type_fails(
    name: str, equal: Any
) -> None:
    values, driver = await outcome(name, "skip", equal, good=1)
    assert [(repr(key), value) for key, value in values] == [("1", 1)]
    assert driver.metrics.operators["op"].skipped == 1
    with pytest.raises(
        OperatorError, match=r"(the key (1.0|True) is equal to 1, .*one type|a key is of type.*Decimal)"
    ):
        await outcome(name, "fail", equal, good=1)


def add(new: list[int], total: int | None) -> int:
    return sum(new) + (total or 0)


SUMS: dict[str, Callable[[Any], Any]] = {
    "tumbling": lambda s: s.window(Tumbling("1h")).aggregate(sum_of(int)).map_values(result_value),
    "sliding": lambda s: s.window(Sliding("1h", every="30m")).aggregate(sum_of(int)).map_values(result_value),
    "two stacks": lambda s: s.window(Sliding("1h", every="30m")).aggregate(max_of(int)).map_values(result_value),
    "by length": lambda s: s.reduce_by_key_and_window(operator.add, "1h", "1h"),
    "rolling": lambda s: s.reduce_by_key_and_window(operator.add, "1h", "1h", inverse=operator.sub),
    "session": lambda s: s.window(Session("1h")).aggregate(sum_of(int)).map_values(result_value),
    "every batch": lambda s: s.update_state_by_key(add, every_batch=True),
}


@pytest.mark.parametrize("name", SUMS)
async def test_in_different_batches_they_are_different_keys(name: str) -> None:
    pairs: list[list[tuple[Any, int]]] = [[(1, 1)], [(1.0, 2)], [((1, "a"), 4)], [((1.0, "a"), 8)]]
    source, sink = MemorySource(pairs), MemorySink[Any]()
    app = App("apart", trigger=Interval("1s"))
    keyed = app.source(source).event_time(lambda _: 1_800_000_000_000).key_by(lambda pair: pair[0])
    SUMS[name](keyed.map_values(lambda pair: pair[1])).to(sink)
    async with Driver(app) as driver:
        await driver.tick(4)
        source.close()
        await driver.tick(2)
        await driver.finish()
    last = {repr(key): value for key, value in sink.values}
    assert last == {"1": 1, "1.0": 2, "(1, 'a')": 4, "(1.0, 'a')": 8}


@pytest.mark.parametrize("name", ["process", "timers", "deduplicate", "rate_limit"])
async def test_where_it_takes_them_one_by_one_they_are_different_keys(name: str) -> None:
    values, _ = await outcome(name, "fail", 1.0, good=1)
    assert [(repr(key), value) for key, value in values] == [("1", 1), ("1.0", 1)]
    assert [(repr(key), value) for key, value in (await outcome(name, "skip", Decimal(1), good=1))[0]] == [("1", 1)]


async def test_a_transform_that_fails_on_an_empty_batch_follows_the_policy() -> None:
    source, sink = MemorySource([[1], [2]]), MemorySink[int]()
    app = App("empty")
    first = (
        app.source(source).filter(lambda n: n == 2).transform(lambda batch: [batch[0]], name="first", on_error="skip")
    )
    first.to(sink)
    async with Driver(app) as driver:
        await driver.tick(3)
        assert sink.values == [2]
        assert driver.metrics.operators["first"].skipped == 2
