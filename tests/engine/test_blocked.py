"""A sink that waits for something outside: the app says so, a stop has a limit, and nothing is lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from streamproc import App, Asap, Settings
from streamproc.batch import Batch
from streamproc.connectors.memory import MemorySource
from streamproc.errors import StopTimeoutError
from streamproc.io.sink import Delivery, OutboxEntry, Sink, SinkContext, SinkWriter


@dataclass(frozen=True, eq=False)
class Outside(Sink[str]):
    """Something outside of the process, which may be gone."""

    delivery: ClassVar[Delivery] = "at_least_once"

    there: asyncio.Event
    asked: asyncio.Event
    entries: list[OutboxEntry]
    complete: asyncio.Event

    def open(self, context: SinkContext) -> SinkWriter:
        return OutsideWriter(self, context)


class OutsideWriter(SinkWriter):
    def __init__(self, sink: Outside, context: SinkContext) -> None:
        self.sink = sink
        self.context = context

    async def start(self) -> int | None:
        return None

    def encode(self, batch: Batch) -> bytes:
        return msgspec.msgpack.encode(batch.values)

    async def publish(self, entry: OutboxEntry) -> None:
        if not self.sink.there.is_set():
            self.context.blocked("it is gone")
            self.sink.asked.set()
            await self.sink.there.wait()
            self.context.blocked(None)
        self.sink.entries.append(entry)
        if len(self.sink.entries) == 3:
            self.sink.complete.set()

    async def close(self) -> None: ...


def make_app(sink: Outside, state: Path) -> App:
    settings = Settings(state_dir=str(state), stop_timeout="100ms", max_records=2)
    app = App("blocked", trigger=Asap(), settings=settings)
    app.source(MemorySource([["a"], ["b"], ["c"]]), name="letters").to(sink, name="out")
    return app


async def serve(app: App, sink: Outside) -> None:
    """Run an app until everything is published."""
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(app.serve())
        await sink.complete.wait()
        app.stop()


async def test_a_stop_has_a_limit_and_names_what_it_waits_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = Outside(asyncio.Event(), asyncio.Event(), [], asyncio.Event())
    app = make_app(sink, tmp_path)
    serving = asyncio.create_task(app.serve())
    await sink.asked.wait()
    assert app.metrics.blocked == {"out": "it is gone"}
    assert "out can't go on: it is gone" in caplog.text
    app.stop()
    with pytest.raises(StopTimeoutError, match=r"has not stopped in 100ms \(out: it is gone\).*Nothing is lost"):
        await serving
    assert sink.entries == []

    sink.there.set()
    again = make_app(sink, tmp_path)
    await serve(again, sink)
    assert [msgspec.msgpack.decode(entry.payload) for entry in sink.entries] == [["a"], ["b"], ["c"]]
    assert again.metrics.blocked == {}


async def test_a_sink_learns_the_positions_behind_its_outputs(tmp_path: Path) -> None:
    sink = Outside(asyncio.Event(), asyncio.Event(), [], asyncio.Event())
    sink.there.set()
    await serve(make_app(sink, tmp_path), sink)
    assert [entry.positions for entry in sink.entries] == [{"letters": {"0": number}} for number in (1, 2, 3)]
