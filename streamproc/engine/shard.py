"""The driver: takes, processes and commits one batch after the other, and has them published.

This is the thin asyncio shell around `streamproc.engine.protocol` (what may be done) and `streamproc.engine.pace`
(when).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from itertools import chain
from typing import Any, cast

from streamproc.dataflow.nodes import DeadLetterSink, Write
from streamproc.dataflow.times import sources_asked_for_times
from streamproc.durations import format_ms
from streamproc.engine.blocked import Blocked
from streamproc.engine.compatibility import check_plan, encode_plan
from streamproc.engine.explanation import WindowExplanation
from streamproc.engine.inputs import Inputs, Taken
from streamproc.engine.job import Job
from streamproc.engine.operators.operator import OperatorContext
from streamproc.engine.outputs import Committed, Outputs, Publisher
from streamproc.engine.pace import Pace
from streamproc.engine.processor import Processor
from streamproc.engine.protocol import BatchProtocol, Waiting, recover
from streamproc.engine.query import Queries
from streamproc.engine.run import BatchRun
from streamproc.engine.waiting import first, uncancelled
from streamproc.errors import PipelineError, StopTimeoutError
from streamproc.eventtime.partitions import EventTimeProgress
from streamproc.io.sink import OutboxEntry
from streamproc.io.source import JOURNAL_PARTITION
from streamproc.metrics import BatchTimes, JobMetrics
from streamproc.planning.physical import PhysicalPlan
from streamproc.state.ledger import Identity, Ledger
from streamproc.state.store import Changes, StateStore
from streamproc.state.tables import Tables
from streamproc.triggers import Interval, Once

__all__ = ["Shard"]

log = logging.getLogger("streamproc.engine")

_MEASURE_EVERY_MS = 1_000
"""How much time lies between two looks at the size of the state, which asks the file system."""


class Shard:
    """One shard of a job: some partitions of each source, one state store, one event loop.

    Args:
        plan: What to run.
        store: The shard's state, open; it stays open when the shard ends.
        job: The job's identity, limits and ports.
        where: What to call the store in messages.

    Raises:
        StateError: The state is not one that this job can go on with.
    """

    def __init__(self, plan: PhysicalPlan, store: StateStore, job: Job, *, where: str) -> None:
        self.metrics = JobMetrics()
        self._job = job
        self._where = where
        self._store = store
        self._ledger = Ledger.open(store, Identity(job.app, job.shard, job.shards))
        check_plan(plan, self._ledger.plan, where=where)
        self._encoded_plan = encode_plan(plan)
        self._tables = Tables(store, cache_bytes=job.cache_bytes)
        blocked = Blocked(self.metrics, job.clock)
        timed = sources_asked_for_times(plan.operators)
        self._inputs = Inputs(plan.sources, job, self._ledger, blocked, timed=timed)
        sinks = [node for node in plan.operators if isinstance(node, Write | DeadLetterSink)]
        sources = {node.name: node.source for node in plan.sources}
        self._outputs = Outputs(sinks, job, self._ledger, blocked, sources=sources)
        context = OperatorContext(self._tables, job.clock, self._outputs.writers)
        self._processor = Processor(plan.operators, context, self.metrics)
        self._protocol = BatchProtocol(self._ledger.batch_id, job.max_in_flight)
        self._publisher = Publisher(self._outputs, self._protocol)
        self._pace = Pace(job.trigger, self._ledger.time, job.clock.now())
        self.queries = Queries(plan.operators, store, job.clock.now, self._check_running)
        """The committed state of the operators, to be looked at."""
        self._stopping = asyncio.Event()
        self._measure_state_at = 0
        self.running = False
        self.processing = False
        """Whether a batch is being processed."""
        self.idle = False
        """Whether there is nothing to do: all is published, and no batch is due."""
        self.wakeups = 0
        """How often the driver has waited for something to do, and it came."""

    @property
    def tables(self) -> Tables:
        """The state of the operators."""
        return self._tables

    @property
    def progress(self) -> dict[str, EventTimeProgress]:
        """How far the stream and the partitions have come that each ``event_time`` reads, by its name."""
        return self._processor.progress

    def explain_window(self, key: Any, time: int, operator: str | None) -> list[WindowExplanation]:
        """Return why the windows of a key that hold a time are open or not."""
        return self._processor.explain_window(key, time, operator)

    def _check_running(self) -> None:
        if not self.running:
            raise PipelineError(f"app {self._job.app!r} doesn't run, so its state can't be queried")

    def stop(self) -> None:
        """Begin no further batch; the one under way is committed and published. `run` then returns.

        When that takes longer than the job's limit, for example because a broker is gone, `run` raises instead.
        """
        self._stopping.set()

    async def run(self) -> None:
        """Recover, then run batches until `stop` is called or all sources have finished.

        Raises:
            StreamprocError: The job failed; it can be started again, and goes on behind the last committed batch.
        """
        self.running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                limit = tasks.create_task(self._limit_stop())
                await uncancelled(self._recover())
                # Also for who fails at once: positions can be reset only while no output waits.
                await self._forget_published()
                await uncancelled(self._inputs.start(once=isinstance(self._job.trigger, Once)))
                tasks.create_task(self._publisher.run())
                await uncancelled(self._drive())
                await self._publisher.finish()
                await uncancelled(self._acknowledge())
                await self._forget_published()
                limit.cancel()
        except BaseExceptionGroup as group:
            error = _only(group)
            raise error from error.__cause__
        finally:
            self.running = False
            await self._close()

    async def abandon(self) -> None:
        """Release what a shard that was stopped dead holds in this process, without any effect outside: for tests."""
        await self._inputs.close()

    async def _limit_stop(self) -> None:
        """Raise when a stop takes too long."""
        await self._stopping.wait()
        limit_ms = self._job.stop_timeout_ms
        await self._job.clock.sleep_until(self._job.clock.now() + limit_ms)
        blocked = "; ".join(f"{name}: {reason}" for name, reason in self.metrics.blocked.items())
        raise StopTimeoutError(
            f"the app has not stopped in {format_ms(limit_ms)}{f' ({blocked})' if blocked else ''}, so it was ended. "
            f"Nothing is lost: the next start publishes what is committed and goes on behind it. "
            f"The setting stop_timeout is the limit"
        )

    async def _recover(self) -> None:
        """Bring the sinks up to the last committed batch."""
        published = await self._outputs.start()
        rows = {(row.batch_id, row.sink): row for row in self._ledger.outbox()}
        waiting = [Waiting(batch_id, sink) for batch_id, sink in rows]
        missing = recover(
            self._ledger.batch_id, waiting, published, acknowledged=self._ledger.published, where=self._where
        )
        last_positions = {name: self._ledger.positions(name) for name in self._ledger.sources}
        for batch in missing:
            row = rows[batch.batch_id, batch.sink]
            positions = last_positions if row.batch_id == self._ledger.batch_id else {}
            await self._outputs.publish(row.sink, OutboxEntry(row.batch_id, row.time, row.payload, positions))
        if self._ledger.batch_id:
            log.info(
                "recovered", extra={"app": self._job.app, "batch": self._ledger.batch_id, "republished": len(missing)}
            )

    async def _drive(self) -> None:
        """Run batches until there is a reason to stop."""
        backlog = False
        final = False
        while not (final or self._stopping.is_set()):
            if not await self._wait(backlog):
                return
            self._job.step("before_take")
            began = self._job.clock.monotonic()
            taken = await self._inputs.take()
            self._job.step("after_take")
            taken_at = self._job.clock.monotonic()
            final = self._inputs.finished
            trigger_time = self._pace.begin(self._job.clock.now())
            self.processing = True
            run = await self._processor.process(taken, trigger_time, final=self._inputs.ended)
            self.processing = False
            self._inputs.pause(frozenset(chain.from_iterable(run.paused.values())))
            self._job.step("after_process")
            processed_at = self._job.clock.monotonic()
            backlog = taken.more
            if await self._commit(taken, run):
                committed_at = self._job.clock.monotonic()
                self.metrics.recent.append(
                    BatchTimes(
                        self._protocol.committed,
                        trigger_time,
                        taken.records,
                        taken_at - began,
                        processed_at - taken_at,
                        committed_at - processed_at,
                    )
                )
            else:
                self._pace.nothing_committed()
            await self._acknowledge()

    async def _wait(self, backlog: bool) -> bool:
        """Wait until the next batch is to begin, and return whether it is: false when the shard is to stop."""
        clock = self._job.clock
        by_interval = isinstance(self._job.trigger, Interval)
        timer = None if by_interval else self._processor.next_due()
        data = self._inputs.finished

        async def wait_for_data() -> None:
            nonlocal data
            await self._inputs.wait()
            data = True

        while not self._stopping.is_set():
            now = clock.now()
            due = self._pace.due(now, data=data, backlog=backlog, timer=timer)
            if due is not None and due <= now:
                return True
            waits: list[Coroutine[Any, Any, object]] = [self._stopping.wait(), self._publisher.published()]
            if due is not None:
                waits.append(clock.sleep_until(due))
            if not by_interval:
                waits.append(wait_for_data())
            self.idle = not self._protocol.in_flight
            await first(*waits)
            self.idle = False
            self.wakeups += 1
            await self._acknowledge()
        return False

    async def _commit(self, taken: Taken, run: BatchRun) -> bool:
        """Commit a batch if it has anything to commit, hand it to the publisher, and return whether it had."""
        if not (taken.positions or run.outputs or self._tables.dirty):
            self._processor.count(run)
            return False
        self._job.step("before_commit")
        await self._publisher.room()
        batch_id = self._protocol.next_batch
        changes = Changes()
        self._tables.collect(changes)
        self._ledger.record(
            changes,
            batch_id=batch_id,
            time=run.trigger_time,
            positions=taken.positions,
            outputs=run.outputs,
            published_through=self._protocol.published,
            plan=self._encoded_plan,
        )
        for name in self._inputs.journaled:
            position = taken.positions.get(name, {}).get(JOURNAL_PARTITION)
            if isinstance(position, int):
                self._ledger.trim_journal(changes, name, through=position - 1)
        await self._store.commit(changes)
        self._tables.committed()
        self._ledger.applied(batch_id, run.trigger_time)
        self._job.step("after_commit")
        self._protocol.on_committed(batch_id)
        await self._publisher.add(Committed(batch_id, run.trigger_time, run.outputs, taken.positions))
        self.metrics.batches += 1
        self.metrics.records += taken.records
        self.metrics.in_flight = self._protocol.in_flight
        self._processor.count(run)
        if run.trigger_time >= self._measure_state_at:
            self.metrics.state_bytes = self._store.size_bytes()
            self._measure_state_at = run.trigger_time + _MEASURE_EVERY_MS
        return True

    async def _acknowledge(self) -> None:
        """Tell the sources what is published. Called by the driver only: sources are used by one task."""
        while self._publisher.unacknowledged:
            self._job.step("before_acknowledge")
            batch = self._publisher.unacknowledged.popleft()
            await self._inputs.acknowledge(batch.positions)
            self.metrics.in_flight = self._protocol.in_flight
            self._job.step("after_acknowledge")

    async def _forget_published(self) -> None:
        """Take what is published out of the outbox; sinks may be removed from the pipeline when it is empty."""
        changes = Changes()
        self._ledger.clear_outbox(changes, published_through=self._protocol.published)
        if changes:
            await self._store.commit(changes)

    async def _close(self) -> None:
        """Close sources and sinks."""
        self._job.step("before_close")
        await self._inputs.close()
        await self._outputs.close()


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that a group of tasks ended with; further ones are noted on it."""
    leaves: list[BaseException] = []
    open_groups: list[BaseException] = [group]
    while open_groups:
        error = open_groups.pop(0)
        if isinstance(error, BaseExceptionGroup):
            open_groups += cast("BaseExceptionGroup[BaseException]", error).exceptions
        else:
            leaves.append(error)
    for further in leaves[1:]:
        leaves[0].add_note(f"at the same time: {type(further).__name__}: {further}")
    return leaves[0]
