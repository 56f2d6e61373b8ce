"""Time in tests moves only when the test moves it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from streamproc.eventtime.clock import Clock
from streamproc.testing import VirtualClock


async def sleep_and_log(clock: Clock, when: int, log: list[tuple[int, int]]) -> None:
    await clock.sleep_until(when)
    log.append((when, clock.now()))


async def start(*tasks: asyncio.Task[None]) -> None:
    """Let tasks run until each of them waits."""
    await asyncio.wait(tasks, timeout=0)


def test_time_starts_where_it_is_told_and_moves_by_durations() -> None:
    clock = VirtualClock(start=1_000)
    clock.advance("500ms")
    clock.advance(timedelta(seconds=2))
    assert (clock.now(), clock.monotonic()) == (3_500, 3.5)
    clock.advance_to(3_500)
    assert clock.now() == 3_500


def test_time_does_not_go_back() -> None:
    clock = VirtualClock(start=1_000)
    with pytest.raises(ValueError, match="back from 1000 to 999"):
        clock.advance_to(999)
    assert clock.now() == 1_000


async def test_who_waits_for_the_past_does_not_wait() -> None:
    clock = VirtualClock(start=1_000)
    await clock.sleep_until(1_000)
    await clock.sleep_until(5)
    assert clock.next_wakeup() is None


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    clock, log = VirtualClock(), list[tuple[int, int]]()
    async with asyncio.TaskGroup() as tasks:
        sleepers = [tasks.create_task(sleep_and_log(clock, when, log)) for when in (300, 100, 200, 100, 900)]
        await start(*sleepers)
        assert clock.next_wakeup() == 100
        clock.advance_to(300)
        await start(*sleepers)
        assert log == [(100, 300), (100, 300), (200, 300), (300, 300)]
        assert clock.next_wakeup() == 900
        clock.advance_to(899)
        await start(*sleepers)
        assert len(log) == 4
        clock.advance_to(900)
    assert log[-1] == (900, 900)
    assert clock.next_wakeup() is None


async def test_by_moving_to_each_wakeup_every_sleeper_sees_its_own_time() -> None:
    clock, log = VirtualClock(), list[tuple[int, int]]()
    async with asyncio.TaskGroup() as tasks:
        sleepers = [tasks.create_task(sleep_and_log(clock, when, log)) for when in (30, 10, 20)]
        await start(*sleepers)
        while (wakeup := clock.next_wakeup()) is not None:
            clock.advance_to(wakeup)
            await start(*sleepers)
    assert log == [(10, 10), (20, 20), (30, 30)]


async def test_cancelled_sleepers_are_forgotten() -> None:
    clock, log = VirtualClock(), list[tuple[int, int]]()
    async with asyncio.TaskGroup() as tasks:
        early, late = (tasks.create_task(sleep_and_log(clock, when, log)) for when in (100, 200))
        await start(early, late)
        early.cancel()
        assert clock.next_wakeup() == 200
        clock.advance_to(200)
    assert log == [(200, 200)]
