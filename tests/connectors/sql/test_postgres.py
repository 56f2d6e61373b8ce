"""What is in a table of PostgreSQL behind a batch, and what is refused before the batch is committed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, localcontext
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
import uvloop

from streamproc import App, Once, Record, Settings
from streamproc.batch import Batch
from streamproc.connectors.memory import MemorySource
from streamproc.connectors.sql import SqlSink
from streamproc.errors import EncodeError, SinkError
from tests.connectors.sql.life import Life
from tests.postgres.client import Postgres

pytestmark = pytest.mark.postgres

MANY = 2_500
"""Rows that are copied, and not written one by one."""


class Colour(Enum):
    RED = "red"


class Part(Record):
    count: int


class Everything(Record):
    id: int
    ratio: float
    text: str
    data: bytes
    flag: bool
    at: datetime
    day: date
    clock: time
    lasting: timedelta
    price: Decimal
    uid: UUID
    colour: Colour
    tags: list[str]
    part: Part
    maybe: int | None = None


EVERYTHING = Everything(
    id=-(1 << 63),
    ratio=0.1,
    text="naïve 'quoted'; DROP TABLE rows; -- %s :x $1 \\",
    data=b"\x00\xff",
    flag=True,
    at=datetime(2024, 3, 31, 2, 30, 0, 1, tzinfo=timezone(timedelta(hours=2))),
    day=date(1969, 12, 31),
    clock=time(23, 59, 59, 999_999),
    lasting=timedelta(days=-1, microseconds=5),
    price=Decimal("123456789012345678901234567890.000000001"),
    uid=UUID(int=7),
    colour=Colour.RED,
    tags=["a", "b"],
    part=Part(3),
)


class Pair(NamedTuple):
    id: int
    name: str


@dataclass
class Item:
    id: int
    name: str


async def test_each_type_makes_the_round_trip(postgres: Postgres) -> None:
    sink = SqlSink[Any](postgres.url, "rows", schema=postgres.schema, create=Everything)
    async with Life.of(sink) as life:
        await life.publish(1, [EVERYTHING])
    assert postgres.rows("SELECT * FROM rows") == [
        (
            EVERYTHING.id,
            0.1,
            EVERYTHING.text,
            b"\x00\xff",
            True,
            EVERYTHING.at,
            EVERYTHING.day,
            EVERYTHING.clock,
            EVERYTHING.lasting,
            EVERYTHING.price,
            EVERYTHING.uid,
            "red",
            ["a", "b"],
            {"count": 3},
            None,
        )
    ]
    types = dict(
        postgres.rows(
            "SELECT column_name::text, data_type || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END "
            "FROM information_schema.columns WHERE table_schema = %s AND table_name = 'rows'",
            postgres.schema,
        )
    )
    assert types == {
        "id": "bigint not null",
        "ratio": "double precision not null",
        "text": "text not null",
        "data": "bytea not null",
        "flag": "boolean not null",
        "at": "timestamp with time zone not null",
        "day": "date not null",
        "clock": "time without time zone not null",
        "lasting": "interval not null",
        "price": "numeric not null",
        "uid": "uuid not null",
        "colour": "text not null",
        "tags": "jsonb not null",
        "part": "jsonb not null",
        "maybe": "bigint",
    }


@pytest.mark.parametrize("count", [3, MANY])
async def test_the_last_row_of_a_key_stays(postgres: Postgres, count: int) -> None:
    postgres.run("CREATE TABLE totals (day date, name text, total bigint, note text DEFAULT 'none')")
    postgres.run("CREATE UNIQUE INDEX ON totals (name, day)")
    sink = SqlSink[Any](postgres.url, "totals", schema=postgres.schema, key=("day", "name"))
    day = date(2024, 1, 1)
    async with Life.of(sink) as life:
        await life.publish(1, [{"day": day, "name": f"n{i % 3}", "total": i} for i in range(count)])
        postgres.run("UPDATE totals SET note = 'kept'")
        await life.publish(2, [{"day": day, "name": "n0", "total": -i} for i in range(count)])
    found = postgres.rows("SELECT name, total, note FROM totals ORDER BY name")
    last = {i % 3: i for i in range(count)}
    assert found == [("n0", 1 - count, "kept"), ("n1", last[1], "kept"), ("n2", last[2], "kept")]


@pytest.mark.parametrize("count", [2, MANY])
async def test_a_table_of_keys_alone(postgres: Postgres, count: int) -> None:
    postgres.run("CREATE TABLE seen (id int PRIMARY KEY)")
    async with Life.of(SqlSink[Any](postgres.url, "seen", schema=postgres.schema, key="id")) as life:
        await life.publish(1, [{"id": i} for i in range(count)])
        await life.publish(2, [{"id": i // 2} for i in range(count)])
    assert postgres.rows("SELECT count(*) FROM seen") == [(count,)]


@pytest.mark.parametrize("count", [2, MANY])
async def test_names_and_values_never_become_sql(postgres: Postgres, count: int) -> None:
    table, column = 'a"; DROP TABLE streamproc_batches; --', 'x") VALUES (:y, %s, $1); --'
    quoted = [name.replace('"', '""').replace("%", "%%") for name in (table, column)]
    postgres.run('CREATE TABLE "{}" ("{}" text PRIMARY KEY)'.format(*[name.replace("%%", "%") for name in quoted]))
    value = "'); DROP TABLE streamproc_batches; --"
    for number, key in enumerate([(), (column,)]):
        sink = SqlSink[Any](postgres.url, table, schema=postgres.schema, key=key)
        async with Life.of(sink, name=f"sink-{number}") as life:
            await life.publish(1, [{column: f"{value}{number} {i}"} for i in range(count)])
    assert postgres.rows('SELECT count(*) FROM "{}"'.format(table.replace('"', '""'))) == [(2 * count,)]
    assert postgres.rows("SELECT count(*) FROM streamproc_batches") == [(2,)]


async def test_what_can_be_a_row(postgres: Postgres) -> None:
    postgres.run("CREATE TABLE items (id int, name text DEFAULT 'nameless')")
    sink = SqlSink[Any](postgres.url, "items", schema=postgres.schema)
    async with Life.of(sink) as life:
        await life.publish(1, [{"id": 1, "name": "dict"}, Item(2, "dataclass"), Pair(3, "tuple"), {"id": 4}])
    pairs = SqlSink[Any](postgres.url, "items", schema=postgres.schema, columns=("name", "id"))
    async with Life.of(pairs, name="pairs") as life:
        await life.publish(1, [5, 6], keys=["pair", "other"])
        await life.publish(2, [{"name": "more", "id": 7, "else": 1}])
    assert postgres.rows("SELECT * FROM items ORDER BY id") == [
        (1, "dict"),
        (2, "dataclass"),
        (3, "tuple"),
        (4, "nameless"),
        (5, "pair"),
        (6, "other"),
        (7, "more"),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"small": 1 << 15}, "column 'small': expected an int of 16 bits, got int 32768"),
        ({"small": "1"}, "column 'small': expected an int of 16 bits, got str '1'"),
        ({"name": "too long"}, "column 'name': expected text of at most 3 characters"),
        ({"name": "a\0"}, "expected text without the character NUL"),
        ({"name": b"a"}, "expected text, got bytes"),
        ({"price": Decimal("1000")}, r"expected a Decimal of NUMERIC\(5, 2\), got Decimal"),
        ({"price": Decimal("999.995")}, r"expected a Decimal of NUMERIC\(5, 2\), got Decimal"),
        ({"price": float("inf")}, r"expected a Decimal of NUMERIC\(5, 2\), got float inf"),
        ({"at": datetime(2024, 1, 1)}, "expected a datetime with a time zone"),  # noqa: DTZ001
        ({"at": 1_700_000_000_000}, "expected a datetime with a time zone, got int"),
        ({"single": 1e39}, "expected a float of 32 bits"),
        ({"flag": 1}, "expected a bool, got int 1"),
        ({"uid": "7"}, "expected a UUID"),
        ({"json": {"a": ["\0"]}}, "expected JSON without the character NUL"),
        ({"mood": "sad"}, "expected one of 'good', 'ok', got str 'sad'"),
        ({"numbers": [1, "2"]}, "expected an int of 32 bits, got str '2'"),
        ({"numbers": [[1], [2, 3]]}, "expected a list of lists of the same length"),
        ({"numbers": [None, [1]]}, "expected a list, got NoneType"),
        ({"large": Decimal("1e131072")}, "expected a Decimal with at most"),
        ({"needed": None}, "column 'needed': expected a value, got None: it is NOT NULL"),
        ({"twice": 4}, "has no column 'twice' that can be written"),
        ({"nosuch": 1}, "has no column 'nosuch' that can be written; it has 'small', 'name',"),
    ],
)
async def test_what_a_column_can_not_take_is_found_before_the_commit(
    postgres: Postgres, row: dict[str, Any], message: str
) -> None:
    postgres.run("CREATE TYPE mood AS ENUM ('good', 'ok')")
    postgres.run(
        "CREATE TABLE rows (small smallint, name varchar(3), price numeric(5, 2), large numeric, "
        "at timestamptz, single real, flag bool, uid uuid, json jsonb, mood mood, numbers int[], needed int NOT NULL, "
        "twice int GENERATED ALWAYS AS (needed * 2) STORED, id bigint GENERATED ALWAYS AS IDENTITY)"
    )
    good = {
        "small": -(1 << 15),
        "name": "abc",
        "price": Decimal("999.99"),
        "large": Decimal("-1e131071"),
        "at": datetime(2024, 1, 1, tzinfo=UTC),
        "single": 1.5,
        "flag": False,
        "uid": str(UUID(int=1)),
        "json": {"a": ["\\u0000"]},
        "mood": "ok",
        "numbers": [1, None, 3],
        "needed": 1,
    }
    async with Life.of(SqlSink[Any](postgres.url, "rows", schema=postgres.schema)) as life:
        with pytest.raises(EncodeError, match=message):
            life.writer.encode(Batch([good, good | row]))
        await life.publish(1, [good])
    assert postgres.rows("SELECT small, price, json, mood, numbers, twice, id FROM rows") == [
        (-(1 << 15), Decimal("999.99"), {"a": ["\\u0000"]}, "ok", [1, None, 3], 2, 1)
    ]


async def test_decimals_of_more_digits_than_python_reckons_with(postgres: Postgres) -> None:
    postgres.run("CREATE TABLE prices (id int, price numeric(38, 10), share numeric(5, 5), cents numeric(3, 0))")
    given = [
        (Decimal("1234567890123456789.5"), Decimal("0.99999"), Decimal("-999.4999999999999999999999999999")),
        (Decimal("9999999999999999999999999999.9999999999"), Decimal("1e-9"), Decimal(0)),
        (-(10**28) + 1, Decimal("NaN"), 7),
    ]
    with localcontext(prec=9):
        async with Life.of(SqlSink[Any](postgres.url, "prices", schema=postgres.schema)) as life:
            await life.publish(1, [{"id": i, "price": p, "share": s, "cents": c} for i, (p, s, c) in enumerate(given)])
            for price in (10**28, Decimal("9999999999999999999999999999.99999999995")):
                with pytest.raises(EncodeError, match=r"expected a Decimal of NUMERIC\(38, 10\)"):
                    life.writer.encode(Batch([{"price": price}]))
    found = postgres.rows("SELECT price::text, share::text, cents::text FROM prices ORDER BY id")
    assert found == [
        ("1234567890123456789.5000000000", "0.99999", "-999"),
        ("9999999999999999999999999999.9999999999", "0.00000", "0"),
        ("-9999999999999999999999999999.0000000000", "NaN", "7"),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "a row without columns"),
        ({"name": "x"}, "the row lacks 'id': in table 'items' of schema '.*' it is NOT NULL"),
        ("text", "an element of type str is no row"),
        ((1, 2), r"a row has 2 values without names, and SqlSink\(columns=…\) has 0"),
        ({1: 2}, "a row's keys are the names of columns"),
    ],
)
async def test_what_is_no_row(postgres: Postgres, row: Any, message: str) -> None:
    postgres.run("CREATE TABLE items (id int NOT NULL, name text)")
    async with Life.of(SqlSink[Any](postgres.url, "items", schema=postgres.schema)) as life:
        with pytest.raises(EncodeError, match=message):
            life.writer.encode(Batch([row]))


async def test_a_statement_of_the_users(postgres: Postgres) -> None:
    postgres.run("CREATE TABLE totals (name text PRIMARY KEY, total bigint, at timestamptz)")
    statement = (
        "INSERT INTO totals AS t VALUES (:name, :add, :at) "
        "ON CONFLICT (name) DO UPDATE SET total = t.total + :add, at = greatest(t.at, excluded.at)"
    )
    qualified = statement.replace("totals", f"{postgres.schema}.totals")
    sink = SqlSink[Any](postgres.url, schema=postgres.schema, statement=qualified)
    at = datetime(2024, 1, 1, tzinfo=UTC)
    async with Life.of(sink) as life:
        await life.publish(1, [{"name": "a", "add": 1, "at": at}, {"name": "a", "add": 2, "at": at}])
        with pytest.raises(EncodeError, match="the statement, column 'add': expected an int of 64 bits"):
            life.writer.encode(Batch([{"name": "a", "add": 1 << 63, "at": at}]))
        with pytest.raises(EncodeError, match="the row lacks 'at'"):
            life.writer.encode(Batch([{"name": "a", "add": 1}]))
    assert postgres.rows("SELECT * FROM totals") == [("a", 3, at)]


async def test_a_wrong_statement_is_found_at_the_start(postgres: Postgres) -> None:
    sink = SqlSink[Any](postgres.url, schema=postgres.schema, statement="INSERT INTO nowhere VALUES (:a)")
    with pytest.raises(SinkError, match='relation "nowhere" does not exist'):
        async with Life.of(sink):
            pass


async def test_what_only_the_driver_refuses_stops_the_job(postgres: Postgres) -> None:
    postgres.run("CREATE TABLE hosts (address inet)")
    async with Life.of(SqlSink[Any](postgres.url, "hosts", schema=postgres.schema)) as life:
        await life.publish(1, [{"address": "10.0.0.1/8"}])
        with pytest.raises(SinkError, match=r"can't write batch 2 to table 'hosts' in .*: 'no connection' does not"):
            await life.publish(2, [{"address": "no connection"}])


@pytest.mark.parametrize("key", [(), "id"])
async def test_another_driver(postgres: Postgres, key: Any) -> None:
    url = postgres.url.replace("postgresql://", "postgresql+psycopg://")
    sink = SqlSink[Any](url, "rows", schema=postgres.schema, key=key, create=Everything)
    async with Life.of(sink) as life:
        await life.publish(1, [EVERYTHING] * (2 if key else 1))
    assert postgres.rows("SELECT at, price, tags, part, data FROM rows") == [
        (EVERYTHING.at, EVERYTHING.price, ["a", "b"], {"count": 3}, b"\x00\xff")
    ]


def test_it_runs_on_uvloop(postgres: Postgres) -> None:
    async def publish() -> None:
        async with Life.of(SqlSink[Any](postgres.url, "parts", schema=postgres.schema, create=Part)) as life:
            await life.publish(1, [Part(i) for i in range(MANY)])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(publish())
    assert postgres.rows("SELECT count(*) FROM parts") == [(MANY,)]


async def test_an_app_writes_its_totals_and_skips_a_record_that_does_not_fit(
    postgres: Postgres, tmp_path: Path
) -> None:
    postgres.run("CREATE TABLE totals (word varchar(5) PRIMARY KEY, total bigint)")
    source = MemorySource[str]([["a", "b", "a"], ["a", "longer than five"]])
    app = App("words", trigger=Once(), settings=Settings(state_dir=str(tmp_path)))

    def add(new: list[int], total: int | None) -> int:
        return (total or 0) + sum(new)

    (
        app.source(source)
        .map(lambda word: (word, 1))
        .key_by(lambda pair: pair[0])
        .map_values(lambda pair: pair[1])
        .update_state_by_key(add)
        .to(
            SqlSink(postgres.url, "totals", schema=postgres.schema, columns=("word", "total"), key="word"),
            on_error="skip",
        )
    )
    source.close()
    await app.serve()
    assert postgres.rows("SELECT * FROM totals ORDER BY word") == [("a", 3), ("b", 1)]
