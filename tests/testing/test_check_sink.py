"""`check_sink` lets right sinks pass, and names the rule that a broken one breaks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest

from streamproc.batch import Batch
from streamproc.io.sink import Delivery, OutboxEntry, Sink, SinkContext, SinkWriter
from streamproc.testing import check_sink
from streamproc.values import decode_values, encode_values

BATCHES = [["a"], ["b", "c"], ["d"], ["e", "f"]]


@dataclass
class Disk:
    """What survives a crash."""

    files: dict[str, list[str]] = field(default_factory=dict[str, "list[str]"])
    note: int = 0
    lives: list[str] = field(default_factory=list[str])


class PartWriter(SinkWriter):
    """A right writer: a part file per batch, written aside and renamed. The broken ones differ in one point."""

    def __init__(self, disk: Disk, context: SinkContext) -> None:
        self.disk = disk
        self.context = context
        self.prefix = f"part-{context.shard}-"

    async def start(self) -> int | None:
        aside = [name for name in self.disk.files if name.startswith("aside-")]
        for name in aside:
            self.context.step("before a leftover is removed")
            del self.disk.files[name]
        return max(self.ids(), default=None)

    def ids(self) -> list[int]:
        return [int(name.removeprefix(self.prefix)) for name in self.disk.files if name.startswith(self.prefix)]

    def encode(self, batch: Batch) -> bytes:
        return encode_values(batch.rows())

    async def publish(self, entry: OutboxEntry) -> None:
        aside: list[str] = []
        self.disk.files[f"aside-{self.context.shard}"] = aside
        for row in decode_values(entry.payload):
            self.context.step("before a row is written")
            aside.append(row)
        self.context.step("before the rename")
        self.disk.files[f"{self.prefix}{entry.batch_id:04}"] = self.disk.files.pop(f"aside-{self.context.shard}")
        self.context.step("after the rename")

    async def close(self) -> None:
        pass


@dataclass(frozen=True)
class PartSink(Sink[str]):
    delivery: ClassVar[Delivery] = "exactly_once"
    writer: type[PartWriter] = PartWriter
    disk: Disk = field(default_factory=Disk)

    def open(self, context: SinkContext) -> SinkWriter:
        return self.writer(self.disk, context)


@dataclass(frozen=True)
class RepeatingSink(PartSink):
    delivery: ClassVar[Delivery] = "at_least_once"


def read(sink: PartSink) -> list[str]:
    return [row for name in sorted(sink.disk.files) if name.startswith("part-") for row in sink.disk.files[name]]


async def test_a_right_sink_passes() -> None:
    await check_sink(PartSink, BATCHES, read=read, expected=list("abcdef"))


class Watched(PartWriter):
    """Notes the last step of each life."""

    def __init__(self, disk: Disk, context: SinkContext) -> None:
        super().__init__(disk, replace(context, step=self.note))
        self.step = context.step
        disk.lives.append("none")

    def note(self, step: str) -> None:
        self.disk.lives[-1] = step
        self.step(step)


async def test_it_crashes_at_every_step_and_at_every_step_of_the_recovery() -> None:
    disks: list[Disk] = []

    def make() -> PartSink:
        sink = PartSink(Watched)
        disks.append(sink.disk)
        return sink

    await check_sink(make, BATCHES, read=read)
    crashes = {tuple(disk.lives[:-1]) for disk in disks}
    row, mend, rename = "before a row is written", "before a leftover is removed", "before the rename"
    assert {(row,), (rename,), ("after the rename",)} <= crashes
    assert {(row, mend), (row, rename), (rename, mend), (rename, row)} <= crashes
    assert ("none", row) in crashes  # the engine itself was stopped, before it called the writer at all


class TellsNothing(PartWriter):
    async def start(self) -> int | None:
        await super().start()
        return None


class TellsTooMuch(PartWriter):
    async def start(self) -> int | None:
        last = await super().start()
        return None if last is None else last + 1


class WritesInPlace(PartWriter):
    """Idempotent, but a crash leaves half a file that counts as published."""

    async def publish(self, entry: OutboxEntry) -> None:
        part = self.disk.files[f"{self.prefix}{entry.batch_id:04}"] = []
        for row in decode_values(entry.payload):
            part.append(row)
            self.context.step("behind a row")


class MendsTooMuch(PartWriter):
    """Wrong only when a crash comes after the rename and before the engine knows."""

    async def start(self) -> int | None:
        last = await super().start()
        if last is not None and self.disk.note:
            del self.disk.files[f"{self.prefix}{last:04}"]
        return last

    async def publish(self, entry: OutboxEntry) -> None:
        self.disk.note = 1
        await super().publish(entry)
        self.disk.note = 0


class MendsOnceOnly(PartWriter):
    """Wrong only when a second crash comes while it mends: it has then forgotten that there was something to mend."""

    async def start(self) -> int | None:
        was_dirty, self.disk.note = self.disk.note, 0
        self.context.step("about to mend")
        if was_dirty:
            self.disk.files.pop(f"{self.prefix}{was_dirty:04}", None)
        return await super().start()

    async def publish(self, entry: OutboxEntry) -> None:
        self.disk.note = entry.batch_id
        part = self.disk.files[f"{self.prefix}{entry.batch_id:04}"] = []
        self.context.step("begun")
        part.extend(decode_values(entry.payload))
        self.disk.note = 0


class NotesItsBatchAtClose(PartWriter):
    """Appends, and recognises a batch by a note that it writes too late."""

    published = 0

    async def start(self) -> int | None:
        self.published = self.disk.note
        return self.published or None

    async def publish(self, entry: OutboxEntry) -> None:
        if entry.batch_id > self.published:
            self.disk.files.setdefault(self.prefix, []).extend(decode_values(entry.payload))
            self.published = entry.batch_id

    async def close(self) -> None:
        self.disk.note = self.published


class EncodesWithEffect(PartWriter):
    def encode(self, batch: Batch) -> bytes:
        self.disk.files.setdefault("part-z", []).extend(batch.values)
        return super().encode(batch)


class ShowsAtClose(PartWriter):
    def __init__(self, disk: Disk, context: SinkContext) -> None:
        super().__init__(disk, context)
        self.waiting: list[OutboxEntry] = []

    async def publish(self, entry: OutboxEntry) -> None:
        self.waiting.append(entry)

    async def close(self) -> None:
        for entry in self.waiting:
            await super().publish(entry)


class AddsAtClose(PartWriter):
    async def close(self) -> None:
        if self.disk.files:
            self.disk.files["part-z"] = ["the end"]


class LooksAtTheClock(PartWriter):
    """Writes what it can't repeat."""

    async def publish(self, entry: OutboxEntry) -> None:
        rows = [f"{row} {self.context.clock.now()}" for row in decode_values(entry.payload)]
        await super().publish(OutboxEntry(entry.batch_id, entry.time, encode_values(rows)))


class ForgetsItsShard(PartWriter):
    def __init__(self, disk: Disk, context: SinkContext) -> None:
        super().__init__(disk, SinkContext(context.app, context.name, context.clock, step=context.step))


class OverwritesOtherShards(ForgetsItsShard):
    def __init__(self, disk: Disk, context: SinkContext) -> None:
        super().__init__(disk, context)
        self.shard = context.shard

    async def start(self) -> int | None:
        last = await super().start()
        return None if self.shard else last


class LosesTheLastRow(PartWriter):
    async def publish(self, entry: OutboxEntry) -> None:
        await super().publish(OutboxEntry(entry.batch_id, entry.time, encode_values(decode_values(entry.payload)[1:])))


@pytest.mark.parametrize(
    ("writer", "message"),
    [
        (TellsNothing, r"start\(\) returned batch id None after a restart, expected 1"),
        (TellsTooMuch, r"start\(\) returned batch id 2 after a restart, expected 1"),
        (WritesInPlace, r"the output is .* because of a crash at behind a row"),
        (MendsTooMuch, r"the output is .* because of a crash at after the rename"),
        (MendsOnceOnly, r"the output is .* because of a crash at begun.*, and then at about to mend"),
        (NotesItsBatchAtClose, r"the output is \['a', 'a', .* because of a crash at published"),
        (EncodesWithEffect, r"encode\(\) without publish\(\) has changed the output from \[\] to \['a'"),
        (ShowsAtClose, r"the rows of batch 1 can't be seen after its publish\(\)"),
        (AddsAtClose, r"close\(\) has changed the output"),
        (LooksAtTheClock, r"wrote \['a \d+'"),
        (ForgetsItsShard, r"start\(\) of shard 1 returned batch id \d+, which another shard has published"),
        (OverwritesOtherShards, r"two shards have written 6 rows each, and the output has 6"),
        (LosesTheLastRow, r"can't be seen after its publish"),
    ],
)
async def test_a_broken_sink_is_found(writer: type[PartWriter], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        await check_sink(lambda: PartSink(writer), BATCHES, read=read, expected=list("abcdef"))


async def test_an_output_that_depends_on_the_clock_is_found_without_an_expected_one() -> None:
    with pytest.raises(AssertionError, match="because each batch was published once more after a restart"):
        await check_sink(lambda: PartSink(LooksAtTheClock), BATCHES, read=read)


class Appender(PartWriter):
    """Appends to one file, and doesn't know what is in it: right for at-least-once."""

    async def start(self) -> int | None:
        return None

    async def publish(self, entry: OutboxEntry) -> None:
        for row in decode_values(entry.payload):
            self.context.step("before a row is written")
            self.disk.files.setdefault(self.prefix, []).append(self.line(row))

    def line(self, row: str) -> str:
        return row


class ChangingAppender(Appender):
    """Writes something else when a batch comes again."""

    def line(self, row: str) -> str:
        again = row in self.disk.files.get(self.prefix, [])
        return f"{row} again" if again else row


class ForgetfulAppender(Appender):
    """Takes a batch for written when the first row of it is."""

    async def publish(self, entry: OutboxEntry) -> None:
        if decode_values(entry.payload)[0] not in self.disk.files.get(self.prefix, []):
            await super().publish(entry)


async def test_at_least_once_may_repeat_a_batch() -> None:
    await check_sink(lambda: RepeatingSink(Appender), BATCHES, read=read, expected=list("abcdef"))


async def test_exactly_once_may_not() -> None:
    with pytest.raises(AssertionError, match=r"start\(\) returned batch id None"):
        await check_sink(lambda: PartSink(Appender), BATCHES, read=read)


@pytest.mark.parametrize(
    ("writer", "message"),
    [
        (ChangingAppender, r"there are other rows than without it, because .*: \['a again'"),
        (ForgetfulAppender, r"rows are missing because of a crash at before a row is written \(time 3\): \['c'\]"),
    ],
)
async def test_a_repetition_must_be_the_same_and_complete(writer: type[PartWriter], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        await check_sink(lambda: RepeatingSink(writer), BATCHES, read=read)


async def test_close_must_work_without_start() -> None:
    class CloseNeedsAStart(PartWriter):
        started = False

        async def start(self) -> int | None:
            self.started = True
            return await super().start()

        async def close(self) -> None:
            if not self.started:
                raise RuntimeError("not started")

    with pytest.raises(RuntimeError, match="not started"):
        await check_sink(lambda: PartSink(CloseNeedsAStart), BATCHES, read=read)


@pytest.mark.parametrize("batches", [[], [["a"]], [["a"], []]])
async def test_too_few_batches_to_check_anything_are_refused(batches: list[list[Any]]) -> None:
    with pytest.raises(ValueError, match="at least two batches of at least one row"):
        await check_sink(PartSink, batches, read=read)
