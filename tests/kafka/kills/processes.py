"""Processes that start at once: forked from one that has imported what they need."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamproc.eventtime.clock import SystemClock

__all__ = ["Process", "run_in_process"]

_SECONDS = 90
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.kafka.kills.job"])


class Process:
    """A function that runs in a process of its own."""

    def __init__(self, function: Callable[..., None], *arguments: Any) -> None:
        self._process = _context.Process(target=function, args=arguments)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def terminate(self) -> None:
        """Ask it to stop, by SIGTERM."""
        self._process.terminate()

    async def end(self) -> int:
        """Wait for its end, and return what that was: 0, 1 after an error, or less the signal that killed it."""
        # In this thread: two that look after children at the same time take the exit codes from each other.
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            async with asyncio.timeout(_SECONDS):
                await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
            self.kill()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def kill(self) -> None:
        """End it by SIGKILL if it runs, frozen or not."""
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()

    async def is_frozen(self) -> None:
        """Return once it was stopped by SIGSTOP."""
        clock = SystemClock()
        state = Path(f"/proc/{self.pid}/stat")
        async with asyncio.timeout(_SECONDS):
            while (await asyncio.to_thread(state.read_text)).rpartition(")")[2].split()[0] != "T":
                await clock.sleep_until(clock.now() + 5)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)


async def run_in_process(function: Callable[..., None], *arguments: Any) -> int:
    """Run a function in a process of its own, and return how that ended; see `Process.end`."""
    return await Process(function, *arguments).end()
