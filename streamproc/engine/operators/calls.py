"""Calls an ``async def`` function for many records: bounded, with time-out and retry."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from streamproc.dataflow.policies import AsyncOptions, Retry
from streamproc.engine.waiting import uncancelled
from streamproc.eventtime.clock import Clock

__all__ = ["Done", "call_all"]


@dataclass(frozen=True, slots=True)
class Done:
    """A finished call: which row it was for, and its result or its error."""

    row: int
    result: Any = None
    error: Exception | None = None


async def call_all(
    fn: Callable[[Any], Awaitable[Any]], rows: Sequence[Any], options: AsyncOptions, clock: Clock
) -> list[Done]:
    """Call a function for each row, and return when all calls are done.

    At most ``options.concurrency`` calls are under way at once. The results come in the order of the rows, or in the
    order in which they were done if ``options.ordered`` is false.
    """
    done: list[Done] = []
    todo = iter(enumerate(rows))

    async def work() -> None:
        for row, value in todo:
            try:
                done.append(Done(row, await uncancelled(_call(fn, value, options, clock))))
            except Exception as error:  # noqa: BLE001 - the operator's policy decides
                done.append(Done(row, error=error))

    async with asyncio.TaskGroup() as workers:
        for _ in range(min(options.concurrency, len(rows))):
            workers.create_task(work())
    if options.ordered:
        done.sort(key=attrgetter("row"))
    return done


async def _call(fn: Callable[[Any], Awaitable[Any]], value: Any, options: AsyncOptions, clock: Clock) -> Any:
    """Call a function for one row, again as the retry says."""
    retry = options.retry or Retry(attempts=1)
    for attempt in range(1, retry.attempts):
        try:
            return await _in_time(fn(value), options.timeout_ms, clock)
        except retry.retry_on:
            await clock.sleep_until(clock.now() + retry.backoff_ms * 2 ** (attempt - 1))
    return await _in_time(fn(value), options.timeout_ms, clock)


async def _in_time(call: Awaitable[Any], timeout_ms: int | None, clock: Clock) -> Any:
    """Await a call, and raise a `TimeoutError` if it isn't done in time by the clock."""
    if timeout_ms is None:
        return await call
    # Not asyncio.timeout: that follows the event loop's time, which a test can't advance.
    task = asyncio.ensure_future(call)
    alarm = asyncio.ensure_future(clock.sleep_until(clock.now() + timeout_ms))
    try:
        await asyncio.wait((task, alarm), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise TimeoutError(f"no result within {timeout_ms} ms")
    finally:
        task.cancel()
        alarm.cancel()
        await asyncio.gather(task, alarm, return_exceptions=True)
