"""`check_sink`: the conformance suite of sinks. What it checks is written in `streamproc.io.sink`."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from streamproc.batch import Batch
from streamproc.io.sink import OutboxEntry, Sink, SinkContext, SinkWriter
from streamproc.testing.clock import VirtualClock
from streamproc.testing.crash import CrashPoint, SimulatedCrash, Steps

__all__ = ["check_sink"]

S = TypeVar("S", bound=Sink[Any])

_START_TIME = 1_700_000_000_000
_DOWN = "1d"
"""How long the virtual process is down between two lives: an output that depends on the clock shows."""


async def check_sink(
    make: Callable[[], S],
    batches: Sequence[Sequence[Any]],
    *,
    read: Callable[[S], Sequence[Any]],
    expected: Sequence[Any] | None = None,
) -> None:
    """Check that a sink keeps the rules on which exactly-once rests.

    Batches are encoded and published with gaps between their ids. Then again on fresh outputs: with a restart behind
    each batch and its batch published once more; and with a crash at every step that the writer names, where it is
    abandoned without ``close``, opened again, and given what is not known to be published, with a second crash at every
    step of that recovery. The output must be that of the undisturbed run; where the sink is at-least-once, it may hold
    the rows of a batch twice. Also checked: that ``encode`` has no effect, that ``start`` returns the last batch id,
    that ``close`` works without ``start``, and that two shards don't write over each other.

    Args:
        make: Makes a definition with a fresh, empty output; called for each run. A restart opens the same definition.
        batches: The rows of each batch: at least two batches, no empty one.
        read: Returns the output that anybody can see now, as a sequence to compare.
        expected: What the undisturbed run must have written, as ``read`` returns it; None where the rest is enough.

    Raises:
        AssertionError: A rule is broken.

    Example:
        >>> import asyncio
        >>> from streamproc.connectors.memory import MemorySink
        >>> asyncio.run(check_sink(MemorySink[str], [["a"], ["b", "c"]], read=lambda sink: sink.values))
    """
    if len(batches) < 2 or not all(batches):
        raise ValueError(f"check_sink needs at least two batches of at least one row each, got {list(batches)!r}")
    suite = _Suite(make, read, batches)
    await suite.check_encode_has_no_effect()
    output = await suite.check_undisturbed(expected)
    await suite.check_restarts(output)
    await suite.check_crashes(output)
    await suite.check_shards(output)


class _Run(Generic[S]):
    """One output and the lives of the writers that fill it: what the engine's commits and outbox amount to."""

    def __init__(self, sink: S, batches: Sequence[Sequence[Any]]) -> None:
        self.sink = sink
        self.clock = VirtualClock(_START_TIME)
        self.outbox: list[OutboxEntry] = []
        self._uncommitted = [Batch(list(rows)) for rows in batches]
        self._last_id = 0

    @property
    def exactly_once(self) -> bool:
        """Whether the sink promises that."""
        return self.sink.delivery == "exactly_once"

    def open(self, steps: Steps, shard: int = 0, shards: int = 1) -> SinkWriter:
        """Make a writer."""
        return self.sink.open(SinkContext("app", "sink", self.clock, shard, shards, steps, committed=self._last_id))

    def commit(self, writer: SinkWriter) -> OutboxEntry | None:
        """Encode the next batch and put it into the outbox; None when there are no more."""
        if not self._uncommitted:
            return None
        payload = writer.encode(self._uncommitted[0])
        del self._uncommitted[0]
        # 1, 3, 4, 6, 7, ...: other sinks have the batches between.
        self._last_id += 1 if self._last_id % 3 != 1 else 2
        entry = OutboxEntry(self._last_id, _START_TIME + 1_000 * self._last_id, payload)
        self.outbox.append(entry)
        return entry

    async def recover(self, steps: Steps) -> SinkWriter:
        """Start a writer and publish what is in the outbox and not known to be published.

        Raises:
            SimulatedCrash: As armed; the writer is abandoned.
        """
        writer = self.open(steps)
        last = await writer.start()
        assert last is None or last <= self._last_id, (
            f"start() returned batch id {last}, but the last one that was committed is {self._last_id}"
        )
        self.outbox = [entry for entry in self.outbox if last is None or entry.batch_id > last]
        await self._publish(writer, steps)
        return writer

    async def live(self, steps: Steps) -> None:
        """Recover, then commit and publish all further batches; close.

        Raises:
            SimulatedCrash: As armed; the writer is abandoned.
        """
        writer = await self.recover(steps)
        while self.commit(writer):
            await self._publish(writer, steps)
        await writer.close()

    async def _publish(self, writer: SinkWriter, steps: Steps) -> None:
        while self.outbox:
            # Where the engine itself can crash, around the writer's own steps.
            steps("committed")
            await writer.publish(self.outbox[0])
            steps("published")
            del self.outbox[0]

    async def crash(self, point: CrashPoint) -> None:
        """Live until a crash."""
        steps = Steps()
        steps.arm(point.step, point.occurrence)
        with warnings.catch_warnings():
            # The files of a dead process are closed without a word; so are those of an abandoned writer.
            warnings.simplefilter("ignore", ResourceWarning)
            try:
                await self.live(steps)
            except SimulatedCrash:
                pass
            else:
                raise AssertionError(f"step {point} was reached in one run and not in the same run again")
            gc.collect(1)


@dataclass(frozen=True, slots=True)
class _Suite(Generic[S]):
    """What the checks share."""

    make: Callable[[], S]
    read: Callable[[S], Sequence[Any]]
    batches: Sequence[Sequence[Any]]

    async def check_encode_has_no_effect(self) -> None:
        """Encode batches that are never published."""
        run = self.run()
        empty = self.output(run)
        await run.open(Steps()).close()
        writer = run.open(Steps())
        last = await writer.start()
        assert last is None, f"start() returned batch id {last} on a fresh output, expected None"
        while run.commit(writer):
            pass
        await writer.close()
        assert self.output(run) == empty, (
            f"encode() without publish() has changed the output from {short(empty)} to {short(self.output(run))}"
        )

    async def check_undisturbed(self, expected: Sequence[Any] | None) -> list[Any]:
        """Publish all; return the output."""
        run = self.run()
        writer = run.open(Steps())
        await writer.start()
        while entry := run.commit(writer):
            before = self.output(run)
            await writer.publish(entry)
            assert self.output(run) != before, f"the rows of batch {entry.batch_id} can't be seen after its publish()"
        output = self.output(run)
        await writer.close()
        assert self.output(run) == output, (
            f"close() has changed the output from {short(output)} to {short(self.output(run))}"
        )
        assert expected is None or output == list(expected), f"wrote {short(output)}, expected {short(list(expected))}"
        return output

    async def check_restarts(self, output: list[Any]) -> None:
        """Start again behind each batch, and publish it once more."""
        run = self.run()
        writer = run.open(Steps())
        await writer.start()
        while entry := run.commit(writer):
            await writer.publish(entry)
            await writer.close()
            run.clock.advance(_DOWN)
            writer = run.open(Steps())
            self.check_last_id(run, await writer.start(), entry.batch_id)
            await writer.publish(entry)
        await writer.close()
        self.compare(run, output, "each batch was published once more after a restart")

    async def check_crashes(self, output: list[Any]) -> None:
        """Crash at every step, and at every step of the recovery from that."""
        points = await self.steps_after()
        schedules = [[first] for first in points]
        schedules += [[first, second] for first in points for second in await self.steps_after(first)]
        for schedule in schedules:
            run = self.run()
            for point in schedule:
                await run.crash(point)
            await run.live(Steps())
            self.compare(run, output, f"of a crash at {', and then at '.join(map(str, schedule))}")

    async def check_shards(self, output: list[Any]) -> None:
        """Publish the same from two shards."""
        sink = self.make()
        for shard in range(2):
            run = _Run(sink, self.batches)
            writer = run.open(Steps(), shard, shards=2)
            last = await writer.start()
            assert last is None, f"start() of shard {shard} returned batch id {last}, which another shard has published"
            while entry := run.commit(writer):
                await writer.publish(entry)
            await writer.close()
        both = list(self.read(sink))
        assert len(both) == 2 * len(output), (
            f"two shards have written {len(output)} rows each, and the output has {len(both)}: {short(both)}"
        )

    def run(self) -> _Run[S]:
        """Return a run on a fresh output."""
        return _Run(self.make(), self.batches)

    def output(self, run: _Run[S]) -> list[Any]:
        """Return what can be seen."""
        return list(self.read(run.sink))

    async def steps_after(self, *crashes: CrashPoint) -> list[CrashPoint]:
        """Return the steps at which a run can crash; after a crash, those until its batches are published only."""
        run = self.run()
        for point in crashes:
            await run.crash(point)
        steps = Steps()
        if crashes:
            await (await run.recover(steps)).close()
        else:
            await run.live(steps)
        return steps.reached

    def check_last_id(self, run: _Run[S], last: int | None, right: int) -> None:
        """Check what start() returned."""
        known = (right,) if run.exactly_once else (right, None)
        assert last in known, f"start() returned batch id {last} after a restart, expected {right}: the last published"

    def compare(self, run: _Run[S], right: list[Any], because: str) -> None:
        """Check the output of a disturbed run."""
        output = self.output(run)
        if run.exactly_once:
            assert output == right, f"the output is {short(output)} because {because}, expected {short(right)}"
        else:
            lost = [row for row in right if output.count(row) < right.count(row)]
            foreign = [row for row in output if row not in right]
            assert not lost, f"rows are missing because {because}: {short(lost)}"
            assert not foreign, f"there are other rows than without it, because {because}: {short(foreign)}"


def short(rows: list[Any]) -> str:
    """Return rows for a message."""
    text = repr(rows)
    return text if len(text) <= 500 else f"{text[:500]}... ({len(rows)} rows)"
