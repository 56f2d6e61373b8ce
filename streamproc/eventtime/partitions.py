"""The watermarks of the partitions that a stream is read from, and what they come to: timestamps in, decisions out.

The watermark of a partition is its newest timestamp less the bound on disorder; that of the stream is the smallest of
all partitions that may hold it back. These don't:

* a partition that has ended;
* an *idle* one: nothing was left to read in it, and nothing came, for the time of ``idle_after``. One in which records
  wait (because of a limit, or because its broker is gone) is not idle, however long that takes.

When all are idle, nobody is there to wait for, and the watermark goes on as fast as the clock: so the last windows of
a stream that has fallen silent close too. It never goes back: a record that comes after all may be late.

*Alignment* keeps partitions together that are read at different speeds: one that is ahead of the slowest by more than
the limit is to be paused. A partition in which nothing is left to read doesn't hold others up.

Idleness begins anew with each process: while none runs, nobody looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Final, NamedTuple

from streamproc.watermark import END_OF_TIME, START_OF_TIME, Watermark

__all__ = ["EventTimeProgress", "Partition", "PartitionProgress", "PartitionWatermarks"]


_LOOK_AGAIN_MS: Final = 1_000
"""After how long at most to look again whether something is left in a partition."""


class Partition(NamedTuple):
    """A partition of a source; one that has no partitions of its own is one with the name ``""``."""

    source: str
    name: str


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """How far one partition of a source has come in event time.

    Attributes:
        source: The operator name of the source.
        partition: The source's name for the partition.
        newest: The newest timestamp that was read, in epoch milliseconds; None before the first.
        watermark: Its watermark; None before the first record.
        lag_ms: By how much its newest timestamp is behind the time of the last batch; None before the first record.
        quiet_since: Since when nothing is left to read in it; None while there is.
        idle: Whether it is quiet for so long that it doesn't hold the watermark back any more.
        paused: Whether it is paused, as it is too far ahead of the slowest.
        ended: Whether nothing will come any more.
        holds: Whether the watermark is its own.
    """

    source: str
    partition: str
    newest: int | None
    watermark: int | None
    lag_ms: int | None
    quiet_since: int | None
    idle: bool
    paused: bool
    ended: bool
    holds: bool


@dataclass(frozen=True, slots=True)
class EventTimeProgress:
    """How far a stream has come in event time.

    Attributes:
        watermark: The watermark of the stream, in epoch milliseconds; None before there is one.
        partitions: How far each partition has come that is read for it, in the order of their names.
    """

    watermark: int | None
    partitions: list[PartitionProgress]


class PartitionWatermarks:
    """The partitions that one ``event_time`` reads.

    Args:
        newest: The newest timestamp of each partition that was read before.
        out_of_orderness: The bound on disorder, in milliseconds.
        idle_after: After how long without records a partition is idle, in milliseconds; None for never.
        alignment: How far a partition may be ahead of the slowest, in milliseconds; None for any distance.
    """

    def __init__(
        self, newest: Mapping[Partition, int], *, out_of_orderness: int, idle_after: int | None, alignment: int | None
    ) -> None:
        self._newest = dict(newest)
        self._bound = out_of_orderness
        self._idle_after = idle_after
        self._alignment = alignment
        self._open: set[Partition] = set(newest)
        self._ended: set[Partition] = set()
        self._quiet: dict[Partition, int] = {}
        self._paused: frozenset[Partition] = frozenset()
        self._all_ended = False

    @property
    def known(self) -> Set[Partition]:
        """All partitions, those that have ended too."""
        return self._open | self._ended

    @property
    def paused(self) -> frozenset[Partition]:
        """The partitions that are too far ahead, as of the last `advance`."""
        return self._paused

    def observe(self, partition: Partition, newest: int) -> bool:
        """Learn the newest timestamp of some records, and return whether it is the partition's newest of all."""
        self._open.add(partition)
        self._quiet.pop(partition, None)
        if newest <= self._newest.get(partition, START_OF_TIME):
            return False
        self._newest[partition] = newest
        return True

    def forget(self, partition: Partition) -> None:
        """Learn that a partition is not read any more."""
        self._open.discard(partition)
        self._ended.discard(partition)
        self._quiet.pop(partition, None)
        self._newest.pop(partition, None)

    def end(self, partition: Partition) -> None:
        """Learn that nothing will come from a partition any more."""
        self._open.discard(partition)
        self._quiet.pop(partition, None)
        self._ended.add(partition)

    def advance(self, caught_up: Mapping[Partition, bool], now: int, *, ended: bool = False) -> Watermark:
        """Learn for each partition that is read whether nothing is left in it, and return the watermark.

        Args:
            caught_up: All partitions that are read and have not ended.
            now: The time of the batch.
            ended: Whether all sources have ended, also those of which no partition was ever known.
        """
        self._all_ended = ended
        for partition, nothing_left in caught_up.items():
            self._open.add(partition)
            if not nothing_left or partition in self._paused:
                self._quiet.pop(partition, None)
            else:
                self._quiet.setdefault(partition, now)
        self._paused = self._too_far_ahead()
        return self._at(now)

    def next_look(self, now: int) -> int | None:
        """Return when to look at partitions again though nothing has come: None if there is no need to.

        That is when the next one becomes idle. But where one isn't known to be quiet, as it was not looked at since the
        start, or its source didn't know yet or can't look, nobody tells when that changes.

        Args:
            now: The time of the last `advance`.
        """
        if self._idle_after is None:
            return None
        times = [time for since in self._quiet.values() if (time := since + self._idle_after) > now]
        if self._open - self._quiet.keys() - self._paused:
            times.append(now + min(self._idle_after, _LOOK_AGAIN_MS))
        return min(times, default=None)

    def reaches(self, watermark: int, now: int) -> int | None:
        """Return when the watermark gets to a time if nothing comes until then; None if it doesn't."""
        if self._at(now).time >= watermark:
            return now
        if self._idle_after is None:
            return None
        # Time moves the watermark only when a partition becomes idle, and when all are.
        for time in sorted(since + self._idle_after for since in self._quiet.values()):
            if self._at(time).time >= watermark:
                return time
        if not self._open <= self._quiet.keys():
            return None
        return min((watermark - own + since for own, since in self._clocks()), default=None)

    def progress(self, now: int) -> list[PartitionProgress]:
        """Return how far each partition has come, in the order of their names."""
        held_at = self._at(now)
        found: list[PartitionProgress] = []
        for partition in sorted(self._open | self._ended):
            newest = self._newest.get(partition)
            watermark = None if newest is None else newest - self._bound
            ended, idle = partition in self._ended, self._is_idle(partition, now)
            own = START_OF_TIME if watermark is None else watermark
            found.append(
                PartitionProgress(
                    source=partition.source,
                    partition=partition.name,
                    newest=newest,
                    watermark=watermark,
                    lag_ms=None if newest is None else now - newest,
                    quiet_since=self._quiet.get(partition),
                    idle=idle,
                    paused=partition in self._paused,
                    ended=ended,
                    holds=not (ended or idle or held_at.idle) and own == held_at.time,
                )
            )
        return found

    def _at(self, time: int) -> Watermark:
        """Return the watermark at a time, if nothing comes until then."""
        if self._all_ended or (not self._open and self._ended):
            return Watermark(END_OF_TIME)
        active = [partition for partition in self._open if not self._is_idle(partition, time)]
        if active or not self._open:
            # Before the first partition is known, too.
            return Watermark(min(map(self._own, active), default=START_OF_TIME))
        return Watermark(max((own + time - since for own, since in self._clocks()), default=START_OF_TIME), idle=True)

    def _clocks(self) -> list[tuple[int, int]]:
        """Return from which watermarks, and since when, time goes on with the clock once all partitions are idle."""
        last = max(self._quiet.values(), default=0)
        return [
            (self._own(partition), self._quiet.get(partition, last))
            for partition in (self._open | self._ended) & self._newest.keys()
        ]

    def _own(self, partition: Partition) -> int:
        newest = self._newest.get(partition)
        return START_OF_TIME if newest is None else newest - self._bound

    def _is_idle(self, partition: Partition, time: int) -> bool:
        since = self._quiet.get(partition)
        return since is not None and self._idle_after is not None and time - since >= self._idle_after

    def _too_far_ahead(self) -> frozenset[Partition]:
        if self._alignment is None:
            return frozenset()
        slowest = min(
            (self._newest[partition] for partition in self._open & self._newest.keys() - self._quiet.keys()),
            default=END_OF_TIME,
        )
        return frozenset(
            partition
            for partition in self._open & self._newest.keys()
            if self._newest[partition] - slowest > self._alignment
        )
