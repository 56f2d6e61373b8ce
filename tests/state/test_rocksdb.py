"""The store on RocksDB: kills, locks, cancelled commits."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streamproc.errors import StateError, StateLockedError
from streamproc.state import Changes, Family, RocksStore
from tests.state.writer import content_after, read

SEED = 7


def run_until_acknowledged(directory: Path, batches: int) -> int:
    """Start the writer, kill it once it has acknowledged so many more batches, and return the last acknowledged one."""
    program = [sys.executable, "-m", "tests.state.writer", str(directory), str(SEED)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(batches):
            assert writer.stdout.readline(), "the writer ended by itself"
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().split("\n")
    return int(rest[-2]) if len(rest) > 1 else 0


def test_a_store_killed_while_it_commits_has_all_acknowledged_batches_and_none_in_part(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    committed = 0
    for _ in range(10):
        acknowledged = run_until_acknowledged(tmp_path / "state", rng.randrange(1, 60))
        content = read(tmp_path / "state")
        (before, committed) = committed, int(content[Family.META][b"batch"])
        assert committed > before
        assert committed >= acknowledged, "an acknowledged batch is lost"
        assert content == content_after(SEED, committed), f"batch {committed} is torn"


def test_a_directory_that_another_process_has_open_is_refused_by_name_and_process(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.state.writer", str(tmp_path / "state"), str(SEED)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        try:
            with pytest.raises(StateLockedError) as refused:
                RocksStore.open(tmp_path / "state")
        finally:
            os.kill(writer.pid, signal.SIGKILL)
            writer.stdout.read()
    assert str(tmp_path / "state") in str(refused.value)
    assert f"process {writer.pid}" in str(refused.value)


def test_a_file_in_the_place_of_the_directory_is_a_state_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a directory")
    with pytest.raises(StateError, match="can't be used"):
        RocksStore.open(tmp_path / "state")


async def test_a_cancelled_commit_leaves_a_store_that_can_be_closed_and_opened(tmp_path: Path) -> None:
    store = RocksStore.open(tmp_path / "state")
    await store.commit(Changes(puts=[(Family.META, b"batch", b"1")]))
    commit = asyncio.create_task(store.commit(Changes(puts=[(Family.META, b"batch", b"2")])))
    ready = asyncio.Event()
    asyncio.get_running_loop().call_soon(ready.set)
    await ready.wait()
    commit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await commit
    store.close()

    again = RocksStore.open(tmp_path / "state")
    assert again.get_many(Family.META, [b"batch"]) == [b"2"]
    again.close()


async def test_a_store_opened_to_be_read_only_answers_refuses_to_write_and_changes_no_file(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    store = RocksStore.open(directory)
    await store.commit(Changes(puts=[(Family.META, b"key", b"value")]))
    store.close()
    before = {path.name: path.read_bytes() for path in directory.iterdir()}

    store = RocksStore.open(directory, read_only=True)
    assert store.get_many(Family.META, [b"key"]) == [b"value"]
    with pytest.raises(StateError, match="read only"):
        store.append(Family.META, [(b"key", b"other")])
    store.close()

    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
