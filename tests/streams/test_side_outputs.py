"""``process``: side outputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from streamproc import (
    App,
    Asap,
    KeyedProcess,
    KeyedStream,
    OperatorError,
    Output,
    PipelineError,
    ProcessContext,
    ProcessResults,
    Timer,
    Tumbling,
    collect,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver, run
from tests.streams.timed import Event, Timed

Context = ProcessContext[str]


class Sorted(KeyedProcess[str, int, int]):
    """Yields even numbers, puts odd ones aside and numbers below zero too, as text; fails on 13."""

    odd = Output(int)
    errors = Output(str)

    def process(self, context: Context, value: int) -> Iterable[int]:
        if value % 2:
            context.output(self.odd, value)
        else:
            yield value
        if value < 0:
            context.output(self.errors, f"{value} < 0")
        context.set_event_timer(value)
        if value == 13:
            raise ValueError(value)

    def on_timer(self, context: Context, timer: Timer) -> Iterable[int]:
        context.output(self.errors, f"timer {timer.time}")
        return ()


class Run:
    """The process, with a sink for each of its outputs."""

    def __init__(self, *, on_error: Any = "fail") -> None:
        self.source = MemorySource[int]()
        self.main, self.odd = MemorySink[tuple[str, int]](), MemorySink[tuple[str, int]]()
        self.errors = MemorySink[tuple[str, str]]()
        self.app = App("sides", trigger=Asap())
        results = self.app.source(self.source).key_by(str).process(Sorted(), name="own", on_error=on_error)
        results.to(self.main)
        results.output(Sorted.odd).to(self.odd)
        results.output(Sorted.errors).to(self.errors)
        self.driver = Driver(self.app)


async def test_each_output_gets_what_is_given_to_it_under_the_current_key() -> None:
    sides = Run()
    async with sides.driver as driver:
        sides.source.send([2, 1, -4, 3, -1])
        await driver.settle()
        assert sides.main.values == [("2", 2), ("-4", -4)]
        assert sides.odd.values == [("1", 1), ("3", 3), ("-1", -1)]
        told = [("-4", "-4 < 0"), ("-1", "-1 < 0")]
        rung = [("-4", "timer -4"), ("-1", "timer -1")]
        assert sides.errors.values == [*told, *rung, ("1", "timer 1")]


async def test_what_a_failing_call_has_given_is_taken_back() -> None:
    sides = Run(on_error="skip")
    async with sides.driver as driver:
        sides.source.send([1, 13, 3])
        await driver.settle()
        assert sides.odd.values == [("1", 1), ("3", 3)]
        assert driver.metrics.operators["own"].skipped == 1


async def test_a_batch_that_fails_gives_nothing_anywhere() -> None:
    sides = Run()
    sides.source.send([1, 13])
    with pytest.raises(OperatorError, match="failed on a record: ValueError: 13"):
        await sides.driver.start()
    assert sides.odd.values == []


async def test_elements_of_side_outputs_have_the_time_of_the_call() -> None:
    class Aside(KeyedProcess[str, str, str]):
        aside = Output(str)

        def process(self, context: Context, value: str) -> Iterable[str]:
            context.output(self.aside, value)
            context.set_event_timer(context.timestamp + 10)
            return ()

        def on_timer(self, context: Context, timer: Timer) -> Iterable[str]:
            context.output(self.aside, "timer")
            return ()

    def windows(keyed: KeyedStream[str, Any]) -> KeyedStream[str, Any]:
        return keyed.process(Aside()).output(Aside.aside).window(Tumbling("10ms")).aggregate(collect())

    timed = Timed(windows)
    async with timed.driver:
        await timed.tick(Event("a", 5, "x"))
        results = await timed.tick(Event("a", 100, "y"))
        assert [(result.start, result.value) for _, result in results] == [(0, ["x"]), (10, ["timer"])]


def test_an_output_asked_for_twice_is_one_stream() -> None:
    results: ProcessResults[str, int] = App("twice").source(MemorySource[int]()).key_by(str).process(Sorted())
    assert results.output(Sorted.odd) is results.output(Sorted.odd)


def test_outputs_are_inherited() -> None:
    class More(Sorted):
        more = Output(int)

        def process(self, context: Context, value: int) -> Iterable[int]:
            context.output(self.more, value * 10)
            return super().process(context, value)

    assert run([1], lambda s: s.key_by(str).process(More()).output(More.more)) == [("1", 10)]
    assert run([1], lambda s: s.key_by(str).process(More()).output(Sorted.odd)) == [("1", 1)]


class Other(KeyedProcess[str, int, int]):
    aside = Output(int)
    odd = Output(int)

    def process(self, context: Context, value: int) -> Iterable[int]:
        context.output(Sorted.errors, "x")
        return ()


class Plain(KeyedProcess[str, int, int]):
    def process(self, context: Context, value: int) -> Iterable[int]:
        return ()


class Twice(KeyedProcess[str, int, int]):
    one = Output(int)
    two = one

    def process(self, context: Context, value: int) -> Iterable[int]:
        return ()


def test_an_output_that_the_process_does_not_declare_is_refused() -> None:
    keyed = App("wrong").source(MemorySource[int]()).key_by(str)
    results = keyed.process(Other(), name="own")
    with pytest.raises(PipelineError, match=r"output\(errors\): own has no such side output: it has aside, odd"):
        results.output(Sorted.errors)
    with pytest.raises(PipelineError, match=r"output\(odd\): own has no such side output"):
        results.output(Sorted.odd)
    with pytest.raises(PipelineError, match=r"its class declares them by Output\(type\)"):
        keyed.process(Plain()).output(Sorted.errors)
    with pytest.raises(PipelineError, match=r"is the same declaration as Twice\.two: declare each output on its own"):
        keyed.process(Twice())
    with pytest.raises(PipelineError, match=r"output\(odd\): filter-1 has no such side output"):
        results.filter(lambda _: True).output(Other.odd)


def test_giving_to_an_undeclared_output_fails_the_job() -> None:
    with pytest.raises(OperatorError, match="is not an attribute of the process's class"):
        run([1], lambda s: s.key_by(str).process(Other()))
