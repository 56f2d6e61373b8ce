"""A directory that is watched for new files."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from random import Random

import pytest

from streamproc.connectors.files import Csv, DirectorySource, Text
from streamproc.connectors.files.done_files import DoneFiles
from streamproc.errors import SourceError
from streamproc.io.source import Limits
from streamproc.testing import check_source
from tests.connectors.files.reading import Job


def put(directory: Path, name: str, *lines: str, at: int = 0) -> None:
    """Make a file as one should: aside, then renamed."""
    aside = directory / f".{name}.tmp"
    aside.write_text("".join(f"{line}\n" for line in lines))
    os.utime(aside, (1_700_000_000 + at, 1_700_000_000 + at))
    aside.rename(directory / name)


async def test_files_are_read_by_time_then_name_each_once(tmp_path: Path) -> None:
    put(tmp_path, "b", "b1", at=1)
    put(tmp_path, "c", "c1", "c2", at=1)
    put(tmp_path, "a", "a1", at=2)
    job = await Job(DirectorySource(tmp_path, Text())).start()

    assert await job.batch() == ["b1", "c1", "c2", "a1"]
    assert job.origins == ["in [b] at 1", "in [c] at 1", "in [c] at 2", "in [a] at 1"]
    put(tmp_path, "old", "o1", at=0)
    assert await job.batch() == ["o1"]
    await job.restart()
    assert await job.batch() == []
    assert not job.reader.finished
    await job.close()


async def test_hidden_unfinished_and_other_names_are_left_out(tmp_path: Path) -> None:
    for name in (".hidden.log", "_SUCCESS.log", "a.txt", "a.log"):
        put(tmp_path, name, name)
    (tmp_path / "directory.log").mkdir()
    job = await Job(DirectorySource(tmp_path, Text(), "*.log", watch=False)).start()
    assert await job.rest() == ["a.log"]
    await job.close()


async def test_each_file_has_its_own_compression_and_header(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "x,y", "1,2", at=1)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"y,x\n4,3\n"))
    job = await Job(DirectorySource(tmp_path, Csv(), watch=False)).start()
    assert await job.rest() == [{"x": "1", "y": "2"}, {"y": "4", "x": "3"}]
    await job.close()


async def test_wait_sees_a_file_that_appears(tmp_path: Path) -> None:
    job = await Job(DirectorySource(tmp_path, Text())).start()
    for i in range(40):
        assert await job.batch() == []
        put(tmp_path, f"file-{i}", f"line {i}")
        polls = 0
        while not (read := await job.batch()):
            polls += 1
            assert polls <= 16, "a file was not seen for a long time"
        assert read == [f"line {i}"]
    await job.close()


async def test_a_file_system_that_does_not_tell_of_a_change_delays_but_hides_nothing(tmp_path: Path) -> None:
    job = await Job(DirectorySource(tmp_path, Text())).start()
    for _ in range(3):
        assert await job.batch() == []
    before = os.stat(tmp_path)
    put(tmp_path, "late", "line")
    os.utime(tmp_path, ns=(before.st_atime_ns, before.st_mtime_ns))
    batches = [await job.batch() for _ in range(16)]
    assert [batch for batch in batches if batch] == [["line"]]
    await job.close()


async def test_a_crash_at_any_place_repeats_and_loses_nothing(tmp_path: Path) -> None:
    seed = Random().randrange(1 << 32)
    print("seed", seed)
    random = Random(seed)
    wanted: list[str] = []
    for i in range(60):
        lines = [f"{i}.{j}" for j in range(random.choice([0, 0, 1, 3, 20]))]
        put(tmp_path, f"f{i:03}", *lines, at=i)
        wanted += lines
    job = await Job(DirectorySource(tmp_path, Text(), watch=False)).start()
    read: list[str] = []
    while not job.reader.finished:
        limits = Limits(random.randint(1, 30), random.randint(1, 200))
        if random.random() < 0.5:
            await job.batch(limits, commit=False)
            await job.restart()
        read += await job.batch(limits)
        await job.reader.wait()
    assert read == wanted
    await job.close()


async def test_finished_files_cost_little_and_are_forgotten_when_they_are_gone(tmp_path: Path) -> None:
    for i in range(3000):
        put(tmp_path, f"part-{i:05}", "x")
    job = await Job(DirectorySource(tmp_path, Text())).start()
    assert len(await job.batch()) == 3000
    assert len(job.positions) <= 256
    assert sum(len(str(position)) for position in job.positions.values()) == 3000 * 11

    for i in range(3000):
        (tmp_path / f"part-{i:05}").unlink()
    for _ in range(16):
        assert await job.batch() == []
    assert sum(len(str(position)) for position in job.positions.values()) == 3000 * 11
    for i in range(3000, 5000):
        put(tmp_path, f"part-{i:05}", "y")
    await job.restart()
    assert len(await job.batch()) == 2000
    assert sum(len(str(position)) for position in job.positions.values()) < 2050 * 11
    await job.restart()
    assert await job.batch() == []
    await job.close()


async def test_an_empty_directory_forgets_nothing(tmp_path: Path) -> None:
    """An empty mount point looks so."""
    directory, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    directory.mkdir()
    for i in range(100):
        put(directory, str(i), str(i))
    job = await Job(DirectorySource(directory, Text())).start()
    assert len(await job.batch()) == 100
    directory.rename(elsewhere)
    directory.mkdir()
    await job.restart()
    assert await job.batch() == []
    directory.rmdir()
    elsewhere.rename(directory)
    await job.restart()
    assert await job.batch() == []
    await job.close()


async def test_a_file_that_vanishes_before_it_is_opened_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a", "a1", at=1)
    put(tmp_path, "b", "b1", at=2)
    put(tmp_path, "c", "c1", at=3)
    job = await Job(DirectorySource(tmp_path, Text(), watch=False)).start()
    (tmp_path / "b").unlink()
    assert await job.rest() == ["a1", "c1"]
    assert job.reader.progress() == (6, 6)
    await job.close()


async def test_a_file_that_vanishes_half_read_stops_the_job_at_its_restart(tmp_path: Path) -> None:
    put(tmp_path, "a", "a1", "a2")
    job = await Job(DirectorySource(tmp_path, Text())).start()
    await job.batch(Limits(1, 100))
    (tmp_path / "a").unlink()
    with pytest.raises(SourceError, match="a is gone, but was read up to byte 3 only"):
        await job.restart()
    await job.close()


async def test_the_directory_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"can't list .*nowhere"):
        await Job(DirectorySource(tmp_path / "nowhere", Text())).start()


async def test_once_reads_what_is_there_now(tmp_path: Path) -> None:
    put(tmp_path, "a", "a1")
    job = await Job(DirectorySource(tmp_path, Text())).start()
    put(tmp_path, "b", "b1")
    await job.reader.bound()
    put(tmp_path, "c", "c1")
    assert sorted(await job.rest()) == ["a1", "b1"]
    await job.restart()
    assert await job.batch() == ["c1"]
    await job.close()


async def test_shards_share_the_files(tmp_path: Path) -> None:
    for i in range(30):
        put(tmp_path, f"f{i}", str(i))
    read: list[list[str]] = []
    for shard in range(3):
        job = await Job(DirectorySource(tmp_path, Text(), watch=False), shard=shard, shards=3).start()
        read.append(await job.rest())
        await job.close()
    assert all(read)
    assert sorted(int(line) for lines in read for line in lines) == list(range(30))


async def test_progress_counts_all_files(tmp_path: Path) -> None:
    put(tmp_path, "a", "123456789", at=1)
    put(tmp_path, "b", "123456789", "123456789", at=2)
    job = await Job(DirectorySource(tmp_path, Text())).start()
    assert job.reader.progress() == (0, 30)
    await job.batch(Limits(2, 1000))
    assert job.reader.progress() == (20, 30)
    await job.batch()
    assert job.reader.progress() == (30, 30)
    await job.close()


def test_names_of_any_bytes_can_be_remembered() -> None:
    done = DoneFiles()
    key = DoneFiles.key("caf\udce9")
    done.add(key)
    again = DoneFiles()
    again.load(done.moved({key}))
    assert key in again
    assert DoneFiles.key("caf") not in again


async def test_the_conformance_suite(tmp_path: Path) -> None:
    put(tmp_path, "a", "a1", "a2", "a3", at=1)
    put(tmp_path, "b", at=2)
    put(tmp_path, "c", *(f"c{i}" for i in range(20)), at=3)
    expected = {"a": ["a1", "a2", "a3"], "c": [f"c{i}" for i in range(20)]}
    await check_source(lambda: DirectorySource(tmp_path, Text()), expected)
    await check_source(lambda: DirectorySource(tmp_path, Text(), watch=False), expected)
