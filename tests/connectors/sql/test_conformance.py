"""The sink keeps the rules of exactly-once, whatever crashes, on PostgreSQL and on SQLite."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from streamproc import Record
from streamproc.connectors.sql import SqlSink
from streamproc.io.sink import SinkContext, SinkWriter
from streamproc.testing import check_sink
from tests.connectors.sql.life import threads_of_sqlite
from tests.postgres.client import Postgres


class Word(Record):
    word: str
    number: int


@dataclass(frozen=True)
class KeysByShard(SqlSink[Word]):
    """As behind a `key_by`, where no two shards have the same key: the suite gives both the same rows."""

    def open(self, context: SinkContext) -> SinkWriter:
        def row(word: Word) -> Word:
            return Word(f"{word.word}{context.shard or ''}", word.number)

        # The suite doesn't say what is committed: all that it publishes.
        return super(KeysByShard, replace(self, row=row)).open(context)


BATCHES = [[Word("a", 1), Word("b", 2)], [Word("b", 3), Word("c", 4), Word("b", 5)]]
ALL = [("a", 1), ("b", 2), ("b", 3), ("c", 4), ("b", 5)]
NEWEST = [("a", 1), ("b", 5), ("c", 4)]
KEYS = pytest.mark.parametrize(("key", "expected"), [((), ALL), ("word", NEWEST)], ids=["insert", "upsert"])


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect the connections of abandoned writers before the warnings about them are heard again."""
    yield
    gc.collect()


# What an abandoned writer has open between two batches, only a dead process would close.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.mark.postgres
@KEYS
async def test_postgres(postgres: Postgres, key: str | tuple[str, ...], expected: list[Any]) -> None:
    numbers = count()

    def make() -> KeysByShard:
        # Marks too are told apart by the schema alone.
        schema = f"{postgres.schema}_{next(numbers)}"
        postgres.run(f"CREATE SCHEMA {schema}")
        return KeysByShard(postgres.url, "words", schema=schema, key=key, create=Word)

    def read(sink: SqlSink[Word]) -> list[Any]:
        if postgres.rows("SELECT to_regclass(%s)", f"{sink.schema}.words") == [(None,)]:
            return []
        return sorted(postgres.rows(f"SELECT * FROM {sink.schema}.words"))

    try:
        await check_sink(make, BATCHES, read=read, expected=sorted(expected))
    finally:
        for number in range(next(numbers)):
            postgres.run(f"DROP SCHEMA IF EXISTS {postgres.schema}_{number} CASCADE")


@KEYS
async def test_sqlite(tmp_path: Path, key: str | tuple[str, ...], expected: list[Any]) -> None:
    numbers = count()

    def read(sink: SqlSink[Word]) -> list[Any]:
        path = Path("/" + sink.address.removeprefix("sqlite:////"))
        if not path.exists():
            return []
        with closing(sqlite3.connect(path)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'words'").fetchall():
                return []
            return sorted(connection.execute("SELECT * FROM words"))

    await check_sink(
        lambda: KeysByShard(f"sqlite:///{tmp_path}/{next(numbers)}.db", "words", key=key, create=Word),
        BATCHES,
        read=read,
        expected=sorted(expected),
    )
    await threads_of_sqlite()
