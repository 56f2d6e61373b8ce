"""Runs pipelines on the real engine, a list of records at each tick, and says what came out at which tick."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streamproc import App, Interval, KeyedStream, Stream
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver

Build = Callable[[Stream[Any]], Stream[Any] | KeyedStream[Any, Any]]

SECOND = 1_000


def outputs(
    batches: Sequence[Sequence[Any]], pipelines: Mapping[str, Build], *, restart_after: int | None = None
) -> dict[str, list[list[Any]]]:
    """Return what each pipeline gives out at each tick of a second: batch ``n``, from 1, has the trigger time ``n``.

    Args:
        batches: What the source has at each tick; ticks without records have an empty list.
        pipelines: By name; all are of one app.
        restart_after: Stop the app after so many ticks, and start it again.
    """
    source = MemorySource[Any]()
    sinks = {name: MemorySink[Any]() for name in pipelines}
    app = App("ticks", trigger=Interval("1s"))
    stream = app.source(source)
    for name, build in pipelines.items():
        build(stream).to(sinks[name])
    found: dict[str, list[list[Any]]] = {name: [] for name in pipelines}

    async def drive() -> None:
        driver = Driver(app)
        await driver.start()
        for tick, batch in enumerate(batches, start=1):
            if batch:
                source.send(batch)
            before = {name: len(sink.values) for name, sink in sinks.items()}
            await driver.tick()
            assert driver.clock.now() == tick * SECOND
            for name, sink in sinks.items():
                found[name].append(sink.values[before[name] :])
            if tick == restart_after:
                await driver.stop()
                await driver.restart()
        await driver.stop()

    asyncio.run(drive())
    return found


def output(batches: Sequence[Sequence[Any]], build: Build) -> list[list[Any]]:
    """Return what one pipeline gives out at each tick."""
    return outputs(batches, {"only": build})["only"]
