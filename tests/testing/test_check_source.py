"""`check_source` lets right sources pass, and names the rule that a broken one breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from streamproc.batch import Segment
from streamproc.codecs import Decoder, text_decoder
from streamproc.errors import SourceError
from streamproc.io.source import Limits, Position, Source, SourceBatch, SourceContext, SourceReader
from streamproc.testing import check_source

PATIENCE = "500ms"
"""Enough for a call that does nothing, on a busy machine; a call that must fail by it takes as long."""

RECORDS = {name: [f"{name}{number:02}" for number in range(20)] for name in ("a", "b")}


class ListReader(SourceReader):
    """A right reader of lists that end. Each of the broken ones below differs from it in one point."""

    def __init__(self, context: SourceContext) -> None:
        self.clock = context.clock
        names = [name for number, name in enumerate(RECORDS) if number % context.shards == context.shard]
        self.next = dict.fromkeys(names, 0)

    async def start(self, positions: Mapping[str, Position]) -> None:
        for name, position in positions.items():
            if name not in self.next or not isinstance(position, int):
                raise SourceError(f"no {position} in {name}")
            self.next[name] = position

    async def take(self, limits: Limits) -> SourceBatch:
        values: list[bytes] = []
        segments: list[Segment] = []
        for name, first in self.next.items():
            free = min(limits.records, max(limits.bytes // 3, not values)) - len(values)
            rows = [record.encode() for record in RECORDS[name][first : first + max(0, free)]]
            if rows:
                segments.append(Segment(name, len(rows), first))
                values += rows
                self.next[name] += len(rows)
        return SourceBatch(values, segments, {s.partition: self.next[s.partition] for s in segments})

    async def wait(self) -> None:
        pass

    @property
    def finished(self) -> bool:
        return all(position >= len(RECORDS[name]) for name, position in self.next.items())

    async def bound(self) -> None:
        pass

    async def close(self) -> None:
        pass


@dataclass(frozen=True)
class ListSource(Source[str]):
    reader: type[ListReader] = ListReader

    @property
    def decoder(self) -> Decoder[str]:
        return text_decoder()

    def open(self, context: SourceContext) -> SourceReader:
        return self.reader(context)


async def test_a_right_source_passes() -> None:
    await check_source(ListSource, RECORDS)


async def test_a_source_without_records_passes() -> None:
    class Ended(ListReader):
        async def start(self, positions: Mapping[str, Position]) -> None:
            self.next.clear()

    await check_source(lambda: ListSource(Ended), [])


class RepeatsAtStart(ListReader):
    async def start(self, positions: Mapping[str, Position]) -> None:
        await super().start(positions)
        self.next = {name: max(0, position - 1) for name, position in self.next.items()}


class SkipsAtStart(ListReader):
    async def start(self, positions: Mapping[str, Position]) -> None:
        await super().start(positions)
        self.next = {name: position + (0 < position < 20) for name, position in self.next.items()}


class PositionsRunAhead(ListReader):
    """As a reader does that commits what it has fetched, not what it has given."""

    async def take(self, limits: Limits) -> SourceBatch:
        batch = await super().take(limits)
        ahead = {name: min(20, int(position or 0) + 1) for name, position in batch.positions.items()}
        return SourceBatch(batch.values, batch.segments, ahead)


class GoesOnBehindItsEnd(ListReader):
    async def take(self, limits: Limits) -> SourceBatch:
        if self.finished:
            return SourceBatch([b"more"], [Segment("a", 1, 20)], {"a": 21})
        return await super().take(limits)


class ShufflesAPartition(ListReader):
    async def take(self, limits: Limits) -> SourceBatch:
        batch = await super().take(limits)
        if len(batch.values) == 2:
            batch.values.reverse()
        return batch


class IgnoresTheLimitOfRecords(ListReader):
    async def take(self, limits: Limits) -> SourceBatch:
        return await super().take(Limits(1 << 20, limits.bytes))


class IgnoresTheLimitOfBytes(ListReader):
    async def take(self, limits: Limits) -> SourceBatch:
        return await super().take(Limits(limits.records, 1 << 30))


class GivesNothingBelowOneRecord(ListReader):
    async def take(self, limits: Limits) -> SourceBatch:
        return SourceBatch([]) if limits.bytes < 3 else await super().take(limits)


class MiscountsSegments(ListReader):
    async def take(self, limits: Limits) -> SourceBatch:
        batch = await super().take(limits)
        return SourceBatch(batch.values, batch.segments[1:], batch.positions)


class ForgetsPositions(ListReader):
    async def take(self, limits: Limits) -> SourceBatch:
        batch = await super().take(limits)
        return SourceBatch(batch.values, batch.segments)


class MiscountsTimestamps(ListReader):
    async def take(self, limits: Limits) -> SourceBatch:
        batch = await super().take(limits)
        return SourceBatch(batch.values, batch.segments, batch.positions, [0] * (len(batch.values) + 1))


class TakeWaits(ListReader):
    async def take(self, limits: Limits) -> SourceBatch:
        if self.finished:
            await self.clock.sleep_until(self.clock.now() + 1)
        return await super().take(limits)


class NeedsAWait(ListReader):
    """A right reader that has nothing before it was waited for, as if it had to fetch."""

    def __init__(self, context: SourceContext) -> None:
        super().__init__(context)
        self.fetched = False

    async def take(self, limits: Limits) -> SourceBatch:
        if not self.fetched:
            return SourceBatch([])
        self.fetched = False
        return await super().take(limits)

    async def wait(self) -> None:
        await self.clock.sleep_until(self.clock.now() + 1_000)
        self.fetched = True


class WaitIsSpoiltByACancel(NeedsAWait):
    def __init__(self, context: SourceContext) -> None:
        super().__init__(context)
        self.waiting = asyncio.Lock()

    async def wait(self) -> None:
        await self.waiting.acquire()
        await super().wait()
        self.waiting.release()


class WaitReturnsTooEarly(NeedsAWait):
    async def wait(self) -> None:
        pass


class WaitMissesTheEnd(ListReader):
    async def wait(self) -> None:
        if self.finished:
            await asyncio.Event().wait()


class FinishesEarly(ListReader):
    @property
    def finished(self) -> bool:
        return all(position >= 19 for position in self.next.values())


class FinishesForAWhile(ListReader):
    forgotten = False

    async def wait(self) -> None:
        self.forgotten = self.finished

    @property
    def finished(self) -> bool:
        return super().finished and not self.forgotten


class SpoiltByAnAcknowledgement(ListReader):
    async def acknowledge(self, positions: Mapping[str, Position | None]) -> None:
        self.next = {name: min(20, position + 1) for name, position in self.next.items()}


class LosesAtABound(ListReader):
    ended = False

    async def bound(self) -> None:
        self.ended = True

    @property
    def finished(self) -> bool:
        return self.ended or super().finished


class TakesABoundForTheEnd(LosesAtABound):
    @property
    def bounded(self) -> bool:
        return True


class PromisesMore(ListReader):
    async def take(self, limits: Limits) -> SourceBatch:
        batch = await super().take(limits)
        return SourceBatch(batch.values, batch.segments, batch.positions, more=True)


class FailsUnclearly(ListReader):
    async def start(self, positions: Mapping[str, Position]) -> None:
        for name, position in positions.items():
            self.next[name] = int(position)


class CloseNeedsAStart(ListReader):
    started = False

    async def start(self, positions: Mapping[str, Position]) -> None:
        await super().start(positions)
        self.started = True

    async def close(self) -> None:
        if not self.started:
            raise RuntimeError("not started")


class AllShardsReadAll(ListReader):
    def __init__(self, context: SourceContext) -> None:
        super().__init__(context)
        self.next = dict.fromkeys(RECORDS, 0)


class SecondShardReadsNothing(ListReader):
    def __init__(self, context: SourceContext) -> None:
        super().__init__(context)
        if context.shard:
            self.next.clear()


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        (RepeatsAtStart, "gave more than its 20 records, the first of them '.19'"),
        (SkipsAtStart, r"is '.\d\d', expected '.\d\d' \(a record was lost, doubled or moved\)"),
        (PositionsRunAhead, r"is '.\d\d', expected '.\d\d' \(a record was lost, doubled or moved\)"),
        (GoesOnBehindItsEnd, "gave more than its 20 records, the first of them 'more'"),
        (ShufflesAPartition, r"is '.\d\d', expected '.\d\d'"),
        (IgnoresTheLimitOfRecords, r"take\(\) gave \d+ records with a limit of \d+"),
        (IgnoresTheLimitOfBytes, r"take\(\) gave \d+ records of \d+ bytes with a limit of \d+"),
        (GivesNothingBelowOneRecord, r"wait\(\) returned, but take\(\) had no record and finished was false"),
        (MiscountsSegments, r"add up to \d+, but there are \d+ values"),
        (ForgetsPositions, "gave records but no position to go on at"),
        (MiscountsTimestamps, r"there are \d+ timestamps for \d+ values"),
        (TakeWaits, r"take\(\) did not return within 0.5 s"),
        (WaitIsSpoiltByACancel, r"wait\(\) did not return within 0.5 s, .* \(before it, a wait was cancelled\)"),
        (WaitReturnsTooEarly, r"wait\(\) returned, but take\(\) had no record"),
        (WaitMissesTheEnd, r"wait\(\) did not return .* finished=True"),
        (FinishesEarly, r"finished is true after 3\d of 40 records"),
        (FinishesForAWhile, "finished was true and became false"),
        (SpoiltByAnAcknowledgement, r"is '.\d\d', expected '.\d\d'"),
        (LosesAtABound, r"after bound\(\), the reader finished with 0 of 40 records"),
        (TakesABoundForTheEnd, r"bounded is true, .* after 0 of 40 records"),
        (PromisesMore, r"take\(\) gave no record and said that there is more"),
        (FailsUnclearly, r"start\(\) raised ValueError.* expected a SourceError"),
        (AllShardsReadAll, r"partitions \['a', 'b'\] were read by both of two shards"),
        (SecondShardReadsNothing, r"two shards together have read 20 of 40 records"),
    ],
)
async def test_a_broken_source_is_found(reader: type[ListReader], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        await check_source(lambda: ListSource(reader), RECORDS, patience=PATIENCE, seed=3)


async def test_close_must_work_without_start() -> None:
    with pytest.raises(RuntimeError, match="not started"):
        await check_source(lambda: ListSource(CloseNeedsAStart), RECORDS)


async def test_a_source_that_has_to_be_waited_for_passes() -> None:
    await check_source(lambda: ListSource(NeedsAWait), RECORDS)


async def test_a_failure_names_the_seed_that_repeats_it() -> None:
    with pytest.raises(AssertionError) as caught:
        await check_source(lambda: ListSource(ShufflesAPartition), RECORDS, seed=12)
    assert caught.value.__notes__ == ["in check_source(..., seed=12)"]


async def test_records_of_several_partitions_must_be_expected_by_partition() -> None:
    with pytest.raises(AssertionError, match="as a mapping"):
        await check_source(ListSource, RECORDS["a"] + RECORDS["b"])
    with pytest.raises(AssertionError, match=r"from partition 'b', expected only partitions \['a'\]"):
        await check_source(ListSource, {"a": RECORDS["a"]})


async def test_wrong_records_are_found() -> None:
    with pytest.raises(AssertionError, match="record 7 of partition 'a' is 'a07', expected 'other'"):
        await check_source(ListSource, {**RECORDS, "a": [*RECORDS["a"][:7], "other", *RECORDS["a"][8:]]})


async def test_missing_records_are_found() -> None:
    with pytest.raises(AssertionError, match="finished is true after 40 of 41 records"):
        await check_source(ListSource, {**RECORDS, "b": [*RECORDS["b"], "missing"]})
