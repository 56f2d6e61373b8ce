"""`Survivor`: runs an app through crashes, as whoever restarts it would."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from streamproc.testing import CrashPoint, Driver

__all__ = ["Survivor"]


class Survivor:
    """A driver whose engine is started again each time that it has crashed.

    Args:
        driver: The driver, not started.
        crash: Where to crash first.
    """

    def __init__(self, driver: Driver, crash: CrashPoint | None) -> None:
        self._driver = driver
        self.crashes = 0
        """How often the engine has crashed."""
        if crash is not None:
            driver.crash_at(crash.step, crash.occurrence)

    async def start(self) -> None:
        """Start the engine."""
        await self._survive(self._driver.start)

    async def tick(self) -> None:
        """Let the trigger's interval pass."""
        await self._survive(self._driver.tick)

    async def finish(self) -> None:
        """Let intervals pass until the engine ends by itself."""
        while self._driver.running:
            await self.tick()

    async def stop(self) -> None:
        """Stop the engine, again if it has crashed while it was stopping."""
        await self._survive(self._driver.stop)
        await self._driver.stop()

    async def _survive(self, act: Callable[[], Awaitable[None]]) -> None:
        await act()
        if self._driver.crashed:
            self.crashes += 1
            await self._driver.restart()
