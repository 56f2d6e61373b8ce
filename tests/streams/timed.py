"""A pipeline on records that have a key, an event time and a value, with a batch each second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from streamproc import App, Interval, KeyedStream
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.state import Family
from streamproc.testing import Driver
from streamproc.triggers import Trigger

Build: TypeAlias = "Callable[[KeyedStream[str, Any]], KeyedStream[str, Any]]"


class Event(NamedTuple):
    key: str
    time: int
    value: Any = None


class Timed:
    """The pipeline.

    Args:
        build: Makes it of the stream of values.
        event_time: Whether it is in event time; else the times of records are ignored.
        bound: By how many milliseconds records may be out of order.
        idle_after: After how long without records the watermark goes on.
        trigger: When batches begin.
        on_error: The error policy of the app.
    """

    def __init__(
        self,
        build: Build,
        *,
        event_time: bool = True,
        bound: int = 0,
        idle_after: str | None = None,
        trigger: Trigger | None = None,
        on_error: Any = "fail",
    ) -> None:
        self.source, self.sink = MemorySource[Event](), MemorySink[tuple[str, Any]]()
        self.app = App("timed", trigger=trigger or Interval("1s"), on_error=on_error)
        events = self.app.source(self.source)
        if event_time:
            events = events.event_time(lambda e: e.time, out_of_orderness=f"{bound}ms", idle_after=idle_after)
        build(events.key_by(lambda event: event.key).map_values(lambda event: event.value)).to(self.sink)
        self.driver = Driver(self.app)

    async def tick(self, *events: Event) -> list[tuple[str, Any]]:
        """Run a batch and return what came out of it."""
        before = len(self.sink.values)
        if events:
            self.source.send(events)
        await self.driver.tick()
        return self.sink.values[before:]

    async def end(self) -> list[tuple[str, Any]]:
        """Let the input end, and return what came out of that."""
        before = len(self.sink.values)
        self.source.close()
        await self.driver.tick()
        await self.driver.finish()
        return self.sink.values[before:]

    def stored(self, *operators: str) -> list[bytes]:
        """Return the keys of all that is on the disk of some operators: state, timers, indexes; without watermarks."""
        return [
            key
            for family in (Family.STATE, Family.TIMERS)
            for key in self.driver.disk.rows[family].values
            if any(operator.encode() in key for operator in operators) and b"event-time" not in key
        ]
