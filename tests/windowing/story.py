"""Stories of windows, as text: a line for each batch, with what comes and what is given.

    1 9                            ->
    8 watermark=10                 -> 0..10 of 1 8 9, on time 0
    b:7@3 now=5s                   -> b 0..10 of 7, late 0 last; late 6

Left of the arrow are records (``value``, which is the time too, ``value@time``, ``key:value@time``), where the
watermark moves behind them, and when it is; a batch comes each second. ``end`` is the end of the input. Right of it are
results: key, window, values, timing, index, and whether it is the last one; ``back`` before those that are taken back.
What came too late stands behind them. A line without an arrow goes on with the results of the one before.

A story is told at one go and with a restart behind each batch, and by each of the ways in which the engine can come to
the results. None of that may make a difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import ndiff
from typing import Any, NamedTuple

from streamproc import (
    AfterCount,
    Aggregate,
    App,
    AtWatermark,
    Interval,
    KeyedStream,
    Pane,
    Repeated,
    WindowResult,
    collect,
    count,
    reducing,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.durations import to_ms
from streamproc.testing import Driver
from streamproc.windowing import WindowAssigner

__all__ = ["tell"]

TICK = 1_000
FAR = 3_600_000
"""By how much records stay ahead of a watermark that is moved by hand."""


class Came(NamedTuple):
    """A record; one without a value only moves the watermark."""

    key: str
    value: int | str | None
    time: int


@dataclass
class Line:
    """A batch."""

    text: str
    given: list[str]
    came: list[Came] = field(default_factory=list[Came])
    now: int | None = None
    end: bool = False

    @classmethod
    def of(cls, text: str) -> Line:
        """Return a line of a story."""
        came, _, given = text.partition("->")
        line = cls(came.strip(), results_in(given))
        for word in came.split():
            name, _, value = word.partition("=")
            if word == "end":
                line.end = True
            elif name == "watermark":
                line.came.append(Came("", None, int(value) + FAR))
            elif name == "now":
                line.now = to_ms(value)
            else:
                line.came.append(record(word))
        return line


def lines_of(story: str) -> list[Line]:
    """Return the lines of a story; one without an arrow goes on with the results of the one before."""
    lines: list[Line] = []
    for text in story.strip().splitlines():
        if "->" in text:
            lines.append(Line.of(text))
        else:
            lines[-1].given += results_in(text)
    return lines


def results_in(text: str) -> list[str]:
    return [" ".join(result.split()) for result in text.split(";") if result.strip()]


def record(word: str) -> Came:
    """Return the record that a word of a story stands for."""
    key, _, rest = word.rpartition(":")
    value, _, time = rest.partition("@")
    return Came(key, int(value) if value.isdecimal() else value, int(time or value))


class Way(NamedTuple):
    """A way to come to the results.

    Attributes:
        aggregate: The aggregate.
        options: Those of the windows.
        of_values: What the aggregate is of the values of some records.
        of_result: What to compare with that. Windows that share slices collect the values of one behind those of
            another, others collect them as they come.
    """

    aggregate: Aggregate[Any, Any, Any]
    options: dict[str, Any]
    of_values: Callable[[list[Any]], Any]
    of_result: Callable[[Any], Any]


def ways(assigner: WindowAssigner, options: dict[str, Any]) -> list[Way]:
    """Return all ways in which the engine can come to the results; the first one is to collect the values."""
    aggregates: list[tuple[Aggregate[Any, Any, Any], Callable[[list[Any]], Any], Callable[[Any], Any]]] = [
        (collect(), sorted, sorted),
        (count(), len, int),
        (reducing(max), max, lambda largest: largest),
    ]
    # It says what is the default, but another operator does it.
    every = AtWatermark(late=Repeated(AfterCount(1)))
    both = [options] if {"trigger", "emit"} & options.keys() else [options, {**options, "trigger": every}]
    return [Way(aggregate, each, *compared) for each in both for aggregate, *compared in aggregates]


class Telling:
    """A story that is told on the engine."""

    def __init__(self, assigner: WindowAssigner, options: dict[str, Any], *, bound: str | None) -> None:
        self.source = MemorySource[Came]()
        self.app = App("story", trigger=Interval("1s"))
        keyed: KeyedStream[str, Any] = (
            self.app.source(self.source)
            .event_time(lambda came: came.time, out_of_orderness=bound or f"{FAR}ms", idle_after=None)
            .filter(lambda came: came.value is not None)
            .key_by(lambda came: came.key)
            .map_values(lambda came: came.value)
        )
        self.ways = ways(assigner, options)
        self.results: list[MemorySink[Any]] = []
        self.late: list[MemorySink[Any]] = []
        for number, way in enumerate(self.ways):
            windows: Any = keyed.window(assigner, **way.options)
            results = windows.aggregate(way.aggregate, name=f"way-{number}")
            self.results.append(MemorySink())
            self.late.append(MemorySink())
            results.to(self.results[-1])
            results.late().to(self.late[-1])
        self.driver = Driver(self.app)

    async def play(self, lines: Sequence[Line], *, restarts: bool) -> list[list[str]]:
        """Return what is given at each line."""
        found: list[list[str]] = []
        await self.driver.start()
        for line in lines:
            before = self.seen()
            while line.now is not None and self.driver.clock.now() < line.now - TICK:
                await self.driver.tick()
                assert self.seen() == before, f"something is given before {line.text!r}"
            if line.came:
                self.source.send(line.came)
            if line.end:
                self.source.close()
            await self.driver.tick()
            assert line.now in (None, self.driver.clock.now()), f"it is later than {line.text!r} says"
            found.append(self.given(*before))
            if restarts and self.driver.running:
                await self.driver.stop()
                await self.driver.restart()
        self.source.close()
        if self.driver.running:
            await self.driver.tick()
        await self.driver.finish()
        self.assert_nothing_is_left()
        return found

    def seen(self) -> tuple[int, int]:
        """Return how many results and late records there are."""
        return len(self.results[0].values), len(self.late[0].values)

    def given(self, results: int, late: int) -> list[str]:
        """Return what was given since so many results and late records."""
        collected = self.results[0].values[results:]
        for number, way in enumerate(self.ways):
            expected = [repr((key, shown(result, way.of_values(result.value)))) for key, result in collected]
            own = self.results[number].values[results:]
            others = [repr((key, shown(result, way.of_result(result.value)))) for key, result in own]
            others_late = self.late[number].values[late:]
            assert sorted(others) == sorted(expected), f"{others}, not {expected} with {way.options}"
            assert sorted(others_late) == sorted(self.late[0].values[late:]), f"late with {way.options}"
        in_order = sorted(collected, key=lambda pair: pair[0])
        too_late = [f"late {named(key)}{value}" for key, value in self.late[0].values[late:]]
        return [text(key, result) for key, result in in_order] + too_late

    def assert_nothing_is_left(self) -> None:
        """Check that the end of time leaves no state."""
        tables = ("windows", "holds", "sessions", "cells", "times", "slices", "starts", "panes", "totals", "older")
        for number in range(len(self.ways)):
            for table in tables:
                assert not self.driver.state(f"way-{number}", table), f"{table} of way {number}"


def shown(result: WindowResult[Any], value: Any) -> WindowResult[Any]:
    """Return a result with another value, and with the pane that it has where it says none."""
    pane = result.pane or Pane("on_time", 0, last=True)
    return WindowResult(result.start, result.end, value, pane, result.retracts)


def text(key: str, result: WindowResult[Any]) -> str:
    """Return a result as stories have it."""
    pane = result.pane or Pane("on_time", 0, last=True)
    window = "always" if result.end == 1 << 62 else f"{result.start}..{result.end}"
    values = " ".join(map(str, sorted(result.value)))
    timing = pane.timing.replace("_", " ")
    back = "back " if result.retracts else ""
    return f"{back}{named(key)}{window} of {values}, {timing} {pane.index}{' last' if pane.last else ''}"


def named(key: str) -> str:
    return f"{key} " if key else ""


def tell(assigner: WindowAssigner, story: str, *, bound: str | None = None, **options: Any) -> None:
    """Tell a story, and compare what is given with what it says.

    Args:
        assigner: The windows.
        story: A line for each batch.
        bound: The watermark follows the newest record at this distance; None if it is moved by hand.
        **options: Of the windows.
    """
    lines = lines_of(story)
    for restarts in (False, True):
        found = asyncio.run(Telling(assigner, options, bound=bound).play(lines, restarts=restarts))
        expected = transcript(lines, [line.given for line in lines])
        told = transcript(lines, found)
        assert told == expected, "\n".join([f"with restarts: {restarts}", *ndiff(expected, told)])


def transcript(lines: Sequence[Line], given: Sequence[list[str]]) -> list[str]:
    return [f"{line.text} -> {'; '.join(results)}" for line, results in zip(lines, given, strict=True)]
