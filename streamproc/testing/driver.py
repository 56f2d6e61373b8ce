"""`Driver`: runs an app on the real engine, with virtual time, state in memory, and crashes on demand."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from streamproc.app import App
from streamproc.dataflow.variables import Variable
from streamproc.durations import Duration, to_ms
from streamproc.engine.query import Queries, StateView
from streamproc.engine.shard import Shard
from streamproc.metrics import JobMetrics
from streamproc.state.memory import MemoryDisk, MemoryStore
from streamproc.state.tables import Tables
from streamproc.testing.clock import VirtualClock
from streamproc.testing.crash import SimulatedCrash, Steps
from streamproc.triggers import Interval

__all__ = ["Driver"]

_TURNS = 25
"""How many turns of the event loop to wait for what may still come: the longest chain of wake-ups, from a source that
has data to the driver that begins a batch, takes about ten."""


class Driver:
    """Runs an app step by step in a test.

    The engine is the real one. Time passes only by `advance`; what the app remembers is on ``disk``; sources and sinks
    are what the app was built with, so those in memory are the natural choice.

    Args:
        app: The app.
        disk: Where state is kept; a new one by default.
        clock: The time; by default a new one at one millisecond, so that the first batch of an interval is at its end.

    Example:
        async with Driver(app) as driver:
            source.send(["a", "b"])
            await driver.advance("500ms")
            assert sink.values == [...]
    """

    def __init__(self, app: App, *, disk: MemoryDisk | None = None, clock: VirtualClock | None = None) -> None:
        self.app = app
        self.disk = disk or MemoryDisk()
        self.clock = clock or VirtualClock(start=1)
        self.steps = Steps()
        """The steps that the engine has reached since the last start; see `crash_at`."""
        self.crashed = False
        """Whether the engine ended by a crash; `restart` starts it anew."""
        self._store: MemoryStore | None = None
        self._shard: Shard | None = None
        self._task: asyncio.Task[None] | None = None
        self._threads = ThreadPoolExecutor(max_workers=1)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            await self.stop()
        elif self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def metrics(self) -> JobMetrics:
        """The counts since the last start."""
        return self.app.metrics

    @property
    def running(self) -> bool:
        """Whether the engine runs: it was started, and has neither finished, nor failed, nor crashed."""
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Start the engine on what is on the disk, and let it do what there is to do.

        Raises:
            StreamprocError: It refuses to start, or fails at once.
        """
        assert not self.running, "the engine runs already"
        self.crashed = False
        # One thread, so that what an engine that crashed has left running there is over before the next one begins.
        asyncio.get_running_loop().set_default_executor(self._threads)
        self._store = MemoryStore.open(self.disk)
        try:
            step = _Mortal(self.steps)
            self._shard = self.app.make_shard(self._store, where="memory", clock=self.clock, step=step)
        except BaseException:
            self._store.close()
            raise
        self._task = asyncio.create_task(self.app.run_shard(self._shard))
        await self.settle()

    async def stop(self) -> None:
        """Stop the engine gracefully and wait for it.

        Raises:
            StreamprocError: It failed.
        """
        if self.running:
            self.app.stop()
        await self._end()

    async def finish(self) -> None:
        """Wait until the engine ends by itself, and let as many intervals pass until then as its trigger needs.

        Raises:
            StreamprocError: It failed.
        """
        while self.running and isinstance(self.app.trigger, Interval):
            await self.tick()
        await self._end()

    def crash_at(self, step: str, occurrence: int = 1) -> None:
        """Stop the engine dead when it next reaches a step: nothing of it runs after that. See `STEPS`.

        Args:
            step: The name of the step: one of the loop, or of a source or sink in use; ``steps.reached`` lists them.
            occurrence: Which time it is reached from now, the next is 1.
        """
        self.steps.arm(step, occurrence)

    async def restart(self, *, crash_at: str | None = None) -> None:
        """Start the engine anew on the same disk, after a crash or a stop.

        Args:
            crash_at: A step to crash at again, while it recovers or later.

        Raises:
            StreamprocError: It refuses to start, or fails at once.
        """
        assert not self.running, "the engine runs: stop() it, or let it crash"
        await asyncio.to_thread(lambda: None)
        if self.crashed and self._shard is not None:
            await self._shard.abandon()
        self.steps = Steps()
        if crash_at is not None:
            self.steps.arm(crash_at)
        self.disk.crash()
        await self.start()

    async def advance(self, duration: Duration) -> None:
        """Let time pass, and the engine do all that comes due, each thing at its time.

        When the engine crashes, time stands still at the crash.

        Raises:
            StreamprocError: It failed.
        """
        until = self.clock.now() + to_ms(duration, what="the time to advance", zero=True)
        await self.settle()
        while self.running and (wakeup := self.clock.next_wakeup()) is not None and wakeup <= until:
            self.clock.advance_to(wakeup)
            await self.settle()
        if not self.crashed:
            self.clock.advance_to(max(until, self.clock.now()))

    async def tick(self, batches: int = 1) -> None:
        """Let the trigger's interval pass, once or several times."""
        trigger = self.app.trigger
        assert isinstance(trigger, Interval), f"the trigger is {trigger}: tick() needs an Interval, use advance()"
        for _ in range(batches):
            await self.advance(f"{trigger.every_ms - self.clock.now() % trigger.every_ms}ms")

    async def settle(self) -> None:
        """Let the engine run until it waits for time to pass or for records to come.

        Waits inside a batch, such as a retry's, are jumped over: the clock is moved on to their end.

        Raises:
            StreamprocError: It failed.
        """
        while self.running:
            assert self._shard is not None
            wakeups = self._shard.wakeups
            await self._turns()
            if self._shard.idle and self._shard.wakeups == wakeups:
                return
            if self._shard.processing and (wakeup := self.clock.next_wakeup()) is not None:
                self.clock.advance_to(max(wakeup, self.clock.now()))
        self._bury()

    def state(self, operator: str, variable: str = "state") -> dict[Any, Any]:
        """Return what an operator remembers, by key; also when the engine has ended or crashed.

        Args:
            operator: Its name.
            variable: Its variable: of `update_state_by_key` and `map_with_state` it is ``"state"``, of a
                `KeyedProcess` the attribute's name.
        """
        if self.running and self._shard is not None:
            return dict(self._shard.tables.table(operator, variable).items())
        self.disk.crash()
        store = MemoryStore.open(self.disk)
        try:
            return dict(Tables(store, cache_bytes=0).table(operator, variable).items())
        finally:
            store.close()

    def query(self, operator: str, variable: str | Variable = "state", /) -> StateView[Any, Any]:
        """Return the state that an operator has committed, as ``App.query`` does.

        Also when the engine has ended or crashed: then it is what the disk holds at this moment.
        """
        if self.running and self._shard is not None:
            return self._shard.queries.view(operator, variable)
        store = MemoryStore.open(self.disk.copy())
        return Queries(self.app.plan().operators, store, self.clock.now, lambda: None).view(operator, variable)

    async def _end(self) -> None:
        """Wait for the end of the engine, and raise what it failed with."""
        if self._task is not None:
            await asyncio.wait([self._task])
            self._bury()

    def _bury(self) -> None:
        """Take note of how the engine ended, and raise what it failed with."""
        if self._task is None:
            return
        task, self._task = self._task, None
        error = None if task.cancelled() else task.exception()
        self.crashed = isinstance(error, SimulatedCrash)
        if self._store is not None and not self.crashed:
            self._store.close()
        if error is not None and not self.crashed:
            raise error

    async def _turns(self) -> None:
        """Let the event loop turn a few times, so that what was woken runs."""
        loop = asyncio.get_running_loop()
        for _ in range(_TURNS):
            turned = loop.create_future()
            loop.call_soon(turned.set_result, None)
            await turned


class _Mortal:
    """The steps of one life of the engine: once it has crashed, it crashes at whatever step it tries."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._died: SimulatedCrash | None = None

    def __call__(self, step: str, /) -> None:
        if self._died is not None:
            raise self._died
        try:
            self._steps(step)
        except SimulatedCrash as crash:
            self._died = crash
            raise
