"""``process``: a user's own operator with named state and timers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from streamproc import (
    App,
    Interval,
    KeyedProcess,
    List,
    Map,
    OperatorError,
    PipelineError,
    ProcessContext,
    Timer,
    Value,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver, run

Context = ProcessContext[str]


class Run:
    """A process on a stream of pairs of key and command, with a batch each second."""

    def __init__(self, function: KeyedProcess[str, str, Any], *, on_error: Any = "fail") -> None:
        self.source, self.sink = MemorySource[tuple[str, str]](), MemorySink[tuple[str, Any]]()
        self.app = App("process", trigger=Interval("1s"))
        keyed = self.app.source(self.source).key_by(lambda pair: pair[0]).map_values(lambda pair: pair[1])
        keyed.process(function, name="own", on_error=on_error).to(self.sink)
        self.driver = Driver(self.app)

    async def tick(self, *commands: tuple[str, str]) -> list[tuple[str, Any]]:
        """Run a batch and return what came out of it."""
        before = len(self.sink.values)
        if commands:
            self.source.send(commands)
        await self.driver.tick()
        return self.sink.values[before:]


class Remembers(KeyedProcess[str, str, str]):
    """Uses every kind of variable; a command says which."""

    number = Value(int, default=0)
    names = Value(list, default=[])
    items = List(str)
    table = Map(str, int)

    def process(self, context: Context, value: str) -> Iterable[str]:
        number, items, table = context.value(self.number), context.list(self.items), context.map(self.table)
        match value.split():
            case ["count"]:
                number.set(number.get() + 1)
            case ["name", name]:
                names = context.value(self.names).get()
                names.append(name)
                context.value(self.names).set(names)
            case ["append", item]:
                items.append(item)
            case ["put", key, amount]:
                table.put(key, int(amount))
            case ["remove", key]:
                table.remove(key)
            case ["take"]:
                yield f"took {number.take()}"
            case ["clear"]:
                number.clear()
                items.clear()
                table.clear()
            case _:
                yield (
                    f"{number.get()} {','.join(context.value(self.names).get())} {','.join(items)} {len(items)} "
                    f"{dict(table.items())} {table.get('x')}"
                )


async def test_each_key_has_its_own_values_lists_and_maps_across_restarts() -> None:
    process = Run(Remembers())
    async with process.driver as driver:
        commands = ["count", "count", "append one", "append two", "put y 2", "put x 1", "put z 3", "remove z"]
        await process.tick(*(("a", command) for command in commands), ("b", "append other"))
        await driver.stop()
        await driver.restart()
        shown = await process.tick(("a", "show"), ("b", "show"), ("c", "show"))
        assert shown == [
            ("a", "2  one,two 2 {'x': 1, 'y': 2} 1"),
            ("b", "0  other 1 {} None"),
            ("c", "0   0 {} None"),
        ]
        assert await process.tick(("a", "append three"), ("a", "show")) == [
            ("a", "2  one,two,three 3 {'x': 1, 'y': 2} 1")
        ]


async def test_what_is_cleared_is_gone_and_takes_no_room() -> None:
    process = Run(Remembers())
    async with process.driver as driver:
        await process.tick(("a", "count"), ("a", "append one"), ("a", "put x 1"))
        assert await process.tick(("a", "take"), ("a", "clear"), ("a", "show")) == [
            ("a", "took 1"),
            ("a", "0   0 {} None"),
        ]
        assert [driver.state("own", variable) for variable in ("number", "items", "table")] == [{}, {}, {}]
        assert await process.tick(("a", "append new"), ("a", "show")) == [("a", "0  new 1 {} None")]


async def test_none_removes_an_entry_of_a_map() -> None:
    class Puts(KeyedProcess[str, str, str]):
        table: Map[str, Any] = Map(str, object)

        def process(self, context: Context, value: str) -> Iterable[str]:
            context.map(self.table).put("x", value or None)
            yield str(dict(context.map(self.table).items()))

    async with (process := Run(Puts())).driver as driver:
        assert [text for _, text in await process.tick(("a", "1"), ("a", ""))] == ["{'x': '1'}", "{}"]
        assert driver.state("own", "table") == {}


async def test_a_default_that_is_changed_stays_the_default_of_other_keys() -> None:
    process = Run(Remembers())
    async with process.driver:
        shown = await process.tick(("a", "name Ann"), ("b", "name Bob"), ("a", "show"), ("b", "show"), ("c", "show"))
        assert [text.split()[1] for _, text in shown[:2]] == ["Ann", "Bob"]
        assert shown[2] == ("c", "0   0 {} None")


class Alarm(KeyedProcess[str, str, str]):
    """Sets and clears timers as it is told: ``set MILLISECONDS NAME`` from now, ``clear TIME NAME``."""

    def process(self, context: Context, value: str) -> Iterable[str]:
        self.obey(context, value)
        return ()

    def on_timer(self, context: Context, timer: Timer) -> Iterable[str]:
        for command in timer.name.split(";")[1:]:
            self.obey(context, command)
        return [f"{timer.name.split(';')[0]} set for {timer.time} at {context.time} ({context.timestamp})"]

    def obey(self, context: Context, command: str) -> None:
        what, time, name = command.split(maxsplit=2)
        if what == "set":
            context.set_timer(context.time + int(time), name)
        else:
            context.clear_timer(int(time), name)


async def test_a_timer_rings_in_the_first_batch_at_or_behind_its_time() -> None:
    process = Run(Alarm())
    async with process.driver:
        assert await process.tick(("a", "set 1000 exact"), ("a", "set 1001 later")) == []
        assert await process.tick() == [("a", "exact set for 2000 at 2000 (2000)")]
        assert await process.tick() == [("a", "later set for 2001 at 3000 (2001)")]
        assert await process.tick() == []


async def test_a_timer_for_now_or_the_past_rings_in_the_same_batch() -> None:
    process = Run(Alarm())
    async with process.driver:
        assert await process.tick(("a", "set 0 now"), ("a", "set -999 past")) == [
            ("a", "past set for 1 at 1000 (1)"),
            ("a", "now set for 1000 at 1000 (1000)"),
        ]


async def test_timers_ring_in_the_order_of_their_times_then_keys() -> None:
    process = Run(Alarm())
    async with process.driver:
        await process.tick(("b", "set 200 x"), ("a", "set 200 y"), ("c", "set 100 z"))
        assert [(key, text[0]) for key, text in await process.tick()] == [("c", "z"), ("a", "y"), ("b", "x")]


async def test_a_timer_set_twice_rings_once_and_one_of_another_name_for_itself() -> None:
    process = Run(Alarm())
    async with process.driver:
        await process.tick(("a", "set 500 x"), ("a", "set 500 x"), ("a", "set 500 y"), ("b", "set 500 x"))
        assert [(key, text[0]) for key, text in await process.tick()] == [("a", "x"), ("a", "y"), ("b", "x")]


async def test_a_cleared_timer_does_not_ring() -> None:
    process = Run(Alarm())
    async with process.driver:
        await process.tick(("a", "set 1500 x"), ("a", "set 500 y"), ("a", "clear 1500 y"), ("a", "clear 99 none"))
        assert await process.tick(("b", "clear 2500 x")) == [], "the timer of another key was cleared"
        assert await process.tick() == [("a", "x set for 2500 at 3000 (2500)")]


async def test_a_timer_that_is_cleared_by_one_of_the_same_batch_does_not_ring() -> None:
    process = Run(Alarm())
    async with process.driver:
        await process.tick(("a", "set 100 x;clear 1200 y"), ("a", "set 200 y"), ("a", "set 300 z"))
        assert [text[0] for _, text in await process.tick()] == ["x", "z"]
        assert await process.tick() == []


async def test_a_timer_that_clears_one_leaves_that_of_a_key_which_is_equal_but_of_another_type() -> None:
    process = Run(Alarm())
    keys: list[Any] = [1, 1.0]
    async with process.driver:
        await process.tick((keys[0], "set 100 x;clear 1200 y"), (keys[0], "set 200 y"), (keys[1], "set 200 y"))
        assert [(repr(key), text[0]) for key, text in await process.tick()] == [("1", "x"), ("1.0", "y")]


async def test_a_timer_that_sets_one_for_the_past_has_it_ring_in_the_next_batch() -> None:
    process = Run(Alarm())
    async with process.driver:
        await process.tick(("a", "set 100 x;set 0 y"))
        assert [text[0] for _, text in await process.tick()] == ["x"]
        assert await process.tick() == [("a", "y set for 2000 at 3000 (2000)")]


async def test_timers_that_came_due_while_the_app_was_down_ring_in_the_first_batch() -> None:
    process = Run(Alarm())
    async with process.driver as driver:
        await process.tick(("a", "set 5000 x"), ("a", "set 7200000 y"))
        await driver.stop()
        driver.clock.advance("1h")
        await driver.restart()
        assert await process.tick() == []
        assert process.sink.values == [("a", "x set for 6000 at 3601000 (6000)")]


class FailsHalfway(KeyedProcess[str, str, str]):
    """Changes everything, yields a result, and fails where the command says so."""

    number = Value(int, default=0)
    items = List(str)
    table = Map(str, int)

    def process(self, context: Context, value: str) -> Iterable[str]:
        number = context.value(self.number)
        number.set(number.get() + 1)
        context.list(self.items).append(value)
        context.map(self.table).put(value, 1)
        context.map(self.table).remove("gone" if value == "bad" else "")
        context.set_timer(context.time + 1_000, value)
        yield f"before {value}"
        if value == "bad":
            context.clear_timer(context.time + 1_000, "good")
            raise ValueError(value)

    def on_timer(self, context: Context, timer: Timer) -> Iterable[str]:
        number = context.value(self.number)
        number.set(number.get() + 100)
        yield f"timer {timer.name}"
        if timer.name == "worse":
            raise ValueError(timer.name)


async def test_a_call_that_fails_halfway_yields_nothing_and_changes_nothing() -> None:
    process = Run(FailsHalfway(), on_error="skip")
    async with process.driver as driver:
        assert await process.tick(("a", "gone"), ("a", "good"), ("a", "bad")) == [
            ("a", "before gone"),
            ("a", "before good"),
        ]
        assert driver.state("own", "number") == {"a": 2}
        assert driver.state("own", "items") == {("a",): 2, ("a", 0): "gone", ("a", 1): "good"}
        assert driver.state("own", "table") == {("a", "gone"): 1, ("a", "good"): 1}
        assert await process.tick() == [("a", "timer gone"), ("a", "timer good")]
        assert driver.metrics.operators["own"].skipped == 1


class ChangesInPlace(KeyedProcess[str, str, str]):
    """Changes what variables give in place, sets it only where the command says so, and shows what they give then."""

    value: Value[list[str]] = Value(list, default=[])
    items: List[list[str]] = List(list)
    table: Map[str, list[str]] = Map(str, list)

    def process(self, context: Context, value: str) -> Iterable[str]:
        names, table = context.value(self.value), context.map(self.table)
        mine, of_x, items = names.get(), table.get("x") or [], list(context.list(self.items))
        for changed in (mine, of_x, *items, *(entry for _, entry in table.items())):
            changed.append(value)
        if value == "set":
            names.set(mine)
            table.put("x", of_x)
            context.list(self.items).append([value])
        if value == "fail":
            raise ValueError(value)
        yield f"{names.get()} {table.get('x')} {dict(table.items())} {list(context.list(self.items))}"


async def test_a_change_in_place_is_kept_if_it_is_set_again_and_only_then() -> None:
    process = Run(ChangesInPlace(), on_error="skip")
    after = ("a", "['set'] ['set'] {'x': ['set']} [['set']]")
    async with process.driver:
        assert await process.tick(("a", "set"), ("a", "forget"), ("a", "fail"), ("a", "look")) == [after] * 3
        assert await process.tick(("a", "forget"), ("a", "fail")) == [after]
    async with process.driver:
        assert await process.tick(("a", "look")) == [after]


async def test_a_timer_that_fails_is_gone_and_has_changed_nothing() -> None:
    process = Run(FailsHalfway(), on_error="skip")
    async with process.driver as driver:
        await process.tick(("a", "worse"))
        assert await process.tick() == []
        assert driver.state("own", "number") == {"a": 1}
        assert await process.tick() == []


async def test_a_job_that_fails_halfway_has_committed_nothing_of_the_batch() -> None:
    process = Run(FailsHalfway())
    with pytest.raises(OperatorError, match="operator 'own' failed on a record: ValueError: bad"):
        async with process.driver:
            await process.tick(("a", "good"), ("a", "bad"))
    assert process.sink.values == []


class SetsOddTimer(KeyedProcess[str, str, str]):
    def process(self, context: Context, value: str) -> Iterable[str]:
        half: Any = context.time + 0.5
        context.set_timer(half)
        return ()


def test_the_time_of_a_timer_is_an_integer() -> None:
    with pytest.raises(OperatorError, match=r"a timer for \d+\.5: expected epoch milliseconds as an int"):
        run([("a", "x")], lambda s: s.key_by(lambda pair: pair[0]).map_values(str).process(SetsOddTimer()))


class SetsTimerWithoutHandler(KeyedProcess[str, str, str]):
    def process(self, context: Context, value: str) -> Iterable[str]:
        context.set_timer(context.time)
        return ()


def test_a_timer_without_on_timer_fails_the_job_with_the_name_of_the_class() -> None:
    with pytest.raises(OperatorError, match="SetsTimerWithoutHandler sets timers but has no on_timer method"):
        run([("a", "x")], lambda s: s.key_by(lambda pair: pair[0]).process(SetsTimerWithoutHandler()))


class Foreign(KeyedProcess[str, str, str]):
    def process(self, context: Context, value: str) -> Iterable[str]:
        yield str(context.value(Value(int, default=0)).get())


def test_a_variable_that_was_not_declared_is_refused() -> None:
    with pytest.raises(OperatorError, match="is not an attribute of the process's class"):
        run([("a", "x")], lambda s: s.key_by(lambda pair: pair[0]).process(Foreign()))


class Confused(Remembers):
    """Reaches a variable as one of another kind."""

    def process(self, context: Context, value: str) -> Iterable[str]:
        ways: dict[str, Any] = {
            "list": lambda: context.list(self.number),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            "value": lambda: context.value(self.items),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            "name": lambda: context.value("number"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        }
        ways[value]()
        return ()


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("list", r"context.list\(self.number\): number is declared as a Value: use context.value\(self.number\)"),
        ("value", r"context.value\(self.items\): items is declared as a List: use context.list\(self.items\)"),
        ("name", r"context.value\('number'\): expected a state variable of the process's class"),
    ],
)
def test_a_variable_that_is_reached_as_one_of_another_kind_is_refused(way: str, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        run([way], lambda s: s.key_by(str).process(Confused()))


@pytest.mark.parametrize("option", ["timeout", "concurrency", "ordered", "retry"])
def test_options_of_async_functions_are_refused_where_there_are_none(option: str) -> None:
    options: Any = {option: "1s"}
    with pytest.raises(PipelineError, match=f"process has no option '{option}'"):
        run(["a"], lambda s: s.key_by(str).process(Remembers(), **options))


def test_a_variable_declared_twice_is_refused_when_the_pipeline_is_built() -> None:
    class Twice(KeyedProcess[str, str, str]):
        one = Value(int, default=0)
        two = one

        def process(self, context: Context, value: str) -> Iterable[str]:
            return ()

    with pytest.raises(PipelineError, match="declare each state variable on its own"):
        App("twice").source(MemorySource[str]()).key_by(lambda s: s).process(Twice())


def test_a_process_is_an_object_of_its_class() -> None:
    unfit: Any = Remembers
    with pytest.raises(PipelineError, match="expected an object of a subclass of KeyedProcess"):
        App("class").source(MemorySource[str]()).key_by(lambda s: s).process(unfit)
