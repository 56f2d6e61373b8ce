"""How state variables with a time to live are declared, and what may be changed about that from start to start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from streamproc import (
    App,
    Asap,
    KeyedProcess,
    KeyedStream,
    List,
    Map,
    PipelineError,
    PlanChangedError,
    ProcessContext,
    Value,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver

Context = ProcessContext[str]


def test_an_unknown_kind_of_time_is_refused() -> None:
    kind: Any = "wall"
    with pytest.raises(PipelineError, match='ttl_by=\'wall\': expected "processing" or "event"'):
        Value(int, default=0, ttl="1s", ttl_by=kind)
    with pytest.raises(PipelineError, match='renew=\'wall\': expected "write" or "read"'):
        Map(str, int, ttl="1s", renew=kind)
    with pytest.raises(PipelineError, match="the ttl of a state variable is '1 fortnight'"):
        List(str, ttl="1 fortnight")


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (Value(int, default=0), "state number was value of int, expires by processing time and is value of int"),
        (Value(int, default=0, ttl="1s", ttl_by="event"), "and is value of int, expires by event time"),
        (Value(int, default=0, ttl="1h"), None),
        (Value(int, default=0, ttl="1s", renew="read"), None),
    ],
)
async def test_a_time_to_live_can_be_made_longer_or_shorter_but_neither_come_nor_go(
    after: Value[int], message: str | None
) -> None:
    def count(number: Value[int]) -> KeyedProcess[str, str, int]:
        class Count(KeyedProcess[str, str, int]):
            def process(self, context: Context, value: str) -> Iterable[int]:
                state = context.value(number)
                state.set(state.get() + 1)
                yield state.get()

        number.__set_name__(Count, "number")
        Count.number = number  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        return Count()

    def build(number: Value[int]) -> tuple[App, MemorySource[str], MemorySink[tuple[str, int]]]:
        source, sink = MemorySource([["a"], ["a"]]), MemorySink[tuple[str, int]]()
        app = App("ttl", trigger=Asap())
        keyed: KeyedStream[str, str] = app.source(source).key_by(lambda key: key)
        keyed.process(count(number), name="own").to(sink)
        return app, source, sink

    app, source, sink = build(Value(int, default=0, ttl="1s"))
    async with Driver(app) as driver:
        await driver.settle()
    assert sink.values == [("a", 1), ("a", 2)]
    app, source, sink = build(after)
    again = Driver(app, disk=driver.disk, clock=driver.clock)
    if message is not None:
        with pytest.raises(PlanChangedError, match=message):
            await again.start()
        return
    source.send(["a"])
    async with again:
        await again.settle()
    assert sink.values == [("a", 3)]
