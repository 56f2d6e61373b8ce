"""What is in a table of SQLite behind a batch."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from streamproc import Record
from streamproc.batch import Batch
from streamproc.connectors.sql import SqlSink
from streamproc.errors import EncodeError, FencedError, SinkError
from tests.connectors.sql.life import Life, threads_of_sqlite


class Everything(Record):
    id: int
    ratio: float | None
    text: str
    data: bytes
    flag: bool
    at: datetime
    day: date
    clock: time
    lasting: timedelta
    price: Decimal
    uid: UUID
    tags: dict[str, int]


class Word(Record):
    word: str


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Return another connection to the database."""
    with closing(sqlite3.connect(tmp_path / "test.db", isolation_level=None)) as connection:
        yield connection


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of the database."""
    return f"sqlite:///{tmp_path}/test.db"


async def test_each_type(url: str, database: sqlite3.Connection) -> None:
    row = Everything(
        id=(1 << 63) - 1,
        ratio=float("nan"),
        text="a\0 'quoted' :x ?",
        data=b"\x00\xff",
        flag=True,
        at=datetime(2024, 3, 31, 2, 30, tzinfo=timezone(timedelta(hours=2))),
        day=date(1969, 12, 31),
        clock=time(23, 59),
        lasting=timedelta(minutes=1),
        price=Decimal("0.10"),
        uid=UUID(int=7),
        tags={"a": 1},
    )
    async with Life.of(SqlSink[Any](url, "rows", create=Everything)) as life:
        await life.publish(1, [row])
        with pytest.raises(EncodeError, match="column 'id': expected an int of 64 bits"):
            life.writer.encode(Batch([{"id": 1 << 63}]))
    (found,) = database.execute("SELECT * FROM rows").fetchall()
    assert found == (
        row.id,
        None,
        row.text,
        row.data,
        1,
        "2024-03-31 00:30:00.000000+00:00",
        "1969-12-31",
        "23:59:00",
        60.0,
        "0.10",
        str(row.uid),
        json.dumps(row.tags, separators=(",", ":")),
    )
    assert datetime.fromisoformat(found[5]) == row.at.astimezone(UTC)


@pytest.mark.parametrize("count", [3, 2_500])
async def test_the_last_row_of_a_key_stays(url: str, database: sqlite3.Connection, count: int) -> None:
    database.execute("CREATE TABLE totals (name TEXT PRIMARY KEY, total INTEGER, note TEXT DEFAULT 'none')")
    async with Life.of(SqlSink[Any](url, "totals", key="name")) as life:
        await life.publish(1, [{"name": f"n{i % 3}", "total": i} for i in range(count)])
        database.execute("UPDATE totals SET note = 'kept'")
        # Rows that have not the same columns, for the same key: as if one after the other.
        await life.publish(2, [{"name": "n0", "total": -1}, {"name": "n0", "note": "new"}, {"name": "n0", "total": -2}])
    assert database.execute("SELECT * FROM totals WHERE name = 'n0'").fetchall() == [("n0", -2, "new")]
    assert database.execute("SELECT count(*), min(note) FROM totals").fetchall() == [(3, "kept")]


@pytest.mark.parametrize("count", [3, 2_500])
@pytest.mark.parametrize("column", ["name TEXT PRIMARY KEY", "name REAL UNIQUE", "name INTEGER PRIMARY KEY"])
async def test_a_key_must_have_a_value(url: str, database: sqlite3.Connection, column: str, count: int) -> None:
    database.execute(f"CREATE TABLE totals ({column}, total INTEGER)")
    async with Life.of(SqlSink[Any](url, "totals", key="name")) as life:
        for name in (None, float("nan")):
            with pytest.raises(EncodeError, match="column 'name': expected a value, got None: it is in the key="):
                life.writer.encode(Batch([{"name": name, "total": i} for i in range(count)]))
        with pytest.raises(EncodeError, match="the row lacks 'name': it is in the key="):
            life.writer.encode(Batch([{"total": i} for i in range(count)]))
        await life.publish(1, [{"name": 0, "total": i} for i in range(count)])
    assert database.execute("SELECT total FROM totals").fetchall() == [(count - 1,)]


async def test_rows_are_numbered_by_the_database(url: str, database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL)")
    async with Life.of(SqlSink[Any](url, "words")) as life:
        await life.publish(1, [Word("a"), Word("b")])
    assert database.execute("SELECT * FROM words").fetchall() == [(1, "a"), (2, "b")]


async def test_a_statement_of_the_users(url: str, database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE totals (name TEXT PRIMARY KEY, total INTEGER)")
    statement = "INSERT INTO totals VALUES (:name, :n) ON CONFLICT (name) DO UPDATE SET total = total + :n"
    async with Life.of(
        SqlSink[Any](url, statement=statement, row=lambda pair: {"name": pair[0], "n": pair[1]})
    ) as life:
        await life.publish(1, [1, 2, 3], keys=["a", "b", "a"])
    assert database.execute("SELECT * FROM totals").fetchall() == [("a", 4), ("b", 2)]
    with pytest.raises(SinkError, match="no such table: nowhere"):
        async with Life.of(SqlSink[Any](url, statement="DELETE FROM nowhere WHERE id = :id"), name="other"):
            pass


async def test_a_new_file_lets_readers_read_while_rows_are_written(url: str, tmp_path: Path) -> None:
    async with Life.of(SqlSink[Any](url, "words", create=Word)) as life:
        with closing(sqlite3.connect(tmp_path / "test.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT * FROM words").fetchall() == []
            await life.publish(1, [Word("a")])
            assert reader.execute("SELECT * FROM words").fetchall() == []
            reader.execute("COMMIT")
            assert reader.execute("SELECT * FROM words").fetchall() == [("a",)]


async def test_another_writer_is_waited_for(url: str, database: sqlite3.Connection) -> None:
    async with Life.of(SqlSink[Any](url, "words", create=Word, timeout="200ms")) as life:
        database.execute("BEGIN IMMEDIATE")
        publishing = asyncio.create_task(life.publish(1, [Word("a")]))
        assert "database is locked" in await life.waiting()
        database.execute("COMMIT")
        await publishing
        assert life.reports[-1] is None
    assert database.execute("SELECT * FROM words").fetchall() == [("a",)]


async def test_several_sinks_write_to_one_file(url: str, database: sqlite3.Connection) -> None:
    lives = [Life(SqlSink[Any](url, "words", create=Word), name=f"sink-{number}") for number in range(4)]
    await asyncio.gather(*(life.writer.start() for life in lives))
    for batch in range(1, 6):
        await asyncio.gather(*(life.publish(batch, [Word(f"{batch}")]) for life in lives))
    for life in lives:
        await life.writer.close()
    assert database.execute("SELECT count(*) FROM words").fetchall() == [(20,)]
    assert database.execute("SELECT sink, batch_id FROM streamproc_batches ORDER BY sink").fetchall() == [
        (f"sink-{number}", 5) for number in range(4)
    ]


async def test_the_instance_that_started_last_wins(url: str, database: sqlite3.Connection) -> None:
    sink = SqlSink[Any](url, "words", create=Word)
    async with Life.of(sink) as old:
        await old.publish(1, [Word("a")])
        async with Life.of(sink, committed=1) as new:
            with pytest.raises(FencedError):
                await old.publish(2, [Word("old")])
            await new.publish(2, [Word("new")])
    assert database.execute("SELECT * FROM words").fetchall() == [("a",), ("new",)]


async def test_a_violated_constraint_stops_the_job(url: str, database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE words (word TEXT UNIQUE)")
    async with Life.of(SqlSink[Any](url, "words")) as life:
        await life.publish(1, [Word("a")])
        message = "can't write batch 2 to table 'words' in sqlite:///.*: UNIQUE constraint failed: words.word"
        with pytest.raises(SinkError, match=message):
            await life.publish(2, [Word("b"), Word("a")])
    assert database.execute("SELECT * FROM words").fetchall() == [("a",)]


async def test_a_file_that_can_not_be_opened(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="unable to open database file"):
        async with Life.of(SqlSink[Any](f"sqlite:///{tmp_path}/no/such/folder/test.db", "words")):
            pass
    await threads_of_sqlite()
