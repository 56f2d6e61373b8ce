"""A file that is appended to and rotated, followed like ``tail -F``."""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from streamproc.connectors.files import Csv, FileSource, Text
from streamproc.errors import SourceError
from streamproc.io.source import Limits
from tests.connectors.files.reading import Job


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def append(path: Path, *lines: str, end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("\n".join(lines) + end)


def rotate(log: Path, *, at: int) -> None:
    """Rename ``.1`` to ``.2``, and the log to ``.1``; it was last written at a second of 2023."""
    os.utime(log, (1_700_000_000 + at, 1_700_000_000 + at))
    for number in (3, 2, 1):
        for suffix in ("", ".gz"):
            rotated = log.with_name(f"{log.name}.{number}{suffix}")
            if rotated.exists():
                rotated.rename(log.with_name(f"{log.name}.{number + 1}{suffix}"))
    log.rename(log.with_name(f"{log.name}.1"))


def compress(path: Path) -> None:
    """Compress a file as ``gzip`` does: a new inode with the old times."""
    target = path.with_name(f"{path.name}.gz")
    target.write_bytes(gzip.compress(path.read_bytes()))
    shutil.copystat(path, target)
    path.unlink()


async def follow(log: Path, **options: str) -> Job:
    return await Job(FileSource(log, Text(), follow=True, **options)).start()  # type: ignore[arg-type]


async def quiet(job: Job) -> list[Any]:
    """The next batch, once a renamed file has been quiet for long enough."""
    first = await job.batch()
    job.clock.advance("5s")
    return first + await job.batch()


async def test_lines_come_as_they_are_completed(log: Path) -> None:
    job = await follow(log)
    assert await job.batch() == []
    append(log, "one", "tw", end="")
    assert await job.batch() == ["one"]
    assert await job.batch() == []
    append(log, "o", "three")
    assert await job.batch() == ["two", "three"]
    assert not job.reader.finished
    await job.close()


async def test_wait_returns_when_a_line_is_complete(log: Path) -> None:
    job = await follow(log)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(job.reader.wait())
        for content in ("half a ", "line"):
            append(log, content, end="")
            await advance_until_asleep(job)
            assert not waiting.done()
        append(log, "", end="\n")
        while not waiting.done():
            await advance_until_asleep(job)
    assert await job.batch() == ["half a line"]
    await job.close()


async def advance_until_asleep(job: Job) -> None:
    """Let the reader poll once more."""
    wakeup = job.clock.next_wakeup()
    if wakeup is not None:
        job.clock.advance_to(wakeup)
    # A thread of the reader's is at work: any other call on the executor gives it time.
    await asyncio.to_thread(int)


async def test_a_cancelled_wait_loses_nothing(log: Path) -> None:
    job = await follow(log)
    read: list[str] = []
    for i in range(50):
        append(log, f"line {i}")
        waiting = asyncio.ensure_future(job.reader.wait())
        await asyncio.wait([waiting], timeout=0)
        waiting.cancel()
        await asyncio.wait([waiting])
        read += await job.batch()
    assert read == [f"line {i}" for i in range(50)]
    await job.close()


async def test_a_renamed_file_is_read_to_its_end_before_the_new_one(log: Path) -> None:
    append(log, "a1", "a2")
    job = await follow(log)
    assert await job.batch() == ["a1", "a2"]

    rotate(log, at=1)
    assert await job.batch() == []
    append(log, "b1")
    append(log.with_name("access.log.1"), "a3", "a4 (unfinished)", end="")
    assert await job.batch() == ["a3"]
    job.clock.advance("4s")
    assert await job.batch() == []
    append(log.with_name("access.log.1"), "", "a5")
    job.clock.advance("4s")
    assert await job.batch() == ["a4 (unfinished)", "a5"]
    job.clock.advance("5s")
    assert await job.batch() == ["b1"]
    append(log, "b2")
    assert await job.batch() == ["b2"]
    await job.close()


async def test_the_last_line_of_a_renamed_file_counts_without_its_line_break(log: Path) -> None:
    append(log, "a1", "a2", end="")
    job = await follow(log)
    assert await job.batch() == ["a1"]
    rotate(log, at=1)
    append(log, "b1")
    assert await quiet(job) == ["a2", "b1"]
    await job.close()


async def test_a_file_rotated_while_the_job_is_down_is_found_and_finished(log: Path) -> None:
    append(log, "a1", "a2", "a3")
    job = await follow(log)
    assert await job.batch(Limits(1, 1000)) == ["a1"]

    rotate(log, at=1)
    append(log, "b1")
    await job.restart()

    assert await quiet(job) == ["a2", "a3", "b1"]
    await job.close()


async def test_files_rotated_several_times_are_read_in_order(log: Path) -> None:
    append(log, "a1", "a2")
    job = await follow(log)
    assert await job.batch(Limits(1, 1000)) == ["a1"]
    for at, name in enumerate("abcd"):
        if at:
            append(log, f"{name}1", f"{name}2")
        if name != "d":
            rotate(log, at=at)
    await job.restart()

    read: list[str] = []
    for _ in range(4):
        read += await quiet(job)
        await job.restart()
    assert read == ["a2", "b1", "b2", "c1", "c2", "d1", "d2"]
    await job.close()


async def test_a_file_compressed_while_the_job_is_down_is_found_by_its_first_bytes(log: Path) -> None:
    append(log, *(f"a{i}" for i in range(1000)))
    job = await follow(log)
    assert len(await job.batch(Limits(600, 100_000))) == 600
    rotate(log, at=1)
    append(log, "b1")
    rotate(log, at=2)
    compress(log.with_name("access.log.2"))
    append(log, "c1")
    await job.restart()

    read = await job.batch()
    assert read[:2] == ["a600", "a601"]
    assert read[399] == "a999"
    assert read[400:] + await quiet(job) == ["b1", "c1"]
    await job.close()


async def test_a_file_compressed_while_it_is_open_is_not_read_twice(log: Path) -> None:
    append(log, "a1")
    job = await follow(log)
    assert await job.batch() == ["a1"]
    rotate(log, at=1)
    append(log, "b1")
    assert await job.batch() == []
    compress(log.with_name("access.log.1"))
    assert await quiet(job) == ["b1"]
    await job.close()


async def test_copy_and_truncate_reads_the_rest_from_the_copy(log: Path) -> None:
    append(log, "a1", "a2")
    job = await follow(log)
    assert await job.batch(Limits(2, 1000)) == ["a1", "a2"]
    append(log, "a3")
    shutil.copy(log, log.with_name("access.log.1"))
    os.truncate(log, 0)
    append(log, "b1")

    assert await job.batch() + await quiet(job) == ["a3", "b1"]
    append(log, "b2")
    await job.restart()
    assert await job.batch() == ["b2"]
    await job.close()


async def test_copy_and_truncate_while_the_job_is_down(log: Path) -> None:
    append(log, "a1", "a2", "a3")
    job = await follow(log)
    assert await job.batch(Limits(1, 1000)) == ["a1"]
    shutil.copy(log, log.with_name("access.log.1"))
    os.truncate(log, 0)
    append(log, "b1")
    await job.restart()
    assert await quiet(job) == ["a2", "a3", "b1"]
    await job.close()


async def test_truncated_and_grown_beyond_is_seen_by_the_first_bytes(log: Path) -> None:
    append(log, "a1", "a2")
    job = await follow(log)
    assert await job.batch() == ["a1", "a2"]
    os.truncate(log, 0)
    append(log, "b1", "b2", "b3")
    assert await job.batch() == ["b1", "b2", "b3"]
    os.truncate(log, 0)
    append(log, "c1", "c2", "c3", "c4")
    await job.restart()
    assert await job.batch() == ["c1", "c2", "c3", "c4"]
    await job.close()


async def test_a_file_that_is_gone_with_unread_lines_stops_the_job_unless_told_otherwise(
    log: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    append(log, "a1", "a2")
    job = await follow(log)
    assert await job.batch(Limits(1, 1000)) == ["a1"]
    shutil.move(log, tmp_path_factory.mktemp("elsewhere"))
    append(log, "b1")

    with pytest.raises(SourceError, match=r"read up to byte 3 as access\.log is neither"):
        await job.restart()
    job.source = FileSource(log, Text(), follow=True, if_lost="restart")
    await job.start()
    assert await job.batch() == ["b1"]
    await job.close()


async def test_a_file_renamed_while_it_is_looked_for_is_found(log: Path) -> None:
    append(log, "a1", "a2")
    job = await follow(log)
    assert await job.batch(Limits(1, 1000)) == ["a1"]
    path = log
    for number in range(1, 1001):
        renamed = log.with_name(f"{log.name}.{number}")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.to_thread(path.rename, renamed))
            await job.restart()
        path = renamed
    assert await job.batch() == ["a2"]
    await job.close()


async def test_unrelated_neighbours_are_left_alone(log: Path) -> None:
    append(log, "a1")
    job = await follow(log)
    assert await job.batch() == ["a1"]
    rotate(log, at=1)
    for name in ("access.log.bak", "access.log2", "other.log.1", "access.log~", "access.log.swp"):
        append(log.with_name(name), "not ours")
    append(log, "b1")
    assert await quiet(job) == ["b1"]
    await job.close()


async def test_a_csv_that_is_followed_has_a_header_in_each_file(log: Path) -> None:
    append(log, "name,age", "ann,1", 'bob,"', end="")
    job = await Job(FileSource(log, Csv(), follow=True)).start()
    assert await job.batch() == [{"name": "ann", "age": "1"}]
    append(log, '2"', "cid,3")
    await job.restart()
    assert await job.batch() == [{"name": "bob", "age": "2"}, {"name": "cid", "age": "3"}]
    rotate(log, at=1)
    append(log, "age,name", "4,dan")
    assert await quiet(job) == [{"age": "4", "name": "dan"}]
    await job.close()


async def test_once_reads_what_is_there_now_and_leaves_an_unfinished_line(log: Path) -> None:
    append(log, "a1", "a2")
    job = await follow(log)
    assert await job.batch(Limits(1, 1000)) == ["a1"]
    rotate(log, at=1)
    append(log, "b1", "b2 (unfin", end="")
    await job.restart()
    await job.reader.bound()
    append(log, "ished)", "b3")
    assert await job.rest() == ["a2", "b1"]

    await job.restart()
    assert await job.batch() == ["b2 (unfinished)", "b3"]
    await job.close()


async def test_once_on_a_file_that_is_not_there_ends_at_once(log: Path) -> None:
    job = await follow(log)
    await job.reader.bound()
    assert await job.rest() == []
    await job.close()


APPENDER = """
import os, sys
path, lines, rotate_every = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
file = open(path, "a", buffering=1 << 10)
for i in range(lines):
    file.write(f"{i} {'x' * (i % 97)}\\n")
    if i % rotate_every == rotate_every - 1:
        file.close()
        for n in range(40, 0, -1):
            if os.path.exists(f"{path}.{n}"):
                os.rename(f"{path}.{n}", f"{path}.{n + 1}")
        os.rename(path, f"{path}.1")
        file = open(path, "a", buffering=1 << 10)
file.close()
"""


async def test_another_process_appends_and_rotates_while_the_job_is_killed_again_and_again(log: Path) -> None:
    count, seed = 60_000, Random().randrange(1 << 32)
    print("seed", seed)
    random = Random(seed)
    append(log, "-1")
    job = await follow(log, rotate_wait="1ms")
    assert await job.batch() == ["-1"]
    writer = await asyncio.create_subprocess_exec(sys.executable, "-c", APPENDER, str(log), str(count), "7000")
    read: list[int] = []
    idle = 0
    while idle < 60:
        got = await job.batch(Limits(random.randint(1, 4000), 1 << 20))
        read += [int(line.split()[0]) for line in got]
        job.clock.advance("1ms")
        if random.random() < 0.2:
            await job.batch(Limits(random.randint(1, 4000), 1 << 20), commit=False)
            await job.restart()
        idle = idle + 1 if not got and writer.returncode is not None else 0
        await asyncio.to_thread(int)
    assert await writer.wait() == 0
    assert read == list(range(count))
    await job.close()
