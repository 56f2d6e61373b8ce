"""`check_source`: the conformance suite of sources. What it checks is written in `streamproc.io.source`."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from streamproc.durations import Duration, to_ms
from streamproc.errors import SourceError
from streamproc.eventtime.clock import Clock
from streamproc.io.source import JOURNAL_PARTITION, Source, SourceContext
from streamproc.testing.checked_reader import CheckedReader, Expected, Progress, beside
from streamproc.testing.clock import VirtualClock
from streamproc.testing.journal import MemoryJournal

__all__ = ["check_source"]

T = TypeVar("T")


async def check_source(
    make: Callable[[], Source[T]],
    expected: Sequence[T] | Mapping[str, Sequence[T]],
    *,
    feed: Callable[[], Awaitable[object]] | None = None,
    all_here: bool = True,
    chunk: int = 1,
    clock: Clock | None = None,
    restarts: int = 10,
    patience: Duration = "5s",
    seed: int | None = None,
) -> None:
    """Check that a source keeps the rules on which exactly-once rests.

    It is read many times: in takes of various limits; from committed positions, as after a crash; in many short lives,
    each of which ends with records taken but not committed; with a partition that is paused; up to what is there now,
    as with the trigger `Once`; by two shards. Each time, every record must come once and in the order of its partition,
    and every call is checked: limits, segments, positions, that ``take`` never waits, that ``wait`` can be cancelled,
    that ``close`` works after a ``start`` that failed or never was.

    Args:
        make: Makes the definition; called for each life. All of them read the same input.
        expected: The records, decoded: by partition, or a plain sequence if there is one partition only.
        feed: Sends the input into a source that can't read it again, such as a socket; awaited once, beside the first
            reader. All later ones find the records in the journal, which survives the crashes.
        all_here: Whether all records are there from the beginning (or in the journal); False for a source that makes
            them as time goes by.
        chunk: How many records the source can only give together; such a chunk may pass the limits of a batch.
        clock: The clock; by default a virtual one, moved to the next time that the reader waits for. A source whose
            time-outs must not come early takes the real one.
        restarts: From how many committed positions, chosen at random, to start again.
        patience: How long, in real time, any call may take.
        seed: Decides on all that is random; the one of a failed check is in the error's notes.

    Raises:
        AssertionError: A rule is broken.

    Example:
        >>> import asyncio
        >>> from streamproc.connectors.memory import MemorySource
        >>> asyncio.run(check_source(lambda: MemorySource([["a", "b"], ["c"]]), ["a", "b", "c"]))
    """
    seed = Random().randrange(1 << 32) if seed is None else seed  # noqa: S311
    suite = _Suite(
        make,
        Expected(expected),
        Random(seed),  # noqa: S311
        VirtualClock() if clock is None else clock,
        chunk,
        to_ms(patience, what="patience") / 1000,
    )
    try:
        await suite.check_close()
        passed = await suite.check_first_read(feed)
        await suite.check_restarts(passed, restarts)
        await suite.check_uncommitted_takes()
        await suite.check_pause()
        await suite.check_bound(all_here=all_here)
        if all_here and feed is None:
            await suite.check_shards()
    except Exception as error:
        error.add_note(f"in check_source(..., seed={seed})")
        raise


@dataclass(slots=True)
class _Suite:
    """What the checks share."""

    make: Callable[[], Source[Any]]
    expected: Expected
    random: Random
    clock: Clock
    chunk: int
    patience: float
    journal: MemoryJournal = field(default_factory=MemoryJournal)

    async def check_close(self) -> None:
        """Close readers that were never started, and that were started at positions they can't know."""
        await self.make().open(self.context(MemoryJournal())).close()
        reader = self.make().open(self.context(MemoryJournal()))
        try:
            await reader.start({"no such partition": "no such position"})
        except SourceError:
            pass
        except Exception as error:
            raise AssertionError(
                f"start() raised {error!r} for a position that it does not know: expected a SourceError that says so"
            ) from error
        finally:
            await reader.close()

    async def check_first_read(self, feed: Callable[[], Awaitable[object]] | None) -> list[Progress]:
        """Read all; return the progress before each take."""
        async with self.life(Progress(), journal=self.journal) as life, beside((feed or no_feed)()) as feeding:
            try:
                passed = await life.read(self.random, total=self.expected.total)
            except AssertionError:
                if feeding.done():
                    await feeding  # if it has failed, that is what explains missing records
                raise
            await feeding
            await life.check_end()
            return [*passed, life.progress.copy()]

    async def check_restarts(self, passed: list[Progress], restarts: int) -> None:
        """Start again from committed positions, the first and the last among them, and read the rest."""
        chosen = self.random.sample(passed, min(restarts, len(passed)))
        for progress in (passed[0], passed[-1], *chosen):
            async with self.life(progress.copy()) as life:
                await life.read(self.random, total=self.expected.total)
                await life.check_end()

    async def check_uncommitted_takes(self) -> None:
        """Live many short lives; each takes records, commits, and takes more that are lost with the crash."""
        committed = Progress()
        while committed.total < self.expected.total:
            journal = self.journal.copy()
            async with self.life(committed, journal=journal) as life:
                await life.read(self.random, total=self.ahead(committed))
                committed = life.progress.copy()
                trim(journal, committed)
                await life.reader.acknowledge(committed.positions)
                await life.read(self.random, total=self.ahead(committed))

    async def check_pause(self) -> None:
        """Pause one of the partitions until all others are read."""
        async with self.life(Progress()) as life:
            await life.read_around(self.random)
            await life.check_end()

    async def check_bound(self, *, all_here: bool) -> None:
        """Read to the end of what is there now; then go on behind it."""
        for start in (0, self.expected.total // 2):
            async with self.life(Progress()) as life:
                await life.read(self.random, total=start)
                progress = life.progress.copy()
            async with self.life(progress) as life:
                await life.reader.bound()
                await life.read(self.random, total=None)
                progress = life.progress.copy()
                assert progress.total == self.expected.total or not life.reader.bounded, (
                    f"bounded is true, which says that no later run will find more, but the reader finished after "
                    f"{progress.total} of {self.expected.total} records"
                )
                assert not all_here or progress.total == self.expected.total, (
                    f"after bound(), the reader finished with {progress.total} of {self.expected.total} records, which "
                    f"were all there (if they come as time goes by: check_source(..., all_here=False))"
                )
            async with self.life(progress) as life:
                await life.read(self.random, total=self.expected.total)
                await life.check_end()

    async def check_shards(self) -> None:
        """Read as two shards: each partition is read by one of them."""
        counts = Counter[str]()
        for shard in range(2):
            async with self.life(Progress(), shard=shard, shards=2) as life:
                await life.reader.bound()
                await life.read(self.random, total=None)
                shared = counts.keys() & life.progress.counts.keys()
                assert not shared, f"partitions {sorted(shared)} were read by both of two shards"
                counts += life.progress.counts
        assert counts.total() == self.expected.total, (
            f"two shards together have read {counts.total()} of {self.expected.total} records"
        )

    @asynccontextmanager
    async def life(
        self, progress: Progress, *, journal: MemoryJournal | None = None, shard: int = 0, shards: int = 1
    ) -> AsyncGenerator[CheckedReader, None]:
        """Start a reader at some progress; what is read moves the progress on."""
        source = self.make()
        journal = self.journal.copy() if journal is None else journal
        trim(journal, progress)
        reader = source.open(self.context(journal, shard, shards))
        try:
            await reader.start(dict(progress.positions))
            yield CheckedReader(
                reader,
                source.decoder,
                self.expected,
                progress,
                clock=self.clock,
                chunk=self.chunk,
                patience=self.patience,
            )
        finally:
            # A dead process has closed its files and sockets too.
            await reader.close()

    def context(self, journal: MemoryJournal, shard: int = 0, shards: int = 1) -> SourceContext:
        """Return what the engine would give."""
        return SourceContext("source", self.clock, lambda: journal, shard, shards)

    def ahead(self, progress: Progress) -> int:
        """Return a total to read to: some records further, at most all."""
        return min(self.expected.total, progress.total + self.random.randint(1, 1 + self.expected.total // 3))


async def no_feed() -> None:
    """Do nothing: the source finds its input by itself."""


def trim(journal: MemoryJournal, committed: Progress) -> None:
    """Remove what the engine would remove at a commit."""
    position = committed.positions.get(JOURNAL_PARTITION)
    if isinstance(position, int):
        journal.trim(before=position)
