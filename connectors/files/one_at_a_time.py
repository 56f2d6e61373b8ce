"""`OneAtATime`: blocking calls on state that only one thread may touch at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar

__all__ = ["OneAtATime"]

P = ParamSpec("P")
R = TypeVar("R")


class OneAtATime:
    """Runs blocking functions in threads, never two of them at the same time.

    A thread can't be stopped. When a caller is cancelled while its function runs, the function runs on to its end, and
    the next call waits for that first. So functions that change their object only by running to the end leave it whole.
    """

    def __init__(self) -> None:
        self._running: asyncio.Future[Any] | None = None

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function in a thread and return its result.

        Raises:
            BaseException: What the function raised, or what an earlier one raised after its caller had gone.
        """
        await self.idle()
        call = asyncio.get_running_loop().run_in_executor(None, partial(function, *args, **kwargs))
        self._running = call
        # Unlike awaiting the future itself, this leaves it running when the caller is cancelled.
        await asyncio.wait([call])
        self._running = None
        return call.result()

    async def idle(self) -> None:
        """Return once nothing runs.

        Raises:
            BaseException: What a function raised after its caller had gone.
        """
        while (running := self._running) is not None:
            await asyncio.wait([running])
            self._running = None
            running.result()

    async def settle(self) -> None:
        """Return once nothing runs; how a function ended whose caller has gone is of no interest any more."""
        if (running := self._running) is not None:
            await asyncio.wait([running])
            self._running = None
            running.exception()
