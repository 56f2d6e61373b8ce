"""`App`: the one place where all is wired: pipelines, settings, state and the engine."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, overload

import msgspec

from streamproc.dataflow.dataflow import Dataflow
from streamproc.dataflow.nodes import Decode, Read
from streamproc.dataflow.policies import ErrorPolicy, check_policy
from streamproc.dataflow.variables import List, Map, Value, Variable
from streamproc.durations import to_ms
from streamproc.engine.explanation import WindowExplanation
from streamproc.engine.job import Job
from streamproc.engine.operators.event_time import to_timestamp
from streamproc.engine.query import StateView
from streamproc.engine.shard import Shard
from streamproc.errors import PipelineError, StreamprocError
from streamproc.eventtime.clock import Clock, SystemClock
from streamproc.eventtime.partitions import EventTimeProgress
from streamproc.io.source import Source, no_step
from streamproc.logs import configure_logging
from streamproc.metrics import JobMetrics
from streamproc.planning.physical import PhysicalPlan, plan
from streamproc.settings import Settings, load_settings, parse_trigger
from streamproc.state.rocksdb import RocksStore
from streamproc.state.store import StateStore
from streamproc.streams.stream import Stream
from streamproc.triggers import Asap, Interval, Once, Trigger

__all__ = ["App"]

T = TypeVar("T")
S = TypeVar("S")
M = TypeVar("M")

log = logging.getLogger("streamproc.app")


class App:
    """A streaming application: its pipelines, and the means to run them.

    Args:
        name: Identifies the app: its state, its consumer group, its transactions. Letters, digits, ``_``, ``.``, ``-``.
        trigger: When micro-batches begin; every 500 ms by default. The environment and ``streamproc.toml`` override it.
        on_error: The error policy of operators that have none of their own.
        settings: What else can be set; the environment and ``streamproc.toml`` override it (see `Settings`).

    Raises:
        PipelineError: The name or the policy is none.
        SettingsError: A setting is unknown or wrong.

    Example:
        >>> from streamproc.connectors.memory import MemorySource
        >>> app = App("shout", trigger=Asap())
        >>> app.source(MemorySource([["a", "b"]])).map(str.upper).print()
    """

    def __init__(
        self,
        name: str,
        *,
        trigger: Trigger | None = None,
        on_error: ErrorPolicy = "fail",
        settings: Settings | None = None,
    ) -> None:
        if not isinstance(name, str) or not name or not set(name) <= _NAME_CHARACTERS or name[0] in ".-":  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PipelineError(f"the app's name {name!r}: expected text of letters, digits, '_', '.' and '-'")
        self.name = name
        code = settings or Settings()
        if trigger is not None:
            code = msgspec.structs.replace(code, trigger=_trigger_text(trigger))
        self.settings = load_settings(code, os.environ, Path.cwd())
        self._dataflow = Dataflow(trigger=parse_trigger(self.settings.trigger), on_error=check_policy(on_error, name))
        self._shard: Shard | None = None
        self._stop_asked = False

    def __repr__(self) -> str:
        return f"<App {self.name}>"

    def source(
        self, source: Source[T], /, *, name: str | None = None, on_error: ErrorPolicy | None = None
    ) -> Stream[T]:
        """Return the stream of a source's records.

        Args:
            source: Where they come from.
            name: The operator's name, under which its positions are kept; by default ``source-1`` and so on.
            on_error: What to do with input that can't be decoded; by default what the app says.
        """
        if not isinstance(source, Source):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PipelineError(f"source: expected a source such as FileSource(...), got {source!r}")
        name = self._dataflow.name("source", name)
        node = self._dataflow.add(Read(name=name, source=source))
        if source.decoder is not None:
            policy = self._dataflow.policy(on_error, name)
            decode = self._dataflow.name("decode", f"{name}.decode")
            node = self._dataflow.add(Decode(name=decode, inputs=(node,), on_error=policy, source=source))
        return Stream(self._dataflow, node)

    def plan(self) -> PhysicalPlan:
        """Return what will run; ``print(app.plan().explain())`` shows it.

        Raises:
            PipelineError: Nothing is written anywhere.
        """
        return plan(self._dataflow)

    @property
    def trigger(self) -> Trigger:
        """When micro-batches begin, after all settings are applied."""
        return self._dataflow.trigger

    @property
    def metrics(self) -> JobMetrics:
        """The counts since the last start; empty before the first."""
        return JobMetrics() if self._shard is None else self._shard.metrics

    @property
    def event_time_progress(self) -> dict[str, EventTimeProgress]:
        """How far streams and the partitions of their sources have come, by the name of the ``event_time`` operator."""
        return {} if self._shard is None else self._shard.progress

    def explain_window(self, key: Any, time: int | datetime, *, operator: str | None = None) -> list[WindowExplanation]:
        """Return why the windows of a key that hold a time are open or not; for a running app.

        Sessions, and windows that look back from a record, are known while they are open: none is returned before and
        behind that. Windows of so many records have no times, and are left out.

        Args:
            key: The key; of operators whose windows are of all records, whatever it is.
            time: A time in the windows: epoch milliseconds, or a `datetime` with a time zone.
            operator: The name of a window operator; all by default.

        Raises:
            PipelineError: The app has not been started, or has no such operator; or it can be no key, or no time.

        Example:
            for explanation in app.explain_window("ann", datetime.now(UTC)):
                print(explanation)
        """
        if self._shard is None:
            raise PipelineError(f"{self!r} has not been started: only a running app knows its windows")
        try:
            timestamp = to_timestamp(time)
        except (TypeError, ValueError) as error:
            raise PipelineError(f"explain_window: {error}") from None
        return self._shard.explain_window(key, timestamp, operator)

    @overload
    def query(self, operator: str, variable: Value[S], /) -> StateView[Any, S]: ...
    @overload
    def query(self, operator: str, variable: List[S], /) -> StateView[Any, list[S]]: ...
    @overload
    def query(self, operator: str, variable: Map[M, S], /) -> StateView[Any, dict[M, S]]: ...
    @overload
    def query(self, operator: str, variable: str = "state", /) -> StateView[Any, Any]: ...
    def query(self, operator: str, variable: str | Variable = "state", /) -> StateView[Any, Any]:
        """Return the state that an operator of the running app has committed, key by key; read-only.

        Args:
            operator: The operator's name: of a ``process``, ``update_state_by_key``, ``map_with_state`` or ``running``.
            variable: The state variable, as a `KeyedProcess` declares it, or its name; the others have ``"state"``,
                which of ``running`` is the last result.

        Raises:
            PipelineError: The app has not been started, or has no such operator or variable.

        Example:
            app.query("totals").get("ann")
        """
        if self._shard is None:
            raise PipelineError(f"{self!r} has not been started: only a running app can be queried")
        return self._shard.queries.view(operator, variable)

    @property
    def state_path(self) -> Path:
        """The directory of this shard's state."""
        return Path(self.settings.state_dir) / self.name / str(self.settings.shard)

    def run(self) -> None:
        """Run the app in this process until it ends or is told to: for scripts and services.

        Uses uvloop where there is one, and logs to standard error unless logging is set up already. SIGTERM and SIGINT
        stop it gracefully: the batch under way is committed and published. A second signal ends it at once; nothing is
        lost then either.

        Raises:
            SystemExit: With code 1 after an error, which is logged; with 128 and the signal's number after a second
                signal.
        """
        if not logging.getLogger().handlers:
            configure_logging(self.settings.log_format, self.settings.log_level)
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._serve_until_signal())
        except StreamprocError as error:
            log.critical("the app failed: %s", error, extra={"app": self.name}, exc_info=_unexpected(error))
            raise SystemExit(1) from None

    async def serve(self) -> None:
        """Run the app inside a running event loop until it ends or `stop` is called.

        Raises:
            StreamprocError: It failed. It can be served again, and goes on behind the last committed batch.
        """
        try:
            store = RocksStore.open(self.state_path, cache_bytes=self.settings.cache_bytes)
            try:
                await self.run_shard(self.make_shard(store, where=str(self.state_path)))
            finally:
                store.close()
        finally:
            self._stop_asked = False

    def stop(self) -> None:
        """Ask the app to stop gracefully; `serve` then returns. One that doesn't run will stop as soon as it starts.

        So a stop is never lost, also one that comes between the call of ``serve`` and its first step.
        """
        self._stop_asked = True
        if self._shard is not None:
            self._shard.stop()

    def make_shard(
        self,
        store: StateStore,
        *,
        where: str,
        clock: Clock | None = None,
        step: Callable[[str], None] = no_step,
    ) -> Shard:
        """Return the shard of this app on a store, a clock and a step hook of the caller's: for test drivers."""
        settings = self.settings
        physical = self.plan()
        if physical.unused:
            log.warning("operators without an output don't run", extra={"app": self.name, "operators": physical.unused})
        job = Job(
            app=self.name,
            shard=settings.shard,
            shards=settings.shards,
            trigger=self.trigger,
            max_records=settings.max_records,
            max_bytes=settings.max_bytes,
            max_in_flight=settings.max_in_flight,
            cache_bytes=settings.cache_bytes,
            stop_timeout_ms=to_ms(settings.stop_timeout),
            clock=clock or SystemClock(),
            step=step,
        )
        return Shard(physical, store, job, where=where)

    async def run_shard(self, shard: Shard) -> None:
        """Run a shard as the app's running one."""
        if self._shard is not None and self._shard.running:
            raise PipelineError(f"{self!r} is running already: one app runs once at a time")
        self._shard = shard
        if self._stop_asked:
            shard.stop()
        try:
            await shard.run()
        finally:
            self._stop_asked = False

    async def _serve_until_signal(self) -> None:
        loop = asyncio.get_running_loop()
        serving = asyncio.ensure_future(self.serve())
        # Objects made by now live as long as the process: the collector need not look at them again. And it runs less
        # often than by default, as each run walks the lists of the batch, which live for that batch only.
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)

        stopping = False

        def on_signal(number: signal.Signals) -> None:
            nonlocal stopping
            if stopping:
                log.warning("ended by a second signal", extra={"app": self.name, "signal": number.name})
                sys.stderr.flush()
                os._exit(128 + number)
            stopping = True
            log.info("stopping", extra={"app": self.name, "signal": number.name})
            self.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal, number)
        try:
            await serving
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def _trigger_text(trigger: Trigger) -> str:
    """Return a trigger as the setting that names it."""
    match trigger:
        case Interval():
            return f"{trigger.every_ms}ms"
        case Asap():
            return "asap"
        case Once():
            return "once"
        case _:
            raise PipelineError(f'trigger is {trigger!r}: expected Interval("500ms"), Asap() or Once()')


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - it has no wheel for some platforms
    except ImportError:
        return None
    return uvloop.new_event_loop


def _unexpected(error: StreamprocError) -> Any:
    """Return the cause of an error, to be logged with its traceback; None if the message says it all."""
    cause = error.__cause__
    return (type(cause), cause, cause.__traceback__) if cause is not None else None
