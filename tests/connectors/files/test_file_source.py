"""One file, read from its start to its end."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from streamproc.connectors.files import Csv, FileSource, Ndjson, Text
from streamproc.errors import MissingExtraError, PipelineError, SourceError
from streamproc.io.source import Limits
from streamproc.records import Record
from streamproc.testing import check_source
from tests.connectors.files.reading import Job


class Click(Record):
    user: str
    at: int = 0


async def test_text_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes("one\r\ntwo\x0bstill two\u2028and still\n\n\rthree\r\r\nlast".encode())

    job = await Job(FileSource(path, Text())).start()

    assert await job.rest() == ["one", "two\x0bstill two\u2028and still", "", "\rthree\r", "last"]
    await job.close()


async def test_a_last_line_counts_once_with_or_without_its_line_break(tmp_path: Path) -> None:
    for content in (b"a\nb", b"a\nb\n"):
        path = tmp_path / "a.log"
        path.write_bytes(content)
        job = await Job(FileSource(path, Text())).start()
        assert await job.rest() == ["a", "b"]
        await job.restart()
        assert await job.rest() == []
        await job.close()


async def test_an_empty_file_is_finished_without_a_record(tmp_path: Path) -> None:
    path = tmp_path / "empty.log"
    path.touch()
    job = await Job(FileSource(path, Text())).start()
    assert await job.rest() == []
    assert job.reader.finished
    await job.close()


async def test_ndjson_becomes_records_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "clicks.ndjson"
    path.write_bytes(b'{"user":"ann","at":1}\n\n\r\n{"user":"bob"}\n\n')

    job = await Job(FileSource(path, Ndjson(Click))).start()

    assert await job.rest() == [Click("ann", 1), Click("bob")]
    assert job.origins == ["in [clicks.ndjson] at 1", "in [clicks.ndjson] at 4"]
    await job.close()


async def test_limits_cut_anywhere_and_a_crash_after_any_batch_repeats_nothing(tmp_path: Path) -> None:
    lines = [f"line {i} {'x' * (i % 7)}" + ("\r" if i % 5 == 0 else "") for i in range(200)]
    path = tmp_path / "a.log"
    path.write_text("\n".join(lines), newline="")
    wanted = [line.removesuffix("\r") for line in lines]

    for limits in (Limits(1, 1 << 20), Limits(7, 1 << 20), Limits(1000, 1), Limits(1000, 100), Limits(3, 40)):
        job = await Job(FileSource(path, Text())).start()
        read: list[str] = []
        while not job.reader.finished:
            await job.batch(limits, commit=False)
            await job.restart()
            got = await job.batch(limits)
            assert len(got) <= limits.records
            assert len(got) == 1 or sum(map(len, got)) <= limits.bytes
            read += got
            await job.reader.wait()
        assert read == wanted
        await job.close()


async def test_positions_in_errors_are_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"{i}\n" for i in range(1, 30)))
    job = await Job(FileSource(path, Text())).start()
    await job.batch(Limits(10, 1 << 20))
    await job.restart()
    assert await job.batch(Limits(2, 1 << 20)) == ["11", "12"]
    assert job.origins == ["in [a.log] at 11", "in [a.log] at 12"]
    await job.close()


def _gzip_members(data: bytes) -> bytes:
    half = len(data) // 2
    return gzip.compress(data[:half]) + gzip.compress(data[half:]) + b"\0" * 512


def _zstd_frames(data: bytes) -> bytes:
    half = len(data) // 2
    compressor = zstandard.ZstdCompressor()
    return compressor.compress(data[:half]) + compressor.compress(data[half:])


COMPRESSIONS = [(".gz", _gzip_members), (".zst", _zstd_frames)]


@pytest.mark.parametrize(("suffix", "compress"), COMPRESSIONS)
async def test_compressed_files_are_read_and_taken_up_again(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    lines = [f"line {i}" for i in range(300_000)]
    path = tmp_path / f"a.log{suffix}"
    path.write_bytes(compress("\n".join(lines).encode()))

    job = await Job(FileSource(path, Text())).start()
    read = await job.batch(Limits(123_456, 1 << 30))
    await job.restart()
    read += await job.rest(Limits(100_000, 1 << 30))

    assert read == lines
    assert job.reader.progress() == (path.stat().st_size, path.stat().st_size)
    await job.close()


@pytest.mark.parametrize(("suffix", "compress"), COMPRESSIONS)
async def test_a_torn_compressed_file_is_an_error_and_no_early_end(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"a.log{suffix}"
    data = compress(b"some line\n" * 10_000).rstrip(b"\0")
    path.write_bytes(data[:-3])
    job = await Job(FileSource(path, Text())).start()
    with pytest.raises(SourceError, match=rf"a\.log\{suffix} is torn"):
        await job.rest()
    await job.close()


async def test_a_damaged_compressed_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    data = bytearray(gzip.compress(bytes(range(256)) * 1000))
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    job = await Job(FileSource(path, Text(errors="replace"))).start()
    with pytest.raises(SourceError, match=r"a\.gz can't be decompressed"):
        await job.rest()
    await job.close()


async def test_zstd_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.zst"
    path.write_bytes(_zstd_frames(b"x\n"))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingExtraError, match=r"streamproc\[zstd\]"):
        await Job(FileSource(path, Text())).start()


async def test_a_record_that_is_too_long_names_file_and_offset(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"12345\n" + b"x" * 50 + b"\nend\n")
    job = await Job(FileSource(path, Text(), max_record_bytes=20)).start()
    with pytest.raises(SourceError, match=r"a\.log: the record at byte 6 is longer than 20 bytes"):
        await job.rest()
    await job.close()


async def test_a_long_record_spans_many_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    long = "y" * (3 << 20)
    path.write_text(f"a\n{long}\nb\n")
    job = await Job(FileSource(path, Text())).start()
    assert await job.rest(Limits(10, 1 << 20)) == ["a", long, "b"]
    await job.close()


async def test_a_file_that_is_not_there_or_was_replaced_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with pytest.raises(SourceError, match=r"can't open .*a\.log"):
        await Job(FileSource(path, Text())).start()

    path.write_text("one\ntwo\n")
    job = await Job(FileSource(path, Text())).start()
    await job.batch(Limits(1, 1000))
    path.write_text("uno\ndos\n")
    with pytest.raises(SourceError, match="does not begin with the bytes"):
        await job.restart()
    path.write_text("on")
    with pytest.raises(SourceError, match=r"does not begin|cut or replaced"):
        await job.start()
    await job.close()


async def test_progress_grows_to_the_size(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("0123456789\n" * 10)
    job = await Job(FileSource(path, Text())).start()
    assert job.reader.progress() == (0, 110)
    await job.batch(Limits(3, 1000))
    assert job.reader.progress() == (33, 110)
    await job.rest()
    assert job.reader.progress() == (110, 110)
    await job.close()


async def test_only_the_first_shard_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("x\n")
    job = await Job(FileSource(path, Text()), shard=1, shards=2).start()
    assert await job.rest() == []
    await job.close()


def test_wrong_definitions_fail_at_once(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="compressed file can't be followed"):
        FileSource(tmp_path / "a.gz", Text(), follow=True)
    with pytest.raises(PipelineError, match="utf-16"):
        Text("utf-16")
    with pytest.raises(PipelineError, match="nonsense"):
        Csv(encoding="nonsense")
    with pytest.raises(PipelineError, match="delimiter"):
        Csv(delimiter=";;")


async def test_the_conformance_suite(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    lines = [f"line {i}" for i in range(40)]
    path.write_text("\n".join(lines) + "\n")
    await check_source(lambda: FileSource(path, Text()), lines)
    await check_source(lambda: FileSource(path, Text(), follow=True), lines)
    packed = tmp_path / "a.log.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    await check_source(lambda: FileSource(packed, Text()), lines)
