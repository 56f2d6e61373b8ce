"""``process``: a call that keeps what state can't have is a failed call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from streamproc import App, Asap, KeyedProcess, List, Map, OperatorError, ProcessContext, Value
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver

WAYS = ["set", "append", "put", "put key", "set_timer", "clear_timer", "set_event_timer", "clear_event_timer", "name"]


class KeepsTheImpossible(KeyedProcess[str, str, str]):
    """Keeps what state can't have, as the command says."""

    value: Value[Any] = Value(object, default=None)
    items: List[Any] = List(object)
    table: Map[Any, Any] = Map(object, object)

    def process(self, context: ProcessContext[str], value: str) -> Iterable[str]:
        bad: Any = "\ud800"
        match value:
            case "set":
                context.value(self.value).set(bad)
            case "append":
                context.list(self.items).append(bad)
            case "put":
                context.map(self.table).put("x", bad)
            case "put key":
                context.map(self.table).put(bad, "x")
            case "set_timer":
                context.set_timer(1, bad)
            case "clear_timer":
                context.clear_timer(1, bad)
            case "set_event_timer":
                context.set_event_timer(1, bad)
            case "clear_event_timer":
                context.clear_event_timer(1, bad)
            case "name":
                bad = 5
                context.set_timer(1, bad)
            case _:
                pass
        yield value


async def outcome(commands: list[str], policy: Any) -> tuple[list[str], Driver]:
    source, sink = MemorySource([commands]), MemorySink[tuple[str, str]]()
    source.close()
    app = App("impossible", trigger=Asap(), on_error=policy)
    app.source(source).key_by(lambda _: "a").process(KeepsTheImpossible(), name="own").to(sink)
    driver = Driver(app)
    await driver.start()
    await driver.finish()
    return [value for _, value in sink.values], driver


@pytest.mark.parametrize("way", WAYS)
async def test_it_fails_under_the_policy_of_the_operator(way: str) -> None:
    values, driver = await outcome(["one", way, "two"], "skip")
    assert values == ["one", "two"]
    assert driver.metrics.operators["own"].skipped == 1
    with pytest.raises(OperatorError, match=r"'own' failed on a record: (EncodeError: .*surrogate|TypeError: a timer)"):
        await outcome([way], "fail")
