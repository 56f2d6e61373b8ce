"""Blocking calls of which a cancelled caller leaves one running."""

from __future__ import annotations

import asyncio
import threading

import pytest

from streamproc.connectors.files.one_at_a_time import OneAtATime


async def cancel_soon(call: asyncio.Future[None], started: threading.Event) -> None:
    """Cancel a caller whose function is at work."""
    await asyncio.wait([call], timeout=0)
    assert await asyncio.to_thread(started.wait, 5)
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()


async def test_the_next_call_waits_for_a_function_whose_caller_has_gone() -> None:
    calls, started, go_on = OneAtATime(), threading.Event(), threading.Event()
    done: list[str] = []

    def slow() -> None:
        started.set()
        assert go_on.wait(5)
        done.append("slow")

    await cancel_soon(asyncio.ensure_future(calls.run(slow)), started)
    following = asyncio.ensure_future(calls.run(done.append, "following"))
    await asyncio.to_thread(int)
    assert done == []
    go_on.set()
    await following
    assert done == ["slow", "following"]


async def test_its_error_is_raised_by_the_next_call_and_of_no_interest_at_the_end() -> None:
    for end in (False, True):
        calls, started, go_on = OneAtATime(), threading.Event(), threading.Event()

        def fail(started: threading.Event = started, go_on: threading.Event = go_on) -> None:
            started.set()
            assert go_on.wait(5)
            raise OSError("disk on fire")

        await cancel_soon(asyncio.ensure_future(calls.run(fail)), started)
        go_on.set()
        if end:
            await calls.settle()
        else:
            with pytest.raises(OSError, match="disk on fire"):
                await calls.run(int)
        assert await calls.run(int) == 0
