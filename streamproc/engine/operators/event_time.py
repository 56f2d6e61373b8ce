"""Timestamps from records, and the watermark that follows from them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from streamproc.batch import Batch
from streamproc.dataflow.nodes import EventTime
from streamproc.dataflow.times import sources_of
from streamproc.durations import format_ms
from streamproc.engine.failures import Failures
from streamproc.engine.operators.operator import Operator, Reach
from streamproc.engine.run import BatchRun
from streamproc.errors import PipelineError
from streamproc.eventtime.clock import as_utc
from streamproc.eventtime.partitions import Partition, PartitionProgress, PartitionWatermarks
from streamproc.state.tables import Tables
from streamproc.watermark import END_OF_TIME, START_OF_TIME, Watermark

__all__ = ["EventTimeOperator"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_10000 = 253_402_300_800_000
_LIKE_SECONDS = range(10**9, 10**10)
"""Milliseconds of January to April 1970, which nobody has records of; as seconds they are of the years 2001 to 2286."""
_UNKNOWN = Partition("", "")
"""Where records are from that came through an operator which doesn't keep them in their order."""

log = logging.getLogger("streamproc.engine")


class EventTimeOperator(Operator):
    """Sets the timestamp column, and the watermark from the newest timestamps of the partitions.

    State layout, under the operator's name:

        newest      (source, partition) -> its newest timestamp
        watermark   -> the watermark: it never goes back
    """

    def __init__(self, node: EventTime, tables: Tables) -> None:
        self._node = node
        self._name = node.name
        self._fn = node.fn
        self._sources = sources_of(node)
        self._newest = tables.table(node.name, "newest")
        self._watermark = tables.table(node.name, "watermark", quiet=True)
        self._failures = Failures(node, node.fn)
        self._partitions: PartitionWatermarks | None = None
        self._time = START_OF_TIME
        self._warned = False

    def process(self, run: BatchRun, inputs: Sequence[Batch]) -> Batch:
        """Return the rows with their timestamps."""
        (batch,) = inputs
        partitions = self._known()
        self._time = run.trigger_time
        stamped = self._stamp(run, batch)
        for partition, newest in _newest_of(stamped).items():
            self._warn_of_seconds(newest)
            if partitions.observe(partition, newest):
                self._newest.put(tuple(partition), newest)
        caught_up = {partition: done for partition, done in run.caught_up.items() if partition.source in self._sources}
        ended = self._sources <= run.ended
        if stamped.runs is None:
            caught_up = {} if ended else {_UNKNOWN: all(caught_up.values())}
        self._end_and_forget(partitions, caught_up, run.ended)
        watermark = partitions.advance(caught_up, run.trigger_time, ended=ended)
        run.paused[self._name] = partitions.paused
        return replace(stamped, watermark=self._never_back(batch, watermark))

    def next_due(self) -> int | None:
        """Return when to look again whether partitions are idle."""
        return self._known().next_look(self._time)

    def reaches(self, watermark: int, inputs: Sequence[Reach]) -> int | None:
        """Return when the watermark is there if no records come."""
        return self._known().reaches(watermark, self._time)

    @property
    def watermark(self) -> int | None:
        """The watermark of the last batch before the end of time; None before there is one."""
        watermark: int | None = self._watermark.get(None)
        return None if watermark == START_OF_TIME else watermark

    def progress(self) -> list[PartitionProgress]:
        """Return how far each partition has come."""
        return self._known().progress(self._time)

    def _warn_of_seconds(self, newest: int) -> None:
        """Warn once of times that are meant to be milliseconds, but look like seconds."""
        if newest in _LIKE_SECONDS and not self._warned:
            self._warned = True
            log.warning(
                "event times look like seconds: expected milliseconds",
                extra={"operator": self._name, "event_time": newest, "read_as": as_utc(newest)},
            )

    def _known(self) -> PartitionWatermarks:
        """Return the partitions, those of the state at first."""
        if self._partitions is None:
            self._partitions = PartitionWatermarks(
                {Partition(*partition): newest for partition, newest in self._newest.items()},
                out_of_orderness=self._node.out_of_orderness_ms,
                idle_after=self._node.idle_after_ms,
                alignment=self._node.alignment_ms,
            )
        return self._partitions

    def _end_and_forget(
        self, partitions: PartitionWatermarks, caught_up: Mapping[Partition, bool], ended: Set[str]
    ) -> None:
        for partition in list(partitions.known):
            if partition.source in ended or (partition == _UNKNOWN and self._sources <= ended):
                partitions.end(partition)
            elif partition not in caught_up:
                partitions.forget(partition)
                self._newest.delete(tuple(partition))

    def _never_back(self, batch: Batch, watermark: Watermark) -> Watermark:
        """Return the watermark, or the one before if that is later."""
        if batch.watermark.time == END_OF_TIME:
            return Watermark(END_OF_TIME)
        before: int | None = self._watermark.get(None)
        if watermark.time == END_OF_TIME or (before is not None and before == watermark.time):
            return watermark
        if before is not None and before > watermark.time:
            return replace(watermark, time=before)
        self._watermark.put(None, watermark.time)
        return watermark

    def _stamp(self, run: BatchRun, batch: Batch) -> Batch:
        """Return the rows that have a good timestamp, with it."""
        rows = batch.rows()
        limit = _YEAR_10000
        if self._node.max_ahead_ms is not None:
            limit = min(limit, run.trigger_time + self._node.max_ahead_ms + 1)
        try:
            times = self._times(batch, rows)
            if set(map(type, times)) - {int} or (times and not 0 <= min(times) <= max(times) < limit):
                times = [self._checked(time, run) for time in times]
            return replace(batch, timestamps=times)
        except PipelineError:
            raise
        except Exception:  # noqa: BLE001, S110 - whatever it is, the records are tried one by one
            pass
        good: list[int] = []
        timestamps: list[int] = []
        for row, element in enumerate(rows):
            try:
                (time,) = self._times(batch.take([row]), [element])
                timestamps.append(self._checked(time, run))
                good.append(row)
            except Exception as error:  # noqa: BLE001 - the policy decides
                self._failures.handle(run, error, element, batch.origins, row)
        kept = replace(batch.take(good), timestamps=timestamps)
        return kept if run.lineage else replace(kept, origins=None)

    def _times(self, batch: Batch, rows: Sequence[Any]) -> list[Any]:
        """Return the time of each row as it is given.

        Raises:
            PipelineError: It isn't given.
        """
        fn = self._fn
        if fn is not None:
            # Not list(map(...)): a function that raises StopIteration would end the list early, and silently.
            return [fn(row) for row in rows]
        if batch.timestamps is None and rows:
            raise PipelineError(
                f"{self._name}: event_time() without a function takes the times of the source, but it gives none: "
                f"give a function that returns a record's time"
            )
        return batch.timestamps or []

    def _checked(self, time: Any, run: BatchRun) -> int:
        """Return a time as epoch milliseconds.

        Raises:
            TypeError: It is neither an integer nor a `datetime` with a time zone.
            ValueError: It is before 1970, after the year 9999, or too far ahead of the clock.
        """
        checked = to_timestamp(time)
        ahead = self._node.max_ahead_ms
        if ahead is not None and checked - run.trigger_time > ahead:
            raise ValueError(
                f"event time {time} is {format_ms(checked - run.trigger_time)} ahead of the clock, and max_ahead is "
                f"{format_ms(ahead)}"
            )
        return checked


def _newest_of(batch: Batch) -> dict[Partition, int]:
    """Return the newest timestamp of each partition that has rows."""
    timestamps = batch.timestamps or []
    if batch.runs is None:
        return {_UNKNOWN: max(timestamps)} if timestamps else {}
    found: dict[Partition, int] = {}
    start = 0
    for source, name, rows in batch.runs:
        if rows:
            partition, newest = Partition(source, name), max(timestamps[start : start + rows])
            found[partition] = max(found.get(partition, newest), newest)
            start += rows
    return found


def to_timestamp(time: Any) -> int:
    """Return a user's time as epoch milliseconds.

    Raises:
        TypeError: It is neither an integer nor a `datetime` with a time zone.
        ValueError: It is before 1970 or after the year 9999.
    """
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise TypeError(f"event time {time!r} has no time zone: give it one, as in time.replace(tzinfo=UTC)")
        time = (time - _EPOCH) // timedelta(milliseconds=1)
    if type(time) is not int:
        raise TypeError(
            f"event time {time!r} is of type {type(time).__name__}: expected epoch milliseconds as an int, "
            f"or a datetime with a time zone"
        )
    if not 0 <= time < _YEAR_10000:
        raise ValueError(f"event time {time} is not between 1970 and 9999: is it in milliseconds?")
    return time
