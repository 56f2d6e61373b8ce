"""State with a time to live on the real engine against a plain model: random commands, batches and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc import App, Interval, KeyedProcess, List, Map, ProcessContext, Value
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver
from tests.streams.timed import Event

TTL = 30
Context = ProcessContext[str]

COMMANDS = st.sampled_from(
    [
        "get",
        "set 1",
        "set 2",
        "clear",
        "append",
        "items",
        "empty",
        "put x",
        "put y",
        "read x",
        "remove y",
        "all",
        "fail",
    ]
)
EVENTS = st.builds(Event, st.sampled_from("ab"), st.integers(0, 100), COMMANDS)


class Remembers(KeyedProcess[str, str, str]):
    """Does what a command says, and yields what it sees."""

    number: Value[int]
    letters: List[str]
    table: Map[str, int]

    def process(self, context: Context, value: str) -> Iterable[str]:
        number, letters, table = context.value(self.number), context.list(self.letters), context.map(self.table)
        match value.split():
            case ["get"]:
                yield str(number.get())
            case ["set", amount]:
                number.set(int(amount))
            case ["clear"]:
                number.clear()
            case ["append"]:
                letters.append("l")
            case ["items"]:
                yield "".join(letters)
            case ["empty"]:
                letters.clear()
            case ["put", key]:
                table.put(key, 1)
            case ["read", key]:
                yield str(table.get(key))
            case ["remove", key]:
                table.remove(key)
            case ["all"]:
                yield str([key for key, _ in table.items()])
            case _:
                number.set(number.get() + 1)
                letters.append("f")
                table.clear()
                raise ValueError(value)


class OnWriteByEvent(Remembers):
    number = Value(int, default=0, ttl=f"{TTL}ms", ttl_by="event")
    letters = List(str, ttl=f"{TTL}ms", ttl_by="event")
    table = Map(str, int, ttl=f"{TTL}ms", ttl_by="event")


class OnReadByEvent(Remembers):
    number = Value(int, default=0, ttl=f"{TTL}ms", ttl_by="event", renew="read")
    letters = List(str, ttl=f"{TTL}ms", ttl_by="event", renew="read")
    table = Map(str, int, ttl=f"{TTL}ms", ttl_by="event", renew="read")


class OnWriteByProcessing(Remembers):
    number = Value(int, default=0, ttl=f"{TTL}s")
    letters = List(str, ttl=f"{TTL}s")
    table = Map(str, int, ttl=f"{TTL}s")


class OnReadByProcessing(Remembers):
    number = Value(int, default=0, ttl=f"{TTL}s", renew="read")
    letters = List(str, ttl=f"{TTL}s", renew="read")
    table = Map(str, int, ttl=f"{TTL}s", renew="read")


class Model:
    """What the process remembers, by definition: values, and until when. Nothing is ever removed for its time."""

    def __init__(self, *, renew_on_read: bool, ttl: int) -> None:
        self.renew_on_read = renew_on_read
        self.ttl = ttl
        self.kept: dict[tuple[str, str], tuple[Any, int]] = {}
        self.expired = 0

    def read(self, place: tuple[str, str], now: int) -> Any:
        value, deadline = self.kept.get(place, (None, now))
        if deadline <= now:
            return None
        if self.renew_on_read:
            self.kept[place] = value, max(deadline, now + self.ttl)
        return value

    def write(self, place: tuple[str, str], value: Any, now: int) -> None:
        _, deadline = self.kept.get(place, (None, now + 1))
        self.expired += deadline <= now
        self.kept[place] = value, max(deadline, now + self.ttl)

    def remove(self, place: tuple[str, str], now: int) -> None:
        _, deadline = self.kept.pop(place, (None, now + 1))
        self.expired += deadline <= now

    def do(self, key: str, command: str, now: int) -> str | None:
        """Do what a command says at a time, and return what it sees."""
        number, letters, entries = (key, "number"), (key, "letters"), [(key, "x"), (key, "y")]
        match command.split():
            case ["get"]:
                return str(self.read(number, now) or 0)
            case ["set", amount]:
                self.write(number, int(amount), now)
            case ["clear"]:
                self.remove(number, now)
            case ["append"]:
                self.write(letters, (self.read(letters, now) or "") + "l", now)
            case ["items"]:
                return self.read(letters, now) or ""
            case ["empty"]:
                self.remove(letters, now)
            case ["put", entry]:
                self.write((key, entry), 1, now)
            case ["read", entry]:
                return str(self.read((key, entry), now))
            case ["remove", entry]:
                self.remove((key, entry), now)
            case ["all"]:
                return str([entry for place in entries for entry in [place[1]] if self.read(place, now)])
            case _:
                pass
        return None


def on_the_engine(
    function: Remembers, ticks: Sequence[Sequence[Event]], *, bound: int, restart_after: int | None
) -> tuple[list[str], int, int, dict[str, Any]]:
    """Return what comes out, how many entries expired, how many calls failed, and what is left at the end of time."""
    source, sink = MemorySource[Event](), MemorySink[tuple[str, str]]()
    app = App("model", trigger=Interval("1s"), on_error="skip")
    events = app.source(source).event_time(lambda e: e.time, out_of_orderness=f"{bound}ms", idle_after=None)
    keyed = events.key_by(lambda event: event.key).map_values(lambda event: event.value)
    keyed.process(function, name="own").to(sink)
    expired = failed = 0
    left: dict[str, Any] = {}

    async def drive() -> None:
        driver = Driver(app)

        async def count() -> None:
            nonlocal expired, failed
            counts = driver.metrics.operator("own")
            expired, failed = expired + counts.expired, failed + counts.skipped

        await driver.start()
        for tick, batch in enumerate(ticks, start=1):
            if batch:
                source.send(batch)
            await driver.tick()
            if tick == restart_after:
                await driver.stop()
                await count()
                await driver.restart()
        await driver.tick(TTL)
        source.close()
        await driver.tick()
        await driver.finish()
        await count()
        left.update({name: driver.state("own", name) for name in ("number", "letters", "table")})

    asyncio.run(drive())
    return [value for _, value in sink.values], expired, failed, left


@settings(max_examples=150, deadline=None, print_blob=True)
@given(
    ticks=st.lists(st.lists(EVENTS, max_size=8), min_size=1, max_size=6),
    bound=st.sampled_from([0, 20, 100]),
    restart_after=st.none() | st.integers(1, 6),
    on_read=st.booleans(),
)
def test_by_event_time(ticks: list[list[Event]], bound: int, restart_after: int | None, on_read: bool) -> None:
    model = Model(renew_on_read=on_read, ttl=TTL)
    watermark = -1
    seen: list[str | None] = []
    for batch in ticks:
        seen += [model.do(event.key, event.value, max(event.time, watermark)) for event in batch]
        watermark = max([watermark, *(event.time - bound for event in batch)])
    function = OnReadByEvent() if on_read else OnWriteByEvent()
    found, expired, failed, left = on_the_engine(function, ticks, bound=bound, restart_after=restart_after)
    assert found == [each for each in seen if each is not None]
    assert failed == sum(event.value == "fail" for batch in ticks for event in batch)
    # All that is still there expires at the end of time.
    assert expired == model.expired + len(model.kept)
    assert left == {"number": {}, "letters": {}, "table": {}}


@settings(max_examples=75, deadline=None, print_blob=True)
@given(
    ticks=st.lists(st.tuples(st.lists(EVENTS, max_size=6), st.integers(0, 40)), min_size=1, max_size=6),
    restart_after=st.none() | st.integers(1, 20),
    on_read=st.booleans(),
)
def test_by_processing_time(ticks: list[tuple[list[Event], int]], restart_after: int | None, on_read: bool) -> None:
    model = Model(renew_on_read=on_read, ttl=TTL * 1_000)
    seen: list[str | None] = []
    batches: list[list[Event]] = []
    for batch, silent in ticks:
        batches += [batch, *([[]] * silent)]
        now = (len(batches) - silent) * 1_000
        seen += [model.do(event.key, event.value, now) for event in batch]
    function = OnReadByProcessing() if on_read else OnWriteByProcessing()
    found, expired, _, left = on_the_engine(function, batches, bound=0, restart_after=restart_after)
    assert found == [each for each in seen if each is not None]
    assert expired == model.expired + len(model.kept)
    assert left == {"number": {}, "letters": {}, "table": {}}


@settings(max_examples=75, deadline=None, print_blob=True)
@given(
    events=st.lists(EVENTS, min_size=1, max_size=20),
    cuts=st.lists(st.integers(0, 20), max_size=6),
    on_read=st.booleans(),
)
@pytest.mark.slow
def test_by_event_time_it_does_not_matter_how_records_are_divided_into_batches(
    events: list[Event], cuts: list[int], on_read: bool
) -> None:
    function = OnReadByEvent() if on_read else OnWriteByEvent()
    borders = [0, *sorted(cuts), len(events)]
    parts = [events[start:end] for start, end in pairwise(borders)]
    # No record is late, so that none depends on when the watermark has moved on.
    whole = on_the_engine(function, [events], bound=100, restart_after=None)
    assert on_the_engine(function, parts, bound=100, restart_after=None) == whole
