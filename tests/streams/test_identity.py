"""What a restart may change about a job, and what it is refused with."""

from __future__ import annotations

import asyncio
import operator
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from streamproc import (
    App,
    Asap,
    Count,
    KeyedProcess,
    KeyedStream,
    List,
    PlanChangedError,
    ProcessContext,
    Session,
    Settings,
    StateBehindSinkError,
    StateFormatError,
    StateLockedError,
    Tumbling,
    Value,
    count,
)
from streamproc.connectors.files import FileSink, Ndjson, TextFilesSink
from streamproc.connectors.generator import GeneratorSource
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.state import MemoryDisk
from streamproc.testing import Driver
from streamproc.windowing import WindowAssigner

Keyed = KeyedStream[str, str]


def total(new: list[str], before: int | None) -> int:
    return (before or 0) + len(new)


def app_of(
    source: MemorySource[str],
    build: Callable[[Keyed], Any],
    *,
    name: str = "shop",
    settings: Settings | None = None,
) -> tuple[App, MemorySink[Any]]:
    sink = MemorySink[Any]()
    app = App(name, trigger=Asap(), settings=settings)
    build(app.source(source, name="letters").key_by(lambda letter: letter)).to(sink, name="out")
    return app, sink


async def first_run(build: Callable[[Keyed], Any]) -> tuple[MemorySource[str], MemoryDisk]:
    """Run a pipeline over two batches, and return its source and what it remembers."""
    source = MemorySource([["a", "b"], ["a"]])
    app, _ = app_of(source, build)
    async with Driver(app) as driver:
        await driver.settle()
    return source, driver.disk


async def refusal(build: Callable[[Keyed], Any], changed: Callable[[Keyed], Any]) -> str:
    """Return with what message the changed pipeline is refused on the state of the first one."""
    source, disk = await first_run(build)
    app, _ = app_of(source, changed)
    with pytest.raises(PlanChangedError) as caught:
        await Driver(app, disk=disk).start()
    # And the old pipeline goes on: the refusal has done no harm.
    again, sink = app_of(source, build)
    source.send(["a"])
    async with Driver(again, disk=disk) as driver:
        await driver.advance("5s")
        assert sink.values
    return str(caught.value)


def totals(letters: Keyed) -> KeyedStream[str, int]:
    return letters.update_state_by_key(total, name="totals")


async def test_a_lost_operator_is_refused_by_name() -> None:
    message = await refusal(totals, lambda letters: letters.map_values(str.upper))
    assert "totals (update_state_by_key) is gone" in message
    assert "Bring back what the state belongs to, or start anew with another state directory." in message


async def test_a_renamed_operator_is_refused_and_the_new_name_is_told() -> None:
    message = await refusal(totals, lambda letters: letters.update_state_by_key(total, name="sums"))
    assert "totals (update_state_by_key) is gone" in message
    assert "(new: sums)" in message


@pytest.mark.parametrize("assigner", [Tumbling("1s"), Session("1s"), Count(9)], ids=str)
async def test_windows_of_all_records_cannot_go_on_with_those_of_each_key(assigner: WindowAssigner) -> None:
    source, disk = await first_run(lambda letters: letters.window(assigner).aggregate(count(), name="counts"))
    app, _ = app_of(
        source,
        lambda letters: letters.map(lambda pair: pair[1]).window(assigner).aggregate(count(), name="counts"),
    )
    with pytest.raises(PlanChangedError, match="counts: records was of each key and is all"):
        await Driver(app, disk=disk).start()


async def test_an_operator_of_another_kind_under_the_same_name_is_refused() -> None:
    message = await refusal(
        totals, lambda letters: letters.map_with_state(lambda k, v, n: (v, (n or 0) + 1), name="totals")
    )
    assert "totals was a update_state_by_key and is a map_with_state" in message


async def test_all_changes_are_listed() -> None:
    message = await refusal(
        lambda letters: totals(letters).window(Tumbling("1s")).aggregate(count(), name="seconds"),
        lambda letters: letters.window(Tumbling("2s")).aggregate(count(), name="seconds"),
    )
    assert "  - totals (update_state_by_key) is gone\n" in message
    assert "  - seconds: window was tumbling 1s and is tumbling 2s\n" in message


async def test_another_aggregate_of_a_window_is_refused() -> None:
    message = await refusal(
        lambda letters: letters.reduce_by_key_and_window(operator.add, "2s", "1s", name="w"),
        lambda letters: letters.window("2s", "1s", name="w"),
    )
    assert "w: aggregate was reduce and is collect" in message


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ({}, {"emit": "update"}, "trigger was absent and is with each update"),
        ({"emit": "final"}, {}, "trigger was at the close and is absent"),
        ({"emit": "final"}, {"emit": "update"}, "trigger was at the close and is with each update"),
        ({"emit": "final"}, {"emit": "final", "panes": "retracting"}, "panes was absent and is retracting"),
        ({"emit": "final"}, {"emit": "final", "result_time": "latest"}, "result_time was absent and is latest"),
    ],
)
async def test_another_trigger_of_a_window_is_refused_in_the_words_of_its_options(
    before: dict[str, Any], after: dict[str, Any], change: str
) -> None:
    def counts(options: dict[str, Any]) -> Callable[[Keyed], Any]:
        return lambda letters: letters.window(Tumbling("1s"), **options).aggregate(count(), name="w")

    message = await refusal(counts(before), counts(after))
    assert re.findall("  - .*", message) == [f"  - w: {change}"]


class Counts(KeyedProcess[str, str, int]):
    seen = Value(int, default=0)

    def process(self, context: ProcessContext[str], value: str) -> Iterable[int]:
        seen = context.value(self.seen)
        seen.set(seen.get() + 1)
        yield seen.get()


class CountsAsList(KeyedProcess[str, str, int]):
    seen = List(int)
    more = Value(int, default=0)

    def process(self, context: ProcessContext[str], value: str) -> Iterable[int]:
        return ()


async def test_other_variables_of_a_process_are_refused() -> None:
    message = await refusal(
        lambda letters: letters.process(Counts(), name="counts"),
        lambda letters: letters.process(CountsAsList(), name="counts"),
    )
    assert "counts: state seen was value of int and is list of int" in message
    assert "counts: state more was absent and is value of int" in message


async def test_another_kind_of_source_under_the_same_name_is_refused() -> None:
    _, disk = await first_run(totals)
    app = App("shop", trigger=Asap())
    letters = app.source(GeneratorSource(lambda number, _random: str(number), rate=1), name="letters")
    totals(letters.key_by(lambda letter: letter)).to(MemorySink[Any]())
    with pytest.raises(PlanChangedError, match="letters: source was MemorySource and is GeneratorSource"):
        await Driver(app, disk=disk).start()


async def test_what_has_no_state_may_change_and_new_operators_start_empty() -> None:
    source, disk = await first_run(totals)

    def changed(letters: Keyed) -> Any:
        negative = totals(letters.filter(lambda pair: pair[0] != "b")).map_values(lambda n: -n)
        return negative.map_with_state(lambda _key, value, seen: ((value, seen), value), name="new")

    app, sink = app_of(source, changed)
    source.send(["a", "b"])
    async with Driver(app, disk=disk) as driver:
        await driver.settle()
    assert sink.values == [("a", (-3, None))]


async def test_the_state_of_another_app_is_refused() -> None:
    source, disk = await first_run(totals)
    app, _ = app_of(source, totals, name="other")
    with pytest.raises(StateFormatError, match=r"the state belongs to .*shop.*, and this is .*other"):
        await Driver(app, disk=disk).start()


async def test_another_number_of_shards_is_refused() -> None:
    source, disk = await first_run(totals)
    app, _ = app_of(source, totals, settings=Settings(shards=2))
    with pytest.raises(StateFormatError, match="start with the old number of shards"):
        await Driver(app, disk=disk).start()


async def test_committed_outputs_of_a_sink_that_is_gone_are_not_dropped() -> None:
    source = MemorySource([["a"]])
    app, _ = app_of(source, totals)
    driver = Driver(app)
    driver.crash_at("before_publish")
    await driver.start()
    assert driver.crashed
    driver.disk.crash()
    changed = App("shop", trigger=Asap())
    letters = changed.source(source, name="letters").key_by(lambda letter: letter)
    totals(letters).to(MemorySink[Any](), name="elsewhere")
    with pytest.raises(PlanChangedError, match="holds committed outputs for 'out', which the pipeline no longer has"):
        await Driver(changed, disk=driver.disk).start()
    again, sink = app_of(source, totals)
    async with Driver(again, disk=driver.disk):
        assert sink.values == [("a", 1)]


async def test_a_sink_may_be_removed_after_a_graceful_stop() -> None:
    source, disk = await first_run(totals)
    app = App("shop", trigger=Asap())
    elsewhere = MemorySink[Any]()
    source.send(["a"])
    totals(app.source(source, name="letters").key_by(lambda letter: letter)).to(elsewhere, name="elsewhere")
    async with Driver(app, disk=disk) as driver:
        await driver.settle()
    assert elsewhere.values == [("a", 3)]


# On real files


def on_disk(directory: Path, source: Any, sink: Any, *, name: str = "shop", **settings: Any) -> App:
    app = App(name, trigger=Asap(), settings=Settings(state_dir=str(directory), **settings))
    totals(app.source(source, name="letters").key_by(lambda letter: letter)).to(sink, name="out")
    return app


async def test_two_apps_run_at_the_same_time_in_one_event_loop(tmp_path: Path) -> None:
    sources = [MemorySource([["a"], ["a", "b"]]), MemorySource([["x", "x"]])]
    sinks = [MemorySink[Any](), MemorySink[Any]()]
    apps = [on_disk(tmp_path, source, sink, name=n) for n, source, sink in zip("mn", sources, sinks, strict=True)]
    async with asyncio.TaskGroup() as tasks:
        for app, source in zip(apps, sources, strict=True):
            tasks.create_task(app.serve())
            source.send(["last"])
            source.close()
    assert sinks[0].values == [("a", 1), ("a", 2), ("b", 1), ("last", 1)]
    assert sinks[1].values == [("x", 2), ("last", 1)]
    assert [app.state_path for app in apps] == [tmp_path / "m" / "0", tmp_path / "n" / "0"]


async def test_an_app_can_be_served_again_and_goes_on(tmp_path: Path) -> None:
    source, sink = MemorySource([["a"]]), MemorySink[Any]()
    app = on_disk(tmp_path, source, sink)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(app.serve())
        while not sink.values:
            await asyncio.wait([serving], timeout=0.001)
        app.stop()
    source.send(["a"])
    source.close()
    await app.serve()
    assert sink.values == [("a", 1), ("a", 2)]


async def test_a_stop_before_the_start_counts(tmp_path: Path) -> None:
    app = on_disk(tmp_path, MemorySource[str](), MemorySink[Any]())
    app.stop()
    await asyncio.wait_for(app.serve(), timeout=5)


async def test_one_state_directory_is_for_one_app_at_a_time(tmp_path: Path) -> None:
    source, sink = MemorySource([["a"]]), MemorySink[Any]()
    first, second = on_disk(tmp_path, source, sink), on_disk(tmp_path, source, MemorySink[Any]())
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(first.serve())
        while not sink.values:
            await asyncio.wait([serving], timeout=0.001)
        with pytest.raises(StateLockedError, match=str(tmp_path / "shop" / "0")):
            await second.serve()
        first.stop()
    second.stop()
    await second.serve()


async def test_another_number_of_shards_is_refused_on_disk(tmp_path: Path) -> None:
    source = MemorySource([["a"]])
    source.close()
    await on_disk(tmp_path, source, MemorySink[Any]()).serve()
    with pytest.raises(StateFormatError, match="start with the old number of shards"):
        await on_disk(tmp_path, source, MemorySink[Any](), shards=3).serve()


@pytest.mark.parametrize("kind", ["parts", "text"])
async def test_a_sink_ahead_of_lost_state_is_refused(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    sink: Any = FileSink(out, format=Ndjson()) if kind == "parts" else TextFilesSink(str(out / "totals"), "txt")

    def app(*batches: list[str]) -> App:
        source = MemorySource(list(batches))
        source.close()
        return on_disk(tmp_path / "state", source, sink)

    await app(["a"], ["b"]).serve()
    written = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert written
    shutil.rmtree(tmp_path / "state")
    with pytest.raises(StateBehindSinkError, match=r"the sink 'out' has published batch 2, but the state in "):
        await app(["a"], ["b"], ["c"]).serve()
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == written
