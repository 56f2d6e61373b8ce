"""SIGKILL at every step of the loop and of publishing: each result is in the table once."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from streamproc.engine.protocol import STEPS
from tests.postgres.client import Postgres

pytestmark = pytest.mark.slow

STARTING = ("tables_made", "owner_written", "taken_over")
PUBLISHING = ("batch_marked", "rows_written", "sql_committed")
RECORDS = 200


async def run(*arguments: object) -> int | None:
    program = [sys.executable, "-m", "tests.connectors.sql.job"]
    process = await asyncio.create_subprocess_exec(*program, *map(str, arguments))
    try:
        return await asyncio.wait_for(process.wait(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def kill_and_compare(
    url: str, schema: str, key: str, folder: Path, step: str, read: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    (folder / "numbers").write_text("".join(f"{number}\n" for number in range(RECORDS)))
    job = (url, schema, key, folder / "numbers", folder / "state")
    assert await run(*job, step, 1) == -signal.SIGKILL
    # The second time, behind a recovery; a step of the start comes once only.
    assert await run(*job, step, 2) == (0 if step in STARTING else -signal.SIGKILL)
    assert await run(*job, "none", 0) == 0
    found = read("SELECT number, count FROM counted ORDER BY number")
    first = RECORDS - 10 if key else 0
    assert found == [(number, number // 10 + 1) for number in range(first, RECORDS)]


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("key", "step"),
    [*(("", step) for step in (*STEPS, *STARTING, *PUBLISHING)), *(("digit", step) for step in PUBLISHING)],
)
async def test_postgres(postgres: Postgres, tmp_path: Path, key: str, step: str) -> None:
    assert postgres.schema is not None
    await kill_and_compare(postgres.url, postgres.schema, key, tmp_path, step, postgres.rows)


@pytest.mark.parametrize("step", [*STARTING, *PUBLISHING])
async def test_sqlite(tmp_path: Path, step: str) -> None:
    def read(query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(tmp_path / "test.db")) as connection:
            return connection.execute(query).fetchall()

    await kill_and_compare(f"sqlite:///{tmp_path}/test.db", "", "", tmp_path, step, read)
