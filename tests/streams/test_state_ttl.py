"""State variables with a time to live."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from streamproc import (
    App,
    Asap,
    KeyedProcess,
    List,
    Map,
    ProcessContext,
    Timer,
    Value,
)
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.engine.operators import expiry
from streamproc.testing import Driver
from tests.streams.timed import Event, Timed

Context = ProcessContext[str]


class Uses(KeyedProcess[str, str, str]):
    """Uses a variable of each kind as a command says, and shows all of them behind it."""

    number: Value[int]
    items: List[str]
    table: Map[str, int]

    def process(self, context: Context, value: str) -> Iterable[str]:
        return self.do(context, value)

    def on_timer(self, context: Context, timer: Timer) -> Iterable[str]:
        return self.do(context, timer.name)

    def do(self, context: Context, command: str) -> Iterable[str]:
        number, items, table = context.value(self.number), context.list(self.items), context.map(self.table)
        match command.split():
            case ["set", amount]:
                number.set(int(amount))
            case ["append", item]:
                items.append(item)
            case ["put", key, amount]:
                table.put(key, int(amount))
            case ["remove", key]:
                table.remove(key)
            case ["clear"]:
                number.clear()
                items.clear()
                table.clear()
            case ["later", when, *rest]:
                context.set_event_timer(int(when), " ".join(rest))
            case ["fail"]:
                number.set(-1)
                items.append("fail")
                table.put("fail", -1)
                table.remove("x")
                raise ValueError(command)
            case _:
                yield f"{number.get()} {''.join(items)} {dict(table.items())} {table.get('x')} {len(items)}"


class ByProcessingTime(Uses):
    number = Value(int, default=0, ttl="2s")
    items = List(str, ttl="2s")
    table = Map(str, int, ttl="2s")


class ByReading(Uses):
    number = Value(int, default=0, ttl="2s", renew="read")
    items = List(str, ttl="2s", renew="read")
    table = Map(str, int, ttl="2s", renew="read")


class ByReadingInEventTime(Uses):
    number = Value(int, default=0, ttl="100ms", ttl_by="event", renew="read")
    items = List(str, ttl="100ms", ttl_by="event", renew="read")
    table = Map(str, int, ttl="100ms", ttl_by="event", renew="read")


class ByEventTime(Uses):
    number = Value(int, default=0, ttl="100ms", ttl_by="event")
    items = List(str, ttl="100ms", ttl_by="event")
    table = Map(str, int, ttl="100ms", ttl_by="event")


def timed(function: Uses, **options: Any) -> Timed:
    return Timed(lambda keyed: keyed.process(function, name="own"), **options)


def commands(time: int, *texts: str, key: str = "a") -> list[Event]:
    return [Event(key, time, text) for text in texts]


FILLED = ("set 1", "append p", "append q", "put x 1", "put y 2")
FULL = ("a", "1 pq {'x': 1, 'y': 2} 1 2")
EMPTY = ("a", "0  {} None 0")


async def test_what_is_not_written_for_its_time_is_gone() -> None:
    process = timed(ByProcessingTime(), event_time=False)
    async with process.driver as driver:
        await process.tick(*commands(0, *FILLED))
        assert await process.tick(*commands(0, "show")) == [FULL]
        assert driver.metrics.operators["own"].expired == 0
        assert await process.tick(*commands(0, "show")) == [EMPTY]
        assert process.stored("own") == []
        assert driver.metrics.operators["own"].expired == 4


async def test_what_has_expired_is_removed_without_records() -> None:
    process = timed(ByProcessingTime(), event_time=False)
    async with process.driver:
        await process.tick(*commands(0, *FILLED))
        await process.tick()
        # Four entries with their rows in the index, and two items.
        assert len(process.stored("own")) == 2 * 4 + 2
        await process.tick()
        assert process.stored("own") == []


async def test_an_app_that_waits_for_records_wakes_to_remove_what_has_expired() -> None:
    process = timed(ByProcessingTime(), event_time=False, trigger=Asap())
    async with process.driver as driver:
        process.source.send(commands(0, *FILLED))
        await driver.settle()
        await driver.advance("1s900ms")
        assert process.stored("own")
        batches = driver.metrics.batches
        await driver.advance("1m")
        assert process.stored("own") == []
        assert driver.metrics.batches == batches + 1


async def test_writing_begins_the_time_anew_for_what_is_written_only() -> None:
    process = timed(ByProcessingTime(), event_time=False)
    async with process.driver:
        await process.tick(*commands(0, *FILLED))
        await process.tick(*commands(0, "append r", "put x 5", "show"))
        assert await process.tick(*commands(0, "show")) == [("a", "0 pqr {'x': 5} 5 3")]
        assert await process.tick(*commands(0, "show")) == [EMPTY]
        assert process.stored("own") == []


async def test_reading_begins_it_anew_where_that_is_said() -> None:
    process = timed(ByReading(), event_time=False)
    async with process.driver as driver:
        await process.tick(*commands(0, *FILLED, "put z 3"))
        for _ in range(5):
            assert await process.tick(*commands(0, "remove z", "show")) == [FULL]
        await driver.stop()
        await driver.restart()
        assert await process.tick(*commands(0, "show")) == [FULL]
        await process.tick()
        assert len(process.stored("own")) == 2 * 4 + 2
        await process.tick()
        assert process.stored("own") == []


async def test_a_list_that_has_expired_begins_anew_and_leaves_nothing_behind() -> None:
    process = timed(ByEventTime(), bound=1_000)
    async with process.driver as driver:
        # The watermark is far behind: expired lists are still there when they are written to.
        await process.tick(*commands(0, *(f"append {letter}" for letter in "pqrst")))
        assert await process.tick(*commands(100, "append u", "append v", "show")) == [("a", "0 uv {} None 2")]
        assert driver.state("own", "items") == {("a",): [2, 200, 100], ("a", 0): "u", ("a", 1): "v"}
        assert driver.metrics.operators["own"].expired == 1
        await process.tick(*commands(200, "clear"))
        assert process.stored("own") == []
        assert driver.metrics.operators["own"].expired == 2


async def test_by_event_time_a_record_sees_what_has_not_expired_at_its_own_time() -> None:
    process = timed(ByEventTime(), bound=1_000)
    async with process.driver:
        shown = await process.tick(
            *commands(1_000, *FILLED),
            *commands(1_099, "show"),
            *commands(1_100, "show"),
            *commands(1_050, "show"),
        )
        assert shown == [FULL, EMPTY, FULL]


async def test_by_event_time_records_out_of_order_do_not_shorten_a_life() -> None:
    process = timed(ByEventTime(), bound=1_000)
    async with process.driver:
        await process.tick(*commands(1_000, *FILLED), *commands(950, "set 1", "append r", "put x 1", "put y 2"))
        assert await process.tick(*commands(1_099, "show"), *commands(1_100, "show")) == [
            ("a", "1 pqr {'x': 1, 'y': 2} 1 3"),
            EMPTY,
        ]
    process = timed(ByReadingInEventTime(), bound=1_000)
    async with process.driver:
        await process.tick(*commands(1_000, *FILLED), *commands(950, "show"))
        assert await process.tick(*commands(1_099, "show"), *commands(1_050, "show")) == [FULL, FULL]
        assert await process.tick(*commands(1_198, "show"), *commands(1_298, "show")) == [FULL, EMPTY]


async def test_by_event_time_a_late_record_counts_at_the_watermark() -> None:
    process = timed(ByEventTime())
    async with process.driver:
        await process.tick(*commands(1_000, "show"))
        await process.tick(*commands(10, *FILLED))
        assert await process.tick(*commands(1_099, "show")) == [FULL]
        assert await process.tick(*commands(1_100, "show")) == [EMPTY]
        assert process.stored("own") == []


async def test_by_event_time_entries_leave_when_the_watermark_has_passed_also_without_records() -> None:
    process = timed(ByEventTime(), idle_after="10s", trigger=Asap())
    async with process.driver as driver:
        process.source.send(commands(1_000, *FILLED))
        await driver.settle()
        await driver.advance("9s999ms")
        assert process.stored("own")
        await driver.advance("1ms")
        assert process.stored("own") == []
        assert driver.metrics.operators["own"].expired == 4


async def test_by_event_time_an_app_that_waits_for_records_wakes_to_remove_what_has_expired() -> None:
    class Long(Uses):
        number = Value(int, default=0, ttl="30s", ttl_by="event")
        items = List(str, ttl="30s", ttl_by="event")
        table = Map(str, int, ttl="30s", ttl_by="event")

    process = timed(Long(), idle_after="10s", trigger=Asap())
    async with process.driver as driver:
        process.source.send(commands(1_000, *FILLED))
        await driver.settle()
        await driver.advance("29s")
        assert process.stored("own")
        # The watermark goes on with the clock; what expires within 300 milliseconds goes together.
        await driver.advance("1s300ms")
        assert process.stored("own") == []


async def test_by_event_time_timers_see_what_has_not_expired_at_their_times() -> None:
    process = timed(ByEventTime())
    async with process.driver:
        await process.tick(*commands(1_000, *FILLED, "later 1099 show", "later 1100 show", "later 1050 set 7"))
        assert await process.tick(*commands(9_000, "clear", key="b")) == [
            ("a", "7 pq {'x': 1, 'y': 2} 1 2"),
            ("a", "7  {} None 0"),
        ]
        assert process.stored("own") == []


async def test_at_the_end_of_time_everything_by_event_time_is_gone_behind_the_last_timer() -> None:
    process = timed(ByEventTime())
    async with process.driver:
        await process.tick(*commands(1_000, *FILLED, "later 1099 show"))
        assert await process.end() == [FULL]
        assert process.stored("own") == []


async def test_in_batch_time_event_time_is_the_trigger_time() -> None:
    class Slow(Uses):
        number = Value(int, default=0, ttl="2s", ttl_by="event")
        items = List(str, ttl="2s", ttl_by="event")
        table = Map(str, int, ttl="2s", ttl_by="event")

    process = timed(Slow(), event_time=False)
    async with process.driver:
        await process.tick(*commands(0, *FILLED))
        assert await process.tick(*commands(0, "show")) == [FULL]
        assert await process.tick(*commands(0, "show")) == [EMPTY]
        assert process.stored("own") == []


@pytest.mark.parametrize("function", [ByProcessingTime(), ByReading(), ByEventTime()])
async def test_a_failing_call_takes_back_what_it_did_to_expiring_state(function: Uses) -> None:
    process = timed(function, on_error="skip")
    async with process.driver as driver:
        await process.tick(*commands(1_000, *FILLED))
        stored = sorted(process.stored("own"))
        shown = await process.tick(*commands(1_000, "fail", "fail", key="b"), *commands(1_050, "fail", "show"))
        assert shown == [FULL]
        assert sorted(process.stored("own")) == stored
        # Now the calls that fail are the first behind the expiry, which they see.
        await process.tick()
        assert await process.tick(*commands(1_100, "fail", "show")) == [EMPTY]
        assert process.stored("own") == []
        assert driver.metrics.operators["own"].expired == 4


async def test_what_was_written_before_event_time_began_lives_from_its_beginning() -> None:
    class Early(KeyedProcess[str, str, int]):
        number = Value(int, default=0, ttl="100ms", ttl_by="event")

        def process(self, context: Context, value: str) -> Iterable[int]:
            if value == "wait":
                context.set_timer(context.time + 500)
            else:
                yield context.value(self.number).get()

        def on_timer(self, context: Context, timer: Timer) -> Iterable[int]:
            assert context.watermark < 0
            context.value(self.number).set(7)
            yield context.value(self.number).get()

    source, sink = MemorySource[Event](partitions=2), MemorySink[tuple[str, int]]()
    app = App("early", trigger=Asap())
    events = app.source(source).event_time(lambda event: event.time, idle_after=None)
    events.key_by(lambda event: event.key).map_values(lambda event: event.value).process(Early(), name="own").to(sink)
    async with Driver(app) as driver:
        source.send([Event("a", 1_000, "wait")])
        await driver.settle()
        # The second partition has had no record: there is no watermark yet.
        await driver.advance("1s")
        assert driver.state("own", "number")
        source.send([Event("a", 990, "show")], partition=1)
        await driver.settle()
        source.send([Event("a", 1_089, "show")], partition=0)
        await driver.settle()
        source.send([Event("a", 1_090, "show")], partition=1)
        source.send([Event("a", 1_090, "show")], partition=0)
        await driver.settle()
        assert [value for _, value in sink.values] == [7, 7, 7, 0, 0]
        assert driver.state("own", "number") == {}


async def test_a_batch_that_is_run_again_to_place_a_failed_record_counts_once() -> None:
    process = Timed(
        lambda keyed: keyed.filter(lambda pair: pair[1] != "drop").process(ByEventTime(), name="own"),
        on_error="skip",
        bound=1_000,
    )
    async with process.driver as driver:
        await process.tick(*commands(1_000, *FILLED, "later 1001 set 7"))
        # Rows are dropped before the process: where the failed record came from is known in a second run only.
        shown = await process.tick(*commands(1_100, "set 5", "drop", "fail", "show"))
        assert shown == [("a", "5  {} None 0")]
        assert driver.metrics.reruns == 1
        assert driver.metrics.operators["own"].expired == 1
        await process.tick(*commands(2_100, "drop", "fail"))
        assert driver.metrics.reruns == 2
        # The timer has set the number before the list and the entries of the map expire.
        assert driver.metrics.operators["own"].timers == 1
        assert driver.metrics.operators["own"].expired == 1 + 3
        assert driver.state("own", "number") == {"a": [7, 1_200, 1_200]}


async def test_a_long_downtime_is_made_up_for_in_the_first_batches() -> None:
    process = timed(ByProcessingTime(), event_time=False)
    async with process.driver as driver:
        await process.tick(*commands(0, *FILLED))
        await driver.stop()
        driver.clock.advance("1d")
        await driver.restart()
        assert await process.tick(*commands(0, "show")) == [EMPTY]
        assert process.stored("own") == []


async def test_what_expires_at_once_is_removed_over_several_batches_and_never_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expiry, "_AT_ONCE", 5)
    process = timed(ByProcessingTime(), event_time=False, trigger=Asap())
    async with process.driver as driver:
        process.source.send([*commands(0, "set 1", "put x 1", key="a"), *commands(0, "set 1", "put x 1", key="b")])
        await driver.settle()
        for key in "cdef":
            process.source.send(commands(0, "set 1", key=key))
            await driver.settle()
        await driver.stop()
        driver.clock.advance("1m")
        await driver.restart()
        # Eight entries are removed in two batches, though no records come.
        assert process.stored("own") == []
        assert driver.metrics.operators["own"].expired == 8
        assert driver.metrics.batches == 2


async def test_a_renewed_entry_costs_one_more_write_in_its_time_to_live() -> None:
    class Renewed(KeyedProcess[str, str, int]):
        number = Value(int, default=0, ttl="10s")

        def process(self, context: Context, value: str) -> Iterable[int]:
            number = context.value(self.number)
            number.set(number.get() + 1)
            return ()

    process = Timed(lambda keyed: keyed.process(Renewed(), name="own"), event_time=False)
    rows: set[bytes] = set()
    async with process.driver as driver:
        for _ in range(100):
            await process.tick(Event("a", 0))
            rows |= {key for key in process.stored("own") if b"expiries" in key}
        assert driver.state("own", "number") == {"a": [100, 110_000, 101_000]}
    assert len(rows) == 10
