"""The start of a writer: beside other instances, without a server, and for how long it tries."""

from __future__ import annotations

import asyncio

import pytest

from streamproc.connectors.sql import SqlSink
from streamproc.errors import SinkError
from tests.connectors.sql.life import Life
from tests.connectors.sql.words import Word, sink_of, words
from tests.postgres.client import Postgres
from tests.postgres.proxy import Proxy
from tests.postgres.server import PostgresServer

pytestmark = pytest.mark.postgres

OTHER = "INSERT INTO streamproc_batches VALUES ('shop', 'store', 0, NULL, 'other')"
"""What another instance does when it starts for the first time."""


async def test_an_instance_that_falls_behind_while_it_starts_fences_nobody(postgres: Postgres) -> None:
    async with Life.of(sink_of(postgres)) as current:
        await current.publish(3, [Word("a")])

        def go_on(step: str) -> None:
            if step == "tables_made":
                postgres.run("UPDATE streamproc_batches SET batch_id = 4")

        async with Life.of(sink_of(postgres), committed=3, step=go_on) as behind:
            assert behind.last == 4
        postgres.run("UPDATE streamproc_batches SET batch_id = 3")
        await current.publish(4, [Word("b")])
    assert words(postgres) == ["a", "b"]


async def test_another_instance_that_starts_for_the_first_time_too_is_waited_for(postgres: Postgres) -> None:
    async with Life.of(sink_of(postgres), name="first"):
        pass  # The table of marks is there now.
    life = Life(sink_of(postgres))
    with Postgres(postgres.url, postgres.schema) as other:
        other.run("BEGIN")
        other.run(OTHER)
        starting = asyncio.create_task(life.writer.start())
        await postgres.until_waiting(1)
        other.run("COMMIT")
    assert await starting is None
    await life.publish(1, [Word("a")])
    await life.writer.close()
    assert words(postgres) == ["a"]


async def test_another_instance_that_starts_between_two_looks_at_the_mark(postgres: Postgres) -> None:
    async with Proxy.to(postgres.url) as proxy:
        # Without a table there is nothing to look at until it takes over.
        proxy.before("FOR UPDATE", lambda: postgres.run(OTHER))
        async with Life.of(sink_of(postgres, proxy.url)) as life:
            assert life.last is None
            assert postgres.rows("SELECT owner = 'other' FROM streamproc_batches") == [(False,)]
            await life.publish(1, [Word("a")])
    assert words(postgres) == ["a"]


async def test_a_server_that_is_not_there_ends_the_start_after_a_minute(postgres_server: PostgresServer) -> None:
    postgres_server.stop()
    url = postgres_server.url.replace("@", ":hunter2@")
    with pytest.raises(SinkError, match=r"'store' can't read what is published in postgresql://127\S+: ") as raised:
        async with Life.of(SqlSink(url, "words", create=Word)):
            pass
    assert "hunter2" not in str(raised.value)


async def test_a_database_that_is_not_there_is_not_waited_for(postgres: Postgres) -> None:
    url = f"{postgres.url.rpartition('/')[0]}/no_such_database"
    with pytest.raises(SinkError, match=r'database "no_such_database" does not exist'):
        async with Life.of(sink_of(postgres, url)):
            pass


async def test_the_minute_of_the_start_is_one_for_all_that_it_does(postgres: Postgres) -> None:
    with Postgres(postgres.url, postgres.schema) as other:

        def hold_up(step: str) -> None:
            if step == "tables_made":
                life.clock.advance("50s")
                other.run("BEGIN")
                other.run("LOCK TABLE streamproc_batches")

        life = Life(sink_of(postgres, timeout="200ms"), step=hold_up)
        began = life.clock.now()
        with pytest.raises(SinkError, match=r"'store' can't take over in .*: canceling statement due to lock timeout"):
            await life.writer.start()
        await life.writer.close()
    assert 60_000 <= life.clock.now() - began < 70_000


async def test_two_shards_make_their_tables_at_the_same_time(postgres: Postgres) -> None:
    lives = [Life(sink_of(postgres), name=f"store-{number}") for number in range(8)]
    assert await asyncio.gather(*(life.writer.start() for life in lives)) == [None] * 8
    await asyncio.gather(*(life.publish(1, [Word(f"{number}")]) for number, life in enumerate(lives)))
    for life in lives:
        await life.writer.close()
    assert words(postgres) == [f"{number}" for number in range(8)]
