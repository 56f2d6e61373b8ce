"""``process``: timers that ring as the watermark goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from streamproc import Asap, KeyedProcess, KeyedStream, OperatorError, ProcessContext, Timer, Tumbling, Value, collect
from streamproc.testing import Driver
from tests.streams.timed import Event, Timed

Context = ProcessContext[str]


class Alarm(KeyedProcess[str, str, str]):
    """Sets and clears timers as it is told: ``set TIME NAME``, ``in MILLISECONDS NAME``, ``clear TIME NAME``.

    A name can hold further commands for when the timer rings, behind semicolons; those of these behind a comma.
    """

    def process(self, context: Context, value: str) -> Iterable[str]:
        self.obey(context, value)
        return ()

    def on_timer(self, context: Context, timer: Timer) -> Iterable[str]:
        for command in timer.name.split(";")[1:]:
            self.obey(context, command.replace(",", ";", 1))
        assert timer.kind == "event"
        assert context.timestamp == timer.time
        return [f"{timer.name.split(';')[0]} at {timer.time}"]

    def obey(self, context: Context, command: str) -> None:
        what, time, name = command.split(maxsplit=2)
        match what:
            case "set":
                context.set_event_timer(int(time), name)
            case "in":
                context.set_event_timer(context.timestamp + int(time), name)
            case _:
                context.clear_event_timer(int(time), name)


def alarm(keyed: KeyedStream[str, Any]) -> KeyedStream[str, Any]:
    return keyed.process(Alarm(), name="own")


async def test_a_timer_rings_when_the_watermark_reaches_its_time() -> None:
    timed = Timed(alarm, bound=10)
    async with timed.driver:
        assert await timed.tick(Event("a", 100, "set 120 exact"), Event("a", 100, "set 121 later")) == []
        assert await timed.tick(Event("b", 129, "clear 0 -")) == []
        assert await timed.tick(Event("b", 130, "clear 0 -")) == [("a", "exact at 120")]
        assert await timed.tick() == []
        assert await timed.tick(Event("b", 131, "clear 0 -")) == [("a", "later at 121")]
        assert timed.stored("own") == []
        assert timed.driver.metrics.operators["own"].timers == 2


async def test_timers_ring_in_the_order_of_time_then_key_whatever_order_they_were_set_in() -> None:
    timed = Timed(alarm, bound=100)
    async with timed.driver:
        await timed.tick(Event("b", 50, "set 90 x"), Event("c", 10, "set 70 x"), Event("a", 99, "set 90 x"))
        await timed.tick(Event("a", 20, "set 80 y"), Event("a", 21, "set 70 y"))
        rung = await timed.tick(Event("z", 500, "clear 0 -"))
        assert rung == [("a", "y at 70"), ("c", "x at 70"), ("a", "y at 80"), ("a", "x at 90"), ("b", "x at 90")]


async def test_records_of_a_batch_come_before_the_timers_that_its_watermark_makes_due() -> None:
    class Order(KeyedProcess[str, str, str]):
        def process(self, context: Context, value: str) -> Iterable[str]:
            context.set_event_timer(context.timestamp + 5)
            yield f"{value} {context.watermark < 0 or context.watermark}"

        def on_timer(self, context: Context, timer: Timer) -> Iterable[str]:
            yield f"timer {timer.time} {context.watermark}"

    timed = Timed(lambda keyed: keyed.process(Order()))
    async with timed.driver:
        first = await timed.tick(Event("a", 10, "one"), Event("a", 20, "two"))
        assert first == [("a", "one True"), ("a", "two True"), ("a", "timer 15 20")]
        assert await timed.tick(Event("a", 30, "three")) == [("a", "three 20"), ("a", "timer 25 30")]
        await timed.driver.stop()
        await timed.driver.restart()
        assert await timed.tick(Event("a", 31, "four")) == [("a", "four 30")]


async def test_a_timer_for_a_time_that_has_passed_rings_in_the_same_batch() -> None:
    timed = Timed(alarm)
    async with timed.driver:
        await timed.tick(Event("a", 100, "clear 0 -"))
        assert await timed.tick(Event("a", 100, "set 100 now"), Event("a", 100, "set 3 past")) == [
            ("a", "past at 3"),
            ("a", "now at 100"),
        ]


async def test_a_cleared_timer_does_not_ring_and_one_set_twice_rings_once() -> None:
    timed = Timed(alarm)
    async with timed.driver:
        await timed.tick(Event("a", 10, "set 50 x"), Event("a", 10, "set 50 x"), Event("a", 10, "set 50 y"))
        await timed.tick(Event("b", 20, "clear 50 x"), Event("a", 20, "clear 50 y"), Event("a", 20, "clear 99 none"))
        assert await timed.tick(Event("b", 60, "clear 0 -")) == [("a", "x at 50")]
        assert timed.stored("own") == []


async def test_a_timer_that_rings_can_clear_those_behind_it_and_bring_them_back() -> None:
    timed = Timed(alarm)
    async with timed.driver:
        await timed.tick(
            Event("a", 10, "set 50 x;clear 60 y;clear 60 z;set 60 z"),
            Event("a", 10, "set 60 y"),
            Event("a", 10, "set 60 z"),
        )
        assert await timed.tick(Event("b", 90, "clear 0 -")) == [("a", "x at 50"), ("a", "z at 60")]
        assert await timed.tick(Event("b", 99, "clear 0 -")) == []
        # The same for one of the same time, whose turn is behind that of the one that does it.
        await timed.tick(Event("a", 99, "set 110 x;clear 110 z;set 110 z"), Event("a", 99, "set 110 z"))
        assert await timed.tick(Event("b", 120, "clear 0 -")) == [("a", "x at 110"), ("a", "z at 110")]
        assert timed.stored("own") == []


async def test_a_timer_that_was_cleared_and_is_set_behind_its_time_waits_for_the_next_batch() -> None:
    timed = Timed(alarm)
    async with timed.driver:
        await timed.tick(
            Event("a", 10, "set 50 x;clear 60 y"), Event("a", 10, "set 60 y"), Event("a", 10, "set 70 z;set 60 y")
        )
        assert await timed.tick(Event("b", 90, "clear 0 -")) == [("a", "x at 50"), ("a", "z at 70")]
        assert await timed.tick(Event("b", 90, "clear 0 -")) == [("a", "y at 60")]


async def test_timers_of_keys_that_are_equal_but_of_different_types_are_different_timers() -> None:
    timed = Timed(alarm)
    keys: list[Any] = [1, 1.0, True]
    async with timed.driver:
        for key in keys:
            await timed.tick(Event(key, 10, "set 50 x;clear 60 y"), Event(key, 10, "set 60 y"))
        await timed.tick(Event(keys[1], 10, "clear 50 x;clear 60 y"))
        rung = await timed.tick(Event("b", 90, "clear 0 -"))
        assert [(repr(key), text) for key, text in rung] == [
            ("1", "x at 50"),
            ("True", "x at 50"),
            ("1.0", "y at 60"),
        ]
        assert timed.stored("own") == []


@pytest.mark.parametrize("steps", [[200], [120, 200], [101, 110, 111, 139, 140, 141, 200]])
async def test_a_timer_that_sets_further_ones_does_the_same_in_one_leap_of_the_watermark_as_in_many(
    steps: list[int],
) -> None:
    timed = Timed(alarm)
    async with timed.driver:
        await timed.tick(Event("a", 100, "in 10 one;in 30 two,in 30 three,in 40 four"), Event("b", 100, "set 145 x"))
        rung = [row for step in steps for row in await timed.tick(Event("b", step, "clear 0 -"))]
        assert rung == [("a", "one at 110"), ("a", "two at 140"), ("b", "x at 145"), ("a", "three at 170")]
        assert await timed.tick(Event("b", 209, "clear 0 -")) == []
        assert await timed.tick(Event("b", 210, "clear 0 -")) == [("a", "four at 210")]


async def test_a_timer_that_sets_one_for_no_later_than_itself_has_it_ring_in_the_next_batch() -> None:
    timed = Timed(alarm, trigger=Asap())
    async with timed.driver as driver:
        timed.source.send([Event("a", 100, "set 90 x;set 90 y"), Event("a", 100, "clear 0 -")])
        await driver.settle()
        assert [list(rows) for rows in timed.sink.batches.values()] == [[("a", "x at 90")], [("a", "y at 90")]]


async def test_all_timers_ring_when_bounded_input_ends() -> None:
    timed = Timed(alarm)
    async with timed.driver:
        await timed.tick(Event("a", 10, "set 500 x"), Event("b", 10, f"set {1 << 61} far"), Event("a", 10, "set 20 y"))
        assert await timed.end() == [("a", "y at 20"), ("a", "x at 500"), ("b", f"far at {1 << 61}")]
        assert timed.stored("own") == []


async def test_a_timer_that_sets_the_next_one_goes_on_to_the_last_that_was_set_before_the_end() -> None:
    class Clock(KeyedProcess[str, str, str]):
        def process(self, context: Context, value: str) -> Iterable[str]:
            context.set_event_timer(context.timestamp + 10, value)
            context.set_event_timer(context.timestamp + 35, "last")
            return ()

        def on_timer(self, context: Context, timer: Timer) -> Iterable[str]:
            if timer.name == "tick":
                context.set_event_timer(timer.time + 10, "tick")
            yield f"{timer.name} {timer.time}"

    timed = Timed(lambda keyed: keyed.process(Clock(), name="own"))
    async with timed.driver:
        await timed.tick(Event("a", 100, "tick"))
        ticks = [("a", "tick 110"), ("a", "tick 120"), ("a", "tick 130")]
        assert await timed.end() == [*ticks, ("a", "last 135")]
        assert timed.stored("own") == []


async def test_a_run_behind_the_end_of_time_goes_on_where_the_watermark_was() -> None:
    class Watermarks(KeyedProcess[str, str, int]):
        def process(self, context: Context, value: str) -> Iterable[int]:
            context.set_event_timer(500)
            return [context.watermark]

        def on_timer(self, context: Context, timer: Timer) -> Iterable[int]:
            return ()

    events = [Event("a", 100, "x"), Event("a", 200, "x")]
    first = Timed(lambda keyed: keyed.process(Watermarks(), name="own"))
    await first.driver.start()
    await first.tick(*events)
    await first.end()
    second = Timed(lambda keyed: keyed.process(Watermarks(), name="own"))
    second.driver = Driver(second.app, disk=first.driver.disk, clock=first.driver.clock)
    second.source.send(events)
    await second.driver.start()
    assert await second.tick(Event("a", 300, "x")) == [("a", 200)]
    await second.end()


async def test_timers_ring_without_records_when_the_source_falls_silent() -> None:
    timed = Timed(alarm, idle_after="10s", trigger=Asap())
    async with timed.driver as driver:
        timed.source.send([Event("a", 100, "set 5100 x")])
        await driver.settle()
        # Quiet since 1, idle at 10_001; from then on the watermark is as far ahead as the silence has lasted.
        await driver.advance("9s999ms")
        assert timed.sink.values == []
        await driver.advance("1ms")
        assert timed.sink.values == [("a", "x at 5100")]
        assert driver.clock.now() == 10_001
        timed.source.send([Event("a", 200, "set 15100 y")])
        await driver.settle()
        # That batch was the second one within a millisecond, so it has the next as its time.
        await driver.advance("14s900ms")
        assert len(timed.sink.values) == 1
        await driver.advance("1ms")
        assert timed.sink.values[1:] == [("a", "y at 15100")]


async def test_in_batch_time_the_watermark_is_the_trigger_time() -> None:
    timed = Timed(alarm, event_time=False)
    async with timed.driver:
        assert await timed.tick(Event("a", 0, "set 2000 exact"), Event("a", 0, "set 2001 later")) == []
        assert await timed.tick() == [("a", "exact at 2000")]
        assert await timed.tick() == [("a", "later at 2001")]
        assert await timed.tick(Event("a", 0, "in 1 now")) == [("a", "now at 4000")]


async def test_in_batch_time_timers_wake_an_app_that_waits_for_records() -> None:
    timed = Timed(alarm, event_time=False, trigger=Asap())
    async with timed.driver as driver:
        timed.source.send([Event("a", 0, "set 700 x")])
        await driver.settle()
        await driver.advance("698ms")
        assert timed.sink.values == []
        await driver.advance("1ms")
        assert timed.sink.values == [("a", "x at 700")]


async def test_the_watermark_in_batch_time_is_the_time_of_the_records_until_they_are_through() -> None:
    class Watermarks(KeyedProcess[str, str, int]):
        def process(self, context: Context, value: str) -> Iterable[int]:
            context.set_event_timer(context.timestamp)
            return [context.watermark]

        def on_timer(self, context: Context, timer: Timer) -> Iterable[int]:
            return [context.watermark]

    timed = Timed(lambda keyed: keyed.process(Watermarks()), event_time=False)
    async with timed.driver:
        assert await timed.tick(Event("a", 0)) == [("a", 999), ("a", 1000)]


class Both(KeyedProcess[str, str, str]):
    def process(self, context: Context, value: str) -> Iterable[str]:
        context.set_event_timer(1_500, value)
        context.set_timer(1_500, value)
        if value == "other":
            context.clear_timer(1_500, value)
        return ()

    def on_timer(self, context: Context, timer: Timer) -> Iterable[str]:
        yield f"{timer.kind} {timer.name} {timer.time}"


async def test_timers_of_both_kinds_don_t_know_each_other() -> None:
    timed = Timed(lambda keyed: keyed.process(Both()))
    async with timed.driver:
        assert await timed.tick(Event("a", 10, "x"), Event("a", 10, "other")) == []
        assert await timed.tick() == [("a", "processing x 1500")]
        assert await timed.tick(Event("b", 1_600, "other")) == [
            ("a", "event other 1500"),
            ("a", "event x 1500"),
            ("b", "event other 1500"),
        ]


class FailsAtTimers(KeyedProcess[str, str, str]):
    rung = Value(int, default=0)

    def process(self, context: Context, value: str) -> Iterable[str]:
        context.set_event_timer(context.timestamp + 10, value)
        if value == "bad":
            context.clear_event_timer(20, "kept")
            raise ValueError(value)
        return ()

    def on_timer(self, context: Context, timer: Timer) -> Iterable[str]:
        rung = context.value(self.rung)
        rung.set(rung.get() + 1)
        context.set_event_timer(timer.time + 1, "next")
        yield f"{timer.name} {rung.get()}"
        if timer.name == "worse":
            raise ValueError(timer.name)


async def test_what_a_failing_call_did_to_timers_is_taken_back() -> None:
    timed = Timed(lambda keyed: keyed.process(FailsAtTimers(), name="own"), on_error="skip")
    async with timed.driver as driver:
        await timed.tick(Event("a", 10, "kept"), Event("a", 10, "bad"), Event("b", 10, "worse"))
        assert await timed.tick(Event("c", 20, "bad")) == [("a", "kept 1")]
        assert driver.state("own", "rung") == {"a": 1}
        assert await timed.tick(Event("c", 21, "bad")) == [("a", "next 2")]
        operator = driver.metrics.operators["own"]
        assert (operator.skipped, operator.timers) == (4, 3)


async def test_results_of_timers_get_into_the_windows_of_their_times() -> None:
    def windows(keyed: KeyedStream[str, Any]) -> KeyedStream[str, Any]:
        return alarm(keyed).window(Tumbling("50ms")).aggregate(collect())

    timed = Timed(windows)
    async with timed.driver:
        await timed.tick(Event("a", 10, "set 49 x"), Event("a", 10, "set 50 y"))
        results = await timed.tick(Event("a", 500, "clear 0 -"))
        assert [(result.start, result.value) for _, result in results] == [(0, ["x at 49"]), (50, ["y at 50"])]


async def test_results_of_a_timer_for_a_time_that_has_passed_are_not_late() -> None:
    def windows(keyed: KeyedStream[str, Any]) -> KeyedStream[str, Any]:
        return alarm(keyed).window(Tumbling("50ms")).aggregate(collect())

    timed = Timed(windows)
    async with timed.driver as driver:
        await timed.tick(Event("a", 120, "clear 0 -"))
        await timed.tick(Event("a", 120, "set 30 x"))
        results = await timed.tick(Event("a", 500, "clear 0 -"))
        assert [(result.start, result.value) for _, result in results] == [(100, ["x at 30"])]
        assert sum(operator.late for operator in driver.metrics.operators.values()) == 0


async def test_the_time_of_an_event_timer_is_an_integer() -> None:
    class Odd(KeyedProcess[str, str, str]):
        def process(self, context: Context, value: str) -> Iterable[str]:
            half: Any = 0.5
            context.set_event_timer(half)
            return ()

    timed = Timed(lambda keyed: keyed.process(Odd()))
    with pytest.raises(OperatorError, match=r"a timer for 0\.5: expected epoch milliseconds as an int"):
        async with timed.driver:
            await timed.tick(Event("a", 10))
