"""Waiting: for the first of several things, and for what may be cancelled by somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from streamproc.errors import StreamprocError

__all__ = ["CancelledElsewhereError", "first", "uncancelled"]


T = TypeVar("T")


class CancelledElsewhereError(StreamprocError):
    """A function raised `asyncio.CancelledError` though nobody cancelled its task: it awaited something cancelled."""


async def uncancelled(call: Awaitable[T]) -> T:
    """Await a user's or a connector's code; a cancellation that nobody asked this task for becomes an error.

    A shared future that was cancelled raises `CancelledError` where it is awaited. A task group would take that for the
    orderly end of a task, and what the task had still to do would be lost in silence.
    """
    try:
        return await call
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise CancelledElsewhereError("something that was awaited had been cancelled") from error


async def first(*waits: Coroutine[Any, Any, object]) -> None:
    """Return when one of several waits is over, and cancel the others; raise what it raised."""
    if len(waits) == 1:
        await waits[0]
        return
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
