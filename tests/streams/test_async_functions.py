"""``async def`` functions: bounded, ordered or not, with time-out and retry, inside the same exactly-once batch."""

from __future__ import annotations

import asyncio

import pytest

from streamproc import App, Asap, DeadLetterRecord, OperatorError, PipelineError, Retry, dead_letter
from streamproc.connectors.memory import MemorySink, MemorySource
from streamproc.testing import Driver, VirtualClock


class Service:
    """A service that answers when the clock says so, and counts how many ask at once."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.asked: list[int] = []
        self.at_once = 0
        self.most_at_once = 0

    async def double(self, number: int) -> int:
        self.asked.append(number)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            # The first asked are answered last.
            await self.clock.sleep_until(self.clock.now() + 100 - number)
        finally:
            self.at_once -= 1
        return number * 2


def job(*values: int) -> tuple[App, MemorySource[int], MemorySink[int], Driver, Service]:
    source = MemorySource([list(values)])
    source.close()
    app = App("async", trigger=Asap())
    clock = VirtualClock(start=1)
    return app, source, MemorySink[int](), Driver(app, clock=clock), Service(clock)


async def run_to_end(driver: Driver) -> None:
    await driver.start()
    await driver.finish()


async def test_results_keep_the_order_of_their_records() -> None:
    app, source, sink, driver, service = job(1, 2, 3, 4, 5)
    app.source(source).map(service.double, concurrency=2).to(sink)
    await run_to_end(driver)
    assert sink.values == [2, 4, 6, 8, 10]
    assert service.most_at_once == 2


async def test_unordered_results_come_as_they_are_done() -> None:
    app, source, sink, driver, service = job(1, 2, 3)
    app.source(source).map(service.double, ordered=False).to(sink)
    await run_to_end(driver)
    assert sink.values == [6, 4, 2]
    assert service.most_at_once == 3


async def test_filter_flat_map_key_by_and_branch_await_too() -> None:
    async def even(number: int) -> bool:
        return number % 2 == 0

    async def twice(number: int) -> list[int]:
        return [number, number]

    app, source, sink, driver, _ = job(1, 2, 3)
    rest_sink = MemorySink[int]()
    evens, rest = app.source(source).branch(even)
    evens.filter(even).flat_map(twice).to(sink)
    rest.key_by(even).map_values(lambda number: number).map(lambda pair: pair[1]).to(rest_sink)
    await run_to_end(driver)
    assert sink.values == [2, 2]
    assert rest_sink.values == [1, 3]


async def test_a_call_that_takes_too_long_is_cancelled_and_fails() -> None:
    app, source, sink, driver, service = job(1)
    app.source(source).map(service.double, timeout="50ms").to(sink)
    with pytest.raises(OperatorError, match="TimeoutError: no result within 50 ms"):
        await run_to_end(driver)
    assert service.at_once == 0


async def test_a_retry_waits_longer_each_time() -> None:
    tried: list[int] = []
    app, source, sink, driver, _ = job(7)

    async def third_time_lucky(number: int) -> int:
        tried.append(driver.clock.now())
        if len(tried) < 3:
            raise ConnectionError("not yet")
        return number

    app.source(source).map(third_time_lucky, retry=Retry(3, backoff="1s", retry_on=(ConnectionError,))).to(sink)
    await run_to_end(driver)
    assert sink.values == [7]
    assert [later - tried[0] for later in tried] == [0, 1_000, 3_000]


async def test_a_failed_call_is_not_made_again_for_the_sake_of_its_position() -> None:
    called: list[int] = []

    async def fail_on_two(number: int) -> int:
        called.append(number)
        if number == 2:
            raise ValueError("two")
        return number

    app, source, sink, driver, _ = job(1, 2, 3)
    bad = MemorySink[DeadLetterRecord]()
    app.source(source, name="s").flat_map(lambda n: [n]).map(fail_on_two, on_error=dead_letter(bad)).to(sink)
    await run_to_end(driver)
    assert sink.values == [1, 3]
    assert [record.position for record in bad.values] == ["s [0] at 1"]
    assert sorted(called) == [1, 2, 3]


async def test_other_tasks_run_while_a_batch_waits() -> None:
    app, source, sink, driver, _ = job(1)
    asked, answered = asyncio.Event(), asyncio.Event()

    async def wait_for_answer(number: int) -> int:
        asked.set()
        await answered.wait()
        return number

    app.source(source).map(wait_for_answer).to(sink)
    running = asyncio.ensure_future(run_to_end(driver))
    await asked.wait()
    answered.set()
    await running
    assert sink.values == [1]


def test_options_for_awaiting_are_refused_with_a_plain_function() -> None:
    with pytest.raises(PipelineError, match="concurrency, timeout: only for an async def function"):
        App("async").source(MemorySource[int]()).map(lambda n: n, concurrency=2, timeout="1s")


async def test_a_call_that_awaits_something_cancelled_is_a_failed_call() -> None:
    app, source, sink, driver, _ = job(1, 2, 3)
    bad = MemorySink[DeadLetterRecord]()

    async def two_is_cancelled(number: int) -> int:
        if number == 2:
            shared = asyncio.get_running_loop().create_future()
            shared.cancel()
            await shared
        return number

    app.source(source).map(two_is_cancelled, concurrency=1, on_error=dead_letter(bad)).to(sink)
    await run_to_end(driver)
    assert sink.values == [1, 3]
    assert [record.value for record in bad.values] == [2]


async def test_a_flat_map_that_returns_nothing_to_iterate_over_is_a_failed_call() -> None:
    app, source, sink, driver, _ = job(1, 2)

    async def spread(number: int) -> list[int]:
        return [number] if number == 1 else None  # type: ignore[return-value]  # pyright: ignore[reportReturnType]

    app.source(source).flat_map(spread, name="spread", on_error="skip").to(sink)
    await run_to_end(driver)
    assert sink.values == [1]
    assert driver.metrics.operators["spread"].skipped == 1
