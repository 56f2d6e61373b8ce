"""`run`: what a pipeline makes of a few elements, in one line; for tests and for examples in documentation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from streamproc.app import App
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.durations import Duration
from streamproc.streams.stream import KeyedStream, Stream
from streamproc.testing.driver import Driver
from streamproc.triggers import Asap, Interval

__all__ = ["run"]

T = TypeVar("T")


def run(
    elements: Sequence[Any],
    pipeline: Callable[[Stream[Any]], Stream[Any] | KeyedStream[Any, Any]],
    *,
    interval: Duration | None = None,
    batches: int = 1,
) -> list[Any]:
    """Return the elements that come out of a pipeline.

    Args:
        elements: The elements of one batch; or a list of lists, one for each batch.
        pipeline: Gets the stream of the elements and returns the stream to look at.
        interval: Run with this batch interval, for as many ``batches``; else all elements as soon as possible, and then
            the end of time, so that all windows close.
        batches: How many batches to run, with an interval.
    """
    lists = elements if elements and all(isinstance(part, list) for part in elements) else [elements]
    source = MemorySource[Any](lists)
    sink = MemorySink[Any]()
    app = App("run", trigger=Asap() if interval is None else Interval(interval))
    pipeline(app.source(source)).to(sink)

    async def drive() -> None:
        driver = Driver(app)
        if interval is None:
            source.close()
        await driver.start()
        if interval is None:
            await driver.finish()
        else:
            await driver.tick(batches)
            await driver.stop()

    asyncio.run(drive())
    return list(sink.values)
