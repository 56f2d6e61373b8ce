"""``query``: the committed state of an operator, looked at while the app runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any, assert_type

import pytest

from streamproc import (
    App,
    Asap,
    EncodeError,
    Interval,
    KeyedProcess,
    List,
    Map,
    PipelineError,
    ProcessContext,
    StateView,
    Value,
    mean_of,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.engine.operators import expiry
from streamproc.settings import Settings
from streamproc.testing import Driver
from tests.streams.timed import Event, Timed

Context = ProcessContext[str]


class Remembers(KeyedProcess[str, str, str]):
    count = Value(int, default=0)
    letters = List(str)
    places = Map(str, int)

    def process(self, context: Context, value: str) -> Iterable[str]:
        count = context.value(self.count)
        count.set(count.get() + 1)
        context.list(self.letters).append(value)
        context.map(self.places).put(value, count.get())
        return ()


class Other(KeyedProcess[str, str, str]):
    count = Value(int, default=0)

    def process(self, context: Context, value: str) -> Iterable[str]:
        return ()


class Run:
    """An app with all operators that can be queried."""

    def __init__(self, *, settings: Settings | None = None) -> None:
        self.source = MemorySource[str]()
        self.app = App("query", trigger=Interval("1s"), settings=settings)
        keyed = self.app.source(self.source, name="words").key_by(lambda word: word[0])
        keyed.process(Remembers(), name="own").to(MemorySink())
        keyed.update_state_by_key(lambda new, total: (total or 0) + len(new), name="totals").to(MemorySink())

        def number(_key: str, word: str, before: int | None) -> tuple[str, int]:
            return word, (before or 0) + 1

        keyed.map_with_state(number, name="numbered").to(MemorySink())
        self.driver = Driver(self.app)


async def test_state_is_seen_key_by_key() -> None:
    run = Run()
    async with run.driver as driver:
        counts = run.app.query("own", Remembers.count)
        letters = run.app.query("own", Remembers.letters)
        places = run.app.query("own", Remembers.places)
        assert [list(view.items()) for view in (counts, letters, places)] == [[], [], []]
        run.source.send(["ann", "bob", "abe", "ann"])
        await driver.tick()
        assert list(counts.items()) == [("a", 3), ("b", 1)]
        assert list(letters.items()) == [("a", ["ann", "abe", "ann"]), ("b", ["bob"])]
        assert list(places.items()) == [("a", {"abe": 2, "ann": 3}), ("b", {"bob": 1})]
        assert (counts.get("a"), letters.get("a"), places.get("a")) == (3, ["ann", "abe", "ann"], {"abe": 2, "ann": 3})
        assert (counts.get("z"), letters.get("z"), places.get("z")) == (None, None, None)
        assert list(run.app.query("totals").items()) == [("a", 3), ("b", 1)]
        assert run.app.query("numbered", "state").get("b") == 1
        assert driver.query("own", "letters").get("b") == ["bob"]


async def test_of_a_running_aggregate_the_last_results_are_seen() -> None:
    source = MemorySource[int]([[1, 2, 4, 9]])
    app = App("query", trigger=Asap())
    keyed = app.source(source).key_by(lambda number: number % 2)
    keyed.running(mean_of(float), name="means").to(MemorySink())
    async with Driver(app):
        means = app.query("means")
        assert (list(means.items()), means.get(1)) == ([(0, 3.0), (1, 5.0)], 5.0)


async def test_views_have_the_types_of_their_variables() -> None:
    run = Run()
    async with run.driver:
        assert_type(run.app.query("own", Remembers.count), StateView[Any, int])
        assert_type(run.app.query("own", Remembers.letters), StateView[Any, list[str]])
        assert_type(run.app.query("own", Remembers.places), StateView[Any, dict[str, int]])


async def test_what_is_seen_belongs_to_who_sees_it() -> None:
    run = Run()
    async with run.driver as driver:
        run.source.send(["ann"])
        await driver.tick()
        seen = driver.query("own", "letters").get("a")
        assert seen is not None
        seen.append("mine")
        run.source.send(["abe"])
        await driver.tick()
        assert driver.query("own", "letters").get("a") == ["ann", "abe"]


async def test_a_batch_half_way_is_not_seen() -> None:
    source, seen = MemorySource([["ann"], ["abe", "bob"], ["abe"]]), list[tuple[int | None, dict[str, int]]]()
    app = App("half", trigger=Asap())

    def look(_element: object) -> None:
        view = app.query("own", "state")
        seen.append((view.get("a"), dict(view.items())))

    keyed = app.source(source).key_by(lambda word: word[0])
    keyed.update_state_by_key(lambda new, total: (total or 0) + len(new), name="own").peek(look).to(MemorySink())
    async with Driver(app) as driver:
        await driver.settle()
        assert seen == [(None, {}), (1, {"a": 1}), (1, {"a": 1}), (2, {"a": 2, "b": 1})]
        assert app.query("own").get("a") == 3


@pytest.mark.parametrize(("step", "seen"), [("before_commit", 1), ("after_commit", 2)])
async def test_what_a_crash_has_left_is_seen_by_the_driver(step: str, seen: int) -> None:
    run = Run()
    async with run.driver as driver:
        run.source.send(["ann"])
        await driver.tick()
        run.source.send(["abe"])
        driver.crash_at(step)
        await driver.tick()
        assert driver.crashed
        assert driver.query("own", "count").get("a") == seen
        await driver.restart()
        await driver.tick()
        assert driver.query("own", "count").get("a") == 2


async def test_a_walk_sees_one_commit_whatever_is_committed_meanwhile() -> None:
    run = Run()
    async with run.driver as driver:
        run.source.send(["ann", "bob", "cid"])
        await driver.tick()
        walk = driver.query("own", "count").items()
        assert next(walk) == ("a", 1)
        run.source.send(["bob", "cid", "dan"])
        await driver.tick()
        assert list(walk) == [("b", 1), ("c", 1)]


async def test_an_app_on_disk_is_queried_while_it_is_served(tmp_path: Path) -> None:
    source, sink = MemorySource([["ann", "abe", "bob"]]), MemorySink[Any]()
    done = asyncio.Event()
    app = App("served", trigger=Asap(), settings=Settings(state_dir=str(tmp_path)))
    with pytest.raises(PipelineError, match="<App served> has not been started: only a running app can be queried"):
        app.query("own")
    app.source(source).key_by(lambda word: word[0]).process(Remembers(), name="own").to(sink)
    sums = app.source(source).key_by(lambda word: word[0]).map_values(len)
    sums.update_state_by_key(lambda new, total: (total or 0) + sum(new), name="sums").foreach_batch(
        lambda rows, info: done.set()
    )
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(app.serve())
        await asyncio.wait_for(done.wait(), 10)
        view = app.query("own", Remembers.letters)
        assert list(view.items()) == [("a", ["ann", "abe"]), ("b", ["bob"])]
        assert app.query("sums").get("a") == 6
        app.stop()
        await serving
    with pytest.raises(PipelineError, match="app 'served' doesn't run, so its state can't be queried"):
        view.get("a")
    with pytest.raises(PipelineError, match="app 'served' doesn't run"):
        next(view.items())


async def test_errors_say_what_there_is() -> None:
    run = Run()
    async with run.driver:
        query = run.app.query
        with pytest.raises(
            PipelineError, match="no operator 'word' has state to be queried; those that have: numbered"
        ):
            query("word")
        with pytest.raises(PipelineError, match="own has no variable 'state'; it has: count, letters, places"):
            query("own")
        with pytest.raises(PipelineError, match="own has no variable 'count'; it has: count, letters, places"):
            query("own", Other.count)
        with pytest.raises(PipelineError, match="totals has no variable 'count'; it has: state"):
            query("totals", "count")
        unfit: Any = ["a"]
        with pytest.raises(EncodeError, match="make it a tuple"):
            query("totals").get(unfit)


async def test_keys_that_python_takes_for_equal_are_told_apart() -> None:
    class Kinds(KeyedProcess[Any, Any, Any]):
        kinds = List(str)

        def process(self, context: ProcessContext[Any], value: Any) -> Iterable[Any]:
            context.list(self.kinds).append(type(value).__name__)
            return ()

    source = MemorySource[Any]()
    app = App("kinds", trigger=Asap())
    app.source(source).key_by(lambda value: value).process(Kinds(), name="own").to(MemorySink())
    async with Driver(app) as driver:
        for value in (1, 1.0, True, 1):
            source.send([value])
            await driver.settle()
        view = driver.query("own", Kinds.kinds)
        assert [(type(key), kinds) for key, kinds in view.items()] == [
            (int, ["int", "int"]),
            (float, ["float"]),
            (bool, ["bool"]),
        ]
        assert view.get(True) == ["bool"]


class Expires(KeyedProcess[str, str, str]):
    by_time = Value(str, default="", ttl="1500ms")
    letters = List(str, ttl="1500ms")
    number = Value(int, default=0, ttl="100ms", ttl_by="event")
    places = Map(str, int, ttl="100ms", ttl_by="event")

    def process(self, context: Context, value: str) -> Iterable[str]:
        context.value(self.by_time).set(value)
        context.list(self.letters).append(value)
        context.value(self.number).set(1)
        context.map(self.places).put(value, 1)
        return ()


@pytest.mark.parametrize("stopped", [False, True])
async def test_what_has_expired_is_not_seen(stopped: bool) -> None:
    timed = Timed(lambda keyed: keyed.process(Expires(), name="own"))

    def seen(name: str) -> dict[str, Any]:
        return dict(timed.driver.query("own", name).items())

    async with timed.driver as driver:
        await timed.tick(Event("a", 10, "x"))
        await timed.tick(Event("a", 60, "y"), Event("b", 109, "z"))
        assert (seen("number"), seen("places")) == ({"a": 1, "b": 1}, {"a": {"x": 1, "y": 1}, "b": {"z": 1}})
        await timed.tick(Event("b", 110, "z"))
        assert (seen("number"), seen("places")) == ({"a": 1, "b": 1}, {"a": {"y": 1}, "b": {"z": 1}})
        if stopped:
            await driver.stop()
        assert seen("by_time") == {"a": "y", "b": "z"}
        assert seen("letters") == {"a": ["x", "y"], "b": ["z", "z"]}
        # No batch has removed it yet.
        await driver.advance("500ms")
        assert driver.state("own", "by_time").keys() == {"a", "b"}
        assert (seen("by_time"), seen("letters")) == ({"b": "z"}, {"b": ["z", "z"]})
        assert driver.query("own", "letters").get("a") is None


async def test_what_has_expired_but_is_not_yet_removed_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "_AT_ONCE", 1)
    timed = Timed(lambda keyed: keyed.process(Expires(), name="own"))
    async with timed.driver as driver:
        await timed.tick(Event("a", 10, "x"), Event("b", 10, "x"), Event("c", 60, "x"))
        await timed.tick(Event("c", 159, "x"))
        assert set(driver.state("own", "number")) > {"c"}
        assert list(driver.query("own", "number").items()) == [("c", 1)]
        assert driver.query("own", "number").get("b") is None


async def test_in_batch_time_what_has_expired_by_event_time_is_not_seen() -> None:
    timed = Timed(lambda keyed: keyed.process(Expires(), name="own"), event_time=False)
    async with timed.driver as driver:
        await timed.tick(Event("a", 0, "x"))
        assert driver.query("own", "number").get("a") == 1
        await driver.advance("99ms")
        assert driver.query("own", "number").get("a") is None
