"""`check_source` for sources that can't be read again: what they have received must be in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from streamproc.batch import Segment
from streamproc.codecs import Decoder, text_decoder
from streamproc.io.source import JOURNAL_PARTITION, Limits, Position, Source, SourceBatch, SourceContext, SourceReader
from streamproc.testing import check_source

PATIENCE = "500ms"
RECORDS = [f"record {number:02}" for number in range(20)]


class Wire:
    """What can be received once, by whoever is connected."""

    def __init__(self) -> None:
        self.reader: WireReader | None = None

    async def send_all(self) -> None:
        for record in RECORDS:
            assert self.reader is not None
            self.reader.receive(record.encode())
            await asyncio.to_thread(int)  # as a network would, let others run


class WireReader(SourceReader):
    """A right reader of a wire: what it receives goes to the journal first."""

    journaled = True

    def __init__(self, context: SourceContext, wire: Wire) -> None:
        self.journal = context.journal()
        self.wire = wire
        self.entries: list[tuple[int, bytes]] = []
        self.arrived = asyncio.Event()
        self.ended = False

    async def start(self, positions: Mapping[str, Position]) -> None:
        position = positions.get(JOURNAL_PARTITION, 1)
        assert isinstance(position, int)
        self.entries = list(self.journal.read(position - 1))
        self.wire.reader = self
        self.arrived.set()

    def receive(self, data: bytes) -> None:
        number = self.journal.append([data] if self.journaled else [])
        self.entries.append((number, data))
        self.arrived.set()

    async def take(self, limits: Limits) -> SourceBatch:
        chunk, self.entries = self.entries[:2], self.entries[2:]
        if not self.entries:
            self.arrived.clear()
        if not chunk:
            return SourceBatch([])
        values = [data for _, data in chunk]
        return SourceBatch(
            values, [Segment(JOURNAL_PARTITION, len(values), chunk[0][0])], {JOURNAL_PARTITION: chunk[-1][0] + 1}
        )

    async def wait(self) -> None:
        if not self.entries and not self.finished:
            self.arrived.clear()
            await self.arrived.wait()

    @property
    def finished(self) -> bool:
        return self.ended and not self.entries

    async def bound(self) -> None:
        self.ended = True

    async def close(self) -> None:
        self.wire.reader = None


class UnjournaledReader(WireReader):
    journaled = False


class RereadingReader(WireReader):
    """Reads its journal from the beginning, which no longer has what was committed."""

    async def start(self, positions: Mapping[str, Position]) -> None:
        await super().start({})
        position = positions.get(JOURNAL_PARTITION, 1)
        assert isinstance(position, int)
        self.entries = self.entries[position - 1 :]


@dataclass(frozen=True)
class WireSource(Source[str]):
    wire: Wire = field(default_factory=Wire)
    reader: type[WireReader] = WireReader

    @property
    def decoder(self) -> Decoder[str]:
        return text_decoder()

    def open(self, context: SourceContext) -> SourceReader:
        return self.reader(context, self.wire)


async def check_wire(reader: type[WireReader], *, chunk: int) -> None:
    wire = Wire()
    await check_source(
        lambda: WireSource(wire, reader), RECORDS, feed=wire.send_all, chunk=chunk, patience=PATIENCE, seed=5
    )


async def test_what_a_journaled_source_has_received_survives() -> None:
    await check_wire(WireReader, chunk=2)


async def test_what_was_not_journaled_is_missed() -> None:
    with pytest.raises(AssertionError, match=r"wait\(\) did not return within 0.5 s, after \d+ of 20 records"):
        await check_wire(UnjournaledReader, chunk=2)


async def test_the_journal_is_trimmed_to_the_committed_position() -> None:
    with pytest.raises(AssertionError, match=r"wait\(\) did not return|record \d+ .* is 'record \d+', expected"):
        await check_wire(RereadingReader, chunk=2)


async def test_a_chunk_must_be_declared() -> None:
    with pytest.raises(AssertionError, match=r"take\(\) gave 2 records .*with a limit of 1"):
        await check_wire(WireReader, chunk=1)


async def test_a_feed_that_fails_is_reported_itself() -> None:
    async def broken() -> None:
        raise ConnectionRefusedError("nobody listens")

    with pytest.raises(ConnectionRefusedError, match="nobody listens"):
        await check_source(WireSource, RECORDS, feed=broken, patience=PATIENCE)
