"""A crash at any step, and a restart: the output is that of a run without one.

For each kind of batch, each sink, and each time that any step is reached in an undisturbed run: a run that crashes
there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from streamproc import (
    App,
    Interval,
    KeyedProcess,
    KeyedStream,
    ProcessContext,
    Timer,
    Tumbling,
    Value,
    WindowResult,
    count,
)
from streamproc.connectors.files import FileSink, Ndjson, Roll
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.engine.protocol import STEPS
from streamproc.io.sink import Sink
from streamproc.testing import CrashPoint, Driver
from tests.survivor import Survivor

LETTERS = [["a", "b"], ["a"], [], ["c", "c", "a"], ["b"], []]
BATCHES = 8


class Pipeline:
    """A pipeline on fresh sources, with its sink and a way to read what the sink has made visible."""

    def __init__(self, build: Callable[[KeyedStream[str, str]], KeyedStream[str, Any]], directory: Path | None) -> None:
        self.source = MemorySource(LETTERS)
        self.directory = directory
        memory = MemorySink[tuple[str, Any]]()
        self.memory = memory
        app = App("crash", trigger=Interval("500ms"))
        sink: Sink[tuple[str, Any]] = memory
        if directory is not None:
            sink = FileSink(directory, format=Ndjson(), roll=Roll(size_bytes=150))
        build(app.source(self.source).key_by(lambda letter: letter)).to(sink)
        self.driver = Driver(app)

    def output(self) -> dict[str, list[str]]:
        """Return what each key was given, in order, as text."""
        if self.directory is None:
            rows = [(key, repr(value)) for key, value in self.memory.values]
        else:
            lines = [line for part in sorted(self.directory.glob("part-*")) for line in part.read_text().splitlines()]
            rows = [(json.loads(line)["key"], line) for line in lines]
        by_key: dict[str, list[str]] = {}
        for key, text in rows:
            by_key.setdefault(key, []).append(text)
        return by_key

    async def run(self, crash: CrashPoint | None = None) -> int:
        """Run all batches, restart after each crash, and return how many there were."""
        survivor = Survivor(self.driver, crash)
        await survivor.start()
        while self.driver.clock.now() < BATCHES * 500:
            await survivor.tick()
        await survivor.stop()
        return survivor.crashes


def plain(letters: KeyedStream[str, str]) -> KeyedStream[str, Any]:
    """Keyed state: each batch that has records has results."""

    def number(_key: str, letter: str, before: int | None) -> tuple[str, int | None]:
        return f"{letter}{before or 0}", (before or 0) + 1

    return letters.map_with_state(number)


def windows(letters: KeyedStream[str, str]) -> KeyedStream[str, WindowResult[int]]:
    """Windows fire in some batches, also in those without records."""
    return letters.window(Tumbling("1s")).aggregate(count())


class Alarm(KeyedProcess[str, str, str]):
    """Counts, and tells the count two seconds after the first of each key: in batches with only timers."""

    seen = Value(int, default=0)

    def process(self, context: ProcessContext[str], letter: str) -> Iterable[str]:
        seen = context.value(self.seen)
        if not seen.get():
            context.set_timer(context.time + 1_500, "tell")
        seen.set(seen.get() + 1)
        return ()

    def on_timer(self, context: ProcessContext[str], timer: Timer) -> Iterable[str]:
        yield f"{context.key} {context.value(self.seen).take()} at {timer.time}"


def timers(letters: KeyedStream[str, str]) -> KeyedStream[str, str]:
    return letters.process(Alarm())


@pytest.mark.parametrize("to_files", [False, True], ids=["memory", "files"])
@pytest.mark.parametrize("build", [plain, windows, timers])
async def test_a_crash_anywhere_changes_nothing_in_the_output(
    build: Callable[[KeyedStream[str, str]], KeyedStream[str, Any]], to_files: bool, tmp_path: Path
) -> None:
    def pipeline(name: str) -> Pipeline:
        return Pipeline(build, tmp_path / name if to_files else None)

    undisturbed = pipeline("undisturbed")
    assert await undisturbed.run() == 0
    expected = undisturbed.output()
    assert expected
    points = undisturbed.driver.steps.reached
    assert {point.step for point in points} >= set(STEPS)

    for number, point in enumerate(points):
        disturbed = pipeline(f"crash-{number}")
        assert await disturbed.run(point) == 1, point
        assert disturbed.output() == expected, point


async def test_a_crash_during_recovery_changes_nothing_either() -> None:
    undisturbed = Pipeline(plain, None)
    await undisturbed.run()

    disturbed = Pipeline(plain, None)
    driver = disturbed.driver
    await driver.start()
    driver.crash_at("before_publish", 2)
    await driver.tick(2)
    for step in ("before_publish", "after_publish"):
        assert driver.crashed
        await driver.restart(crash_at=step)
    assert driver.crashed
    await driver.restart()
    await driver.advance(f"{BATCHES * 500 - driver.clock.now()}ms")
    await driver.stop()
    assert disturbed.output() == undisturbed.output()
