"""Standard input through the journal."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamproc.codecs import bytes_decoder
from streamproc.connectors.stdin import StdinSource
from streamproc.errors import PipelineError, SourceError
from streamproc.io.source import Limits, Position, Source, SourceContext, SourceReader
from streamproc.records import Record
from streamproc.testing import MemoryJournal, VirtualClock, check_source

ALL = Limits(1_000_000, 1 << 30)


class Click(Record):
    user: str


class Pipe:
    """A pipe whose reading end stands for standard input."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()

    def write(self, data: bytes) -> None:
        os.write(self.writing, data)

    def end(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def close(self) -> None:
        self.end()
        os.close(self.reading)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def make(source: Source[Any], journal: MemoryJournal | None = None, shard: int = 0) -> SourceReader:
    kept = MemoryJournal() if journal is None else journal
    return source.open(SourceContext("stdin", VirtualClock(), lambda: kept, shard, 2))


async def read_all(
    reader: SourceReader, source: Source[Any], positions: dict[str, Position] | None = None
) -> list[Any]:
    await reader.start(positions or {})
    values: list[Any] = []
    while not reader.finished:
        await reader.wait()
        values += (await reader.take(ALL)).values
    await reader.close()
    assert source.decoder is not None
    return source.decoder.decode_many(values)


async def test_lines_of_a_pipe_up_to_its_end(pipe: Pipe) -> None:
    source = StdinSource(bytes_decoder(), descriptor=pipe.reading)
    pipe.write(b"one\r\n\ntw")
    pipe.write(b"o\nlast")
    pipe.end()
    assert await read_all(make(source), source) == [b"one", b"", b"two", b"last"]


async def test_a_file_can_be_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "input"
    lines = [f"line {i}" for i in range(50_000)]
    path.write_text("\n".join(lines))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        source = StdinSource.text()
        reader = make(StdinSource(source.format, descriptor=descriptor))
        assert await read_all(reader, source) == lines
    finally:
        os.close(descriptor)


async def test_a_terminal_gives_lines_as_they_are_entered() -> None:
    controlling, terminal = os.openpty()
    try:
        reader = make(StdinSource(bytes_decoder(), descriptor=terminal))
        await reader.start({})
        os.write(controlling, b"typed\n")
        await reader.wait()
        assert (await reader.take(ALL)).values == [b"typed"]
        os.write(controlling, b"\x04")
        await reader.wait()
        assert reader.finished
        await reader.close()
    finally:
        os.close(controlling)
        os.close(terminal)


async def test_ndjson_skips_empty_lines(pipe: Pipe) -> None:
    source = StdinSource.ndjson(Click)
    pipe.write(b'{"user":"ann"}\n\n{"user":"bob"}\n')
    pipe.end()
    reader = make(StdinSource(source.format, skip_blank=source.skip_blank, descriptor=pipe.reading))
    assert await read_all(reader, source) == [Click("ann"), Click("bob")]


async def test_what_is_in_the_journal_comes_again_after_a_crash_and_nothing_twice(pipe: Pipe) -> None:
    source, journal = StdinSource(bytes_decoder(), descriptor=pipe.reading), MemoryJournal()
    reader = make(source, journal)
    await reader.start({})
    read: list[bytes] = []
    positions: dict[str, Position] = {}
    for line in (b"a\n", b"b\n"):
        pipe.write(line)
        await reader.wait()
        batch = await reader.take(ALL)
        if line == b"a\n":
            read += batch.values
            positions = {name: position for name, position in batch.positions.items() if position is not None}
    await reader.close()
    assert positions == {"journal": 2}
    journal.trim(1)

    pipe.write(b"c\n")
    pipe.end()
    assert read + await read_all(make(source, journal), source, positions) == [b"a", b"b", b"c"]


async def test_reading_stops_while_too_much_is_waiting(pipe: Pipe) -> None:
    journal = MemoryJournal()
    reader = make(StdinSource(bytes_decoder(), descriptor=pipe.reading, max_buffered_bytes=1000), journal)
    await reader.start({})
    total = refused = 0
    os.set_blocking(pipe.writing, False)
    while refused < 100:
        try:
            total += os.write(pipe.writing, b"x" * 999 + b"\n")
        except BlockingIOError:
            refused += 1
        await asyncio.to_thread(int)
    assert sum(len(entry) for _, entry in journal.read(0)) <= 1000 + (64 << 10)

    pipe.end()
    size = 0
    while not reader.finished:
        await reader.wait()
        size += sum(len(line) + 1 for line in (await reader.take(ALL)).values)
    assert size == total
    await reader.close()


async def test_close_does_not_wait_for_input(pipe: Pipe) -> None:
    reader = make(StdinSource(bytes_decoder(), descriptor=pipe.reading))
    await reader.start({})
    waiting = asyncio.ensure_future(reader.wait())
    await asyncio.wait([waiting], timeout=0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.wait_for(reader.close(), timeout=5)


async def test_a_line_that_is_too_long_is_an_error(pipe: Pipe) -> None:
    source = StdinSource(bytes_decoder(), descriptor=pipe.reading, max_record_bytes=10)
    pipe.write(b"short\n" + b"x" * 50)
    pipe.end()
    reader = make(source)
    await reader.start({})
    await reader.wait()
    assert (await reader.take(ALL)).values == [b"short"]
    await reader.wait()
    with pytest.raises(SourceError, match="longer than 10 bytes"):
        await reader.take(ALL)
    await reader.close()


async def test_only_the_first_shard_reads(pipe: Pipe) -> None:
    source = StdinSource(bytes_decoder(), descriptor=pipe.reading)
    assert await read_all(make(source, shard=1), source) == []


async def test_the_conformance_suite() -> None:
    lines = [f"line {i}" for i in range(30)]
    pipe = Pipe()
    sources = [StdinSource(bytes_decoder(), descriptor=pipe.reading)]

    async def feed() -> None:
        for line in lines:
            pipe.write(f"{line}\n".encode())
            await asyncio.to_thread(int)
        pipe.end()

    try:
        await check_source(lambda: sources[0], [line.encode() for line in lines], feed=feed, chunk=len(lines))
    finally:
        pipe.close()


def test_limits_must_be_positive() -> None:
    with pytest.raises(PipelineError, match="at least 1"):
        StdinSource(bytes_decoder(), max_buffered_bytes=0)
