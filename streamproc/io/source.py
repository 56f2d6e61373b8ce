"""What a source is: the contract between the engine and everything that records come from.

A source is a pair. The **definition** (`Source`) is a frozen dataclass that says what the user wants to read; it opens
nothing. The **reader** (`SourceReader`) is what runs, one per shard.

The rules that exactly-once rests on:

* A *position* names the next record to read in a *partition*. ``take`` returns records together with the positions
  behind them; the engine commits both effects and positions in one atomic write.
* After a crash, ``start`` is given the committed positions. From there the reader must give the same records again, in
  the same order within a partition (however they are cut into batches), each once, and none may be missing.
* A reader whose input can't be read again (a socket) writes what it receives to the `Journal` before ``take`` may
  return it, and reads from there after a crash. Its positions are those of the one partition `JOURNAL_PARTITION`; the
  engine removes the entries before the committed position.
* ``take`` doesn't wait for data: the driver decides when a batch begins, and learns from ``wait`` that there is some.
* All methods are called from one task, one at a time, except ``wait``, which may be cancelled and called again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from streamproc.batch import Segment
from streamproc.codecs import Decoder
from streamproc.eventtime.clock import Clock

__all__ = [
    "JOURNAL_PARTITION",
    "Extent",
    "Journal",
    "Limits",
    "Position",
    "PositionFinder",
    "Source",
    "SourceBatch",
    "SourceContext",
    "SourceReader",
]

T_co = TypeVar("T_co", covariant=True)

Position: TypeAlias = "int | str"
"""The next record to read in a partition: an offset, a sequence number, or text that only the reader understands."""

JOURNAL_PARTITION = "journal"
"""The partition of a source that reads from its journal; the position is the number of the next entry."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one ``take`` may return; the reader stops at the first limit reached.

    A reader gives at least one record when it has one, so that a single large record can't block a job for ever.
    """

    records: int
    bytes: int


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """What one ``take`` returns.

    Attributes:
        values: One item a record: `bytes` where the source has a decoder, else the finished value.
        segments: Which rows came from which partition; the counts add up to ``len(values)``.
        positions: For each partition read, the position behind the last row: where to go on after this batch. A
            partition may move without a row (a file at its end, control records). None forgets the partition.
        timestamps: The records' own times in epoch milliseconds, if the source knows them.
        more: Whether the reader stopped at a limit: there is more to take at once.
        caught_up: For each partition that is read, whether everything that is in it was taken, as far as the reader
            knows: false while it can't look. None where partitions are not told apart: then the source counts as one.
    """

    values: list[Any]
    segments: Sequence[Segment] = ()
    positions: Mapping[str, Position | None] = field(default_factory=dict[str, "Position | None"])
    timestamps: list[int] | None = None
    more: bool = False
    caught_up: Mapping[str, bool] | None = None


class Journal(Protocol):
    """Durable, ordered storage for received data that its sender won't send again.

    One per source, inside the shard's state store. Entries are numbered from 1 upwards without gaps. An entry survives
    the death of the process from the moment ``append`` returns, and the death of the machine from the next commit.
    """

    def append(self, entries: Sequence[bytes]) -> int:
        """Store entries, all or none, and return the number of the last one."""
        ...

    def read(self, after: int) -> Iterable[tuple[int, bytes]]:
        """Return the stored entries with a number above ``after``, in order."""
        ...


def no_step(step: str, /) -> None:
    """Do nothing: what readers and writers call at their inner steps outside of tests."""


def no_report(reason: str | None, /) -> None:
    """Do nothing: what readers and writers report to that nobody watches."""


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What the engine gives a source when it opens it.

    Attributes:
        name: The operator name of the source, unique in the app.
        shard: Which shard this is, from zero; a source with partitions reads those with ``p % shards == shard``.
        shards: How many shards the job has.
        clock: The time.
        journal: Opens this source's journal; call it only if the input can't be read again.
        step: To be called with a name at each inner step where a crash would matter; tests stop the engine there.
        app: The app's name.
        timed: Whether the records' own times are asked for; a source for which they cost something may leave them out
            otherwise.
        blocked: To be called with the reason whenever the source waits for something outside that should be there, such
            as a broker that is gone, and with None when it goes on; it is logged and shown in `JobMetrics.blocked`.
    """

    name: str
    clock: Clock
    journal: Callable[[], Journal]
    shard: int = 0
    shards: int = 1
    step: Callable[[str], None] = no_step
    app: str = "app"
    timed: bool = True
    blocked: Callable[[str | None], None] = no_report


class SourceReader(ABC):
    """Reads one source for one shard. See the module for the rules."""

    @abstractmethod
    async def start(self, positions: Mapping[str, Position]) -> None:
        """Open the input and go to the committed positions; empty on the very first start.

        Raises:
            SourceError: The input can't be opened, or a position is no longer there.
        """

    @abstractmethod
    async def take(self, limits: Limits) -> SourceBatch:
        """Return records that are here now, up to the limits, without waiting for more; possibly none."""

    @abstractmethod
    async def wait(self) -> None:
        """Return once ``take`` would return a record or ``finished`` has become true. May be cancelled."""

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether the input has ended and every record of it was taken. Once true it stays true."""

    @property
    def bounded(self) -> bool:
        """Whether the input itself ends where the reader is ``finished``, so that no later run will find more."""
        return False

    @abstractmethod
    async def bound(self) -> None:
        """Treat what is here now as the end of the input: the trigger is `Once`. Called once, after ``start``."""

    def pause(self, partitions: Collection[str]) -> None:
        """Take nothing from these partitions until the next call, and go on with all others.

        Called only for partitions that were told in `SourceBatch.caught_up`.
        """
        raise NotImplementedError(f"{type(self).__name__} tells partitions apart but has no pause()")

    async def acknowledge(self, positions: Mapping[str, Position | None]) -> None:
        """Learn that everything before these positions is committed and its outputs are published.

        For systems that show progress to their operators (a consumer group's offsets); nothing may depend on it.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release everything. Called once, also after errors; must not fail because ``start`` did."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What a partition holds now.

    Attributes:
        start: The position of its oldest record.
        end: The position behind its newest one.
    """

    start: Position
    end: Position


class PositionFinder(ABC):
    """Finds positions in a source of an app that is stopped, for those who look at them or move them."""

    @abstractmethod
    async def start(self) -> None:
        """Open the input.

        Raises:
            SourceError: It can't be opened.
        """

    @abstractmethod
    async def extents(self) -> Mapping[str, Extent]:
        """Return the partitions that the shard reads, and what each of them holds."""

    @abstractmethod
    async def at(self, time: int, partitions: Collection[str]) -> Mapping[str, Position]:
        """Return the positions of the first records with a timestamp or a later one; the end where there is none.

        Args:
            time: The timestamp, in epoch milliseconds.
            partitions: Some of those that ``extents`` names.
        """

    async def identities(self) -> Mapping[str, Position]:
        """Return what else the source has among its positions, as it is now, to recognise what these are for."""
        return {}

    async def moved(self, positions: Mapping[str, Position]) -> None:
        """Learn that the app will go on at these positions.

        For systems that show progress to their operators; nothing may depend on it.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release everything. Called once, also after errors; must not fail because ``start`` did."""


class Source(ABC, Generic[T_co]):
    """The definition of a source of ``T``: frozen, comparable, and cheap to make."""

    @property
    @abstractmethod
    def decoder(self) -> Decoder[T_co] | None:
        """How to turn the reader's bytes into values; None if the reader returns finished values."""

    @abstractmethod
    def open(self, context: SourceContext) -> SourceReader:
        """Make the reader for one shard; nothing is opened before its ``start``."""

    def finder(self, context: SourceContext) -> PositionFinder | None:
        """Return what finds positions for ``streamproc offsets``; None if those of this source can't be moved."""
        return None
