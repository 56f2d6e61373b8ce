"""What tables of PostgreSQL rows can be written to, and by what they are recognised there."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from streamproc.batch import Batch
from streamproc.connectors.sql import SqlSink
from streamproc.errors import EncodeError, SinkError
from tests.connectors.sql.life import Life
from tests.connectors.sql.words import Word
from tests.postgres.client import Postgres
from tests.postgres.server import PostgresServer

pytestmark = pytest.mark.postgres

MANY = 2_500
"""Rows that are copied, and not written one by one."""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "nowhere"}, "there is no table 'nowhere' of schema '.*': make it"),
        ({"key": "name"}, r"has neither a primary key nor a unique index on \(name\)"),
        ({"columns": ("id", "nosuch")}, "has no column 'nosuch': it has id, name, mail"),
        ({"key": "mail"}, r"has a DEFERRABLE constraint on \(mail\), the key= of SqlSink"),
        ({"table": "ruled", "key": "id"}, "has rules for INSERT or UPDATE, with which PostgreSQL knows no upsert"),
        ({"table": "joined"}, "nothing can be inserted into table 'joined' of schema '.*': expected a table"),
        ({"table": "kept"}, "nothing can be inserted into table 'kept' of schema"),
    ],
)
async def test_a_table_that_does_not_fit_is_found_at_the_start(
    postgres: Postgres, options: dict[str, Any], message: str
) -> None:
    postgres.run("CREATE TABLE items (id int PRIMARY KEY, name text, mail text UNIQUE DEFERRABLE)")
    postgres.run("CREATE UNIQUE INDEX ON items (name) WHERE id > 0")
    # One that can't wait doesn't help: PostgreSQL looks at both.
    postgres.run("CREATE UNIQUE INDEX ON items (mail)")
    postgres.run("CREATE TABLE ruled (id int PRIMARY KEY)")
    postgres.run("CREATE RULE other AS ON UPDATE TO ruled DO INSTEAD NOTHING")
    postgres.run("CREATE VIEW joined AS SELECT a.id, b.name FROM items a JOIN items b ON a.name = b.mail")
    postgres.run("CREATE MATERIALIZED VIEW kept AS SELECT * FROM items")
    given: dict[str, Any] = {"table": "items", "schema": postgres.schema, **options}
    sink = SqlSink[Any](postgres.url, **given)
    with pytest.raises(SinkError, match=message):
        async with Life.of(sink):
            pass


async def test_rows_that_copy_can_not_write(postgres: Postgres) -> None:
    postgres.run("CREATE TABLE items (id int, name text)")
    postgres.run("CREATE VIEW viewed AS SELECT * FROM items")
    async with Life.of(SqlSink[Any](postgres.url, "viewed", schema=postgres.schema)) as life:
        await life.publish(1, [{"id": i, "name": "x"} for i in range(MANY)])
    assert postgres.rows("SELECT count(*), max(id) FROM items") == [(MANY, MANY - 1)]


async def test_rows_go_by_the_rules_and_triggers_of_a_table(postgres: Postgres) -> None:
    postgres.run("CREATE TABLE items (id int, name text)")
    postgres.run("CREATE TABLE ruled (id int, name text)")
    postgres.run("CREATE RULE other AS ON INSERT TO ruled DO INSTEAD INSERT INTO items VALUES (NEW.id, 'by a rule')")
    postgres.run("CREATE VIEW joined AS SELECT a.id, b.name FROM items a JOIN ruled b USING (id)")
    postgres.run(
        "CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN INSERT INTO items VALUES (NEW.id, 'by a trigger'); RETURN NEW; END$$"
    )
    postgres.run("ALTER FUNCTION other() SET search_path FROM CURRENT")
    postgres.run("CREATE TRIGGER other INSTEAD OF INSERT ON joined FOR EACH ROW EXECUTE FUNCTION other()")
    for table in ("ruled", "joined"):
        async with Life.of(SqlSink[Any](postgres.url, table, schema=postgres.schema), name=table) as life:
            await life.publish(1, [{"id": i, "name": "x"} for i in range(MANY)])
    assert postgres.rows("SELECT count(*) FROM ruled") == [(0,)]
    assert postgres.rows("SELECT name, count(*) FROM items GROUP BY name ORDER BY name") == [
        ("by a rule", MANY),
        ("by a trigger", MANY),
    ]


async def test_a_database_that_can_not_hold_every_text_is_refused(postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE old ENCODING 'LATIN1' TEMPLATE template0")
    url = f"{postgres_server.url.rpartition('/')[0]}/old"
    statement = "SELECT :a"
    for sink in (SqlSink[Any](url, "words", create=Word), SqlSink[Any](url, statement=statement)):
        with pytest.raises(SinkError, match="the database's encoding is LATIN1, which can't hold every text"):
            async with Life.of(sink):
                pass


@pytest.mark.parametrize("count", [3, MANY])
async def test_a_key_must_have_a_value(postgres: Postgres, count: int) -> None:
    postgres.run("CREATE TABLE items (k text UNIQUE, n serial UNIQUE, v int)")
    sink = SqlSink[Any](postgres.url, "items", schema=postgres.schema, key="k")
    async with Life.of(sink) as life:
        message = r"column 'k': expected a value, got None: it is in the key= that rows are recognised by"
        with pytest.raises(EncodeError, match=message):
            life.writer.encode(Batch([{"k": None, "v": i} for i in range(count)]))
        with pytest.raises(EncodeError, match="the row lacks 'k': it is in the key= that rows are recognised by"):
            life.writer.encode(Batch([{"v": i} for i in range(count)]))
        await life.publish(1, [{"k": "", "v": i} for i in range(count)])
    assert postgres.rows("SELECT k, v FROM items") == [("", count - 1)]
    async with Life.of(SqlSink[Any](postgres.url, "items", schema=postgres.schema, key="n"), name="numbered") as life:
        with pytest.raises(EncodeError, match="the row lacks 'n': it is in the key="):
            life.writer.encode(Batch([{"k": str(i)} for i in range(count)]))
