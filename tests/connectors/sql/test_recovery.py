"""Lost connections, restarts, other instances: each batch is in the table once, or the writer says why it stops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamproc import Record
from streamproc.connectors.sql import SqlSink
from streamproc.errors import FencedError, SinkError
from tests.connectors.sql.life import Life
from tests.postgres.client import Postgres
from tests.postgres.proxy import Proxy
from tests.postgres.server import PostgresServer

pytestmark = pytest.mark.postgres


class Word(Record):
    word: str


def sink_of(postgres: Postgres, url: str | None = None, **options: Any) -> SqlSink[Any]:
    given: dict[str, Any] = {"create": Word, **options}
    return SqlSink(url or postgres.url, "words", schema=postgres.schema, **given)


def words(postgres: Postgres) -> list[str]:
    return [word for (word,) in postgres.rows("SELECT word FROM words ORDER BY word")]


async def test_what_was_published_is_known_at_the_next_start(postgres: Postgres) -> None:
    async with Life.of(sink_of(postgres)) as life:
        assert life.last is None
        await life.publish(3, [Word("a")])
        await life.publish(3, [Word("a")])
    async with Life.of(sink_of(postgres), committed=5, published=3) as life:
        assert life.last == 3
        await life.publish(3, [Word("a")])
        await life.publish(5, [Word("b")])
    assert words(postgres) == ["a", "b"]


async def test_the_instance_that_started_last_wins(postgres: Postgres) -> None:
    async with Life.of(sink_of(postgres)) as old:
        await old.publish(1, [Word("a")])
        async with Life.of(sink_of(postgres), committed=1) as new:
            assert new.last == 1
            with pytest.raises(FencedError, match=r"'store': another instance of app 'shop', shard 0, has taken over"):
                await old.publish(2, [Word("old")])
            await new.publish(2, [Word("new")])
            with pytest.raises(FencedError):
                await old.publish(3, [Word("old")])
    assert words(postgres) == ["a", "new"]


async def test_a_take_over_waits_for_the_transaction_under_way(postgres: Postgres) -> None:
    takes: list[asyncio.Task[int | None]] = []
    new = Life(sink_of(postgres), committed=1)

    def take_over(step: str) -> None:
        if step == "batch_marked":
            takes.append(asyncio.create_task(new.writer.start()))

    async with Life.of(sink_of(postgres), step=take_over) as old:
        await old.publish(1, [Word("a")])
        assert await takes[0] == 1
        with pytest.raises(FencedError):
            await old.publish(2, [Word("b")])
    await new.writer.close()
    assert words(postgres) == ["a"]


async def test_an_instance_that_is_behind_fences_nobody(postgres: Postgres) -> None:
    async with Life.of(sink_of(postgres)) as current:
        await current.publish(7, [Word("a")])
        async with Life.of(sink_of(postgres), committed=3) as behind:
            assert behind.last == 7
        await current.publish(8, [Word("b")])
    assert words(postgres) == ["a", "b"]


async def test_an_instance_that_falls_behind_while_it_starts_fences_nobody(postgres: Postgres) -> None:
    async with Life.of(sink_of(postgres)) as current:
        await current.publish(3, [Word("a")])

        def go_on(step: str) -> None:
            if step == "tables_made":
                postgres.run("UPDATE streamproc_batches SET batch_id = 4")

        async with Life.of(sink_of(postgres), committed=3, step=go_on) as behind:
            assert behind.last == 4
        await current.publish(5, [Word("b")])
    assert words(postgres) == ["a", "b"]


async def test_a_lost_mark_is_refused(postgres: Postgres) -> None:
    with pytest.raises(SinkError, match=r"has published batch 4 before, but postgresql://.* has no mark of it"):
        async with Life.of(sink_of(postgres), committed=4, published=4):
            pass
    assert postgres.rows("SELECT to_regclass('words')") == [(None,)]


async def test_a_mark_that_is_deleted_while_the_job_runs_is_missed(postgres: Postgres) -> None:
    async with Life.of(sink_of(postgres)) as life:
        await life.publish(1, [Word("a")])
        postgres.run("DELETE FROM streamproc_batches")
        with pytest.raises(SinkError, match=r"its row in table '.*streamproc_batches' .* was deleted"):
            await life.publish(2, [Word("b")])
    assert words(postgres) == ["a"]


@pytest.mark.parametrize("at", ["batch_marked", "rows_written"])
async def test_a_connection_that_is_killed_within_a_transaction(postgres: Postgres, at: str) -> None:
    killed: list[int] = []

    def kill(step: str) -> None:
        if step == at and not killed:
            holder = postgres.rows(
                "SELECT pid FROM pg_locks WHERE relation = 'streamproc_batches'::regclass AND mode = 'RowExclusiveLock'"
            )
            killed.extend(pid for (pid,) in holder)
            postgres.run("SELECT pg_terminate_backend(%s, 5000)", *killed)

    async with Life.of(sink_of(postgres), step=kill) as life:
        await life.publish(1, [Word("a")])
        await life.publish(2, [Word("b")])
        assert len(killed) == 1
        assert life.reports[-1] is None
        assert any(life.reports)
    assert words(postgres) == ["a", "b"]


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_commit_whose_outcome_is_unknown(postgres: Postgres, cut: Any) -> None:
    async with Proxy.to(postgres.url) as proxy, Life.of(sink_of(postgres, proxy.url)) as life:
        await life.publish(1, [Word("a")])
        proxy.cut_commit(cut)
        await life.publish(2, [Word("b")])
        assert proxy.cuts == 1
        assert life.steps.count("batch_marked") == {"before": 3, "after": 2}[cut]
        await life.publish(3, [Word("c")])
    assert words(postgres) == ["a", "b", "c"]


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_server_that_restarts_is_waited_for(postgres_server: PostgresServer, how: str) -> None:
    async with Life.of(SqlSink(postgres_server.url, "words", create=Word)) as life:
        await life.publish(1, [Word("a")])
        await asyncio.to_thread(getattr(postgres_server, how))
        publishing = asyncio.create_task(life.publish(2, [Word("b")]))
        assert f"postgresql://127.0.0.1:{postgres_server.port}/postgres: " in await life.waiting()
        await asyncio.to_thread(postgres_server.start)
        await publishing
        assert life.reports[-1] is None
    with Postgres(postgres_server.url) as postgres:
        assert words(postgres) == ["a", "b"]


async def test_a_server_that_does_not_answer_is_given_up_and_tried_again(postgres_server: PostgresServer) -> None:
    frozen: list[int] = []
    with Postgres(postgres_server.url) as postgres:

        def freeze(step: str) -> None:
            if step == "batch_marked" and not frozen:
                frozen.extend(postgres.backends())
                postgres_server.freeze(frozen[0])

        async with Life.of(SqlSink(postgres_server.url, "words", create=Word, timeout="500ms"), step=freeze) as life:
            publishing = asyncio.create_task(life.publish(1, [Word("a")]))
            assert "no answer in time" in await life.waiting()
            # Until it goes on it holds the lock of the mark.
            postgres_server.thaw(frozen[0])
            await publishing
            assert len(frozen) == 1
        assert words(postgres) == ["a"]


async def test_a_lock_that_somebody_holds_is_waited_for(postgres: Postgres) -> None:
    async with Life.of(sink_of(postgres, timeout="500ms")) as life:
        with Postgres(postgres.url, postgres.schema) as other:
            other.run("BEGIN")
            other.run("LOCK TABLE words")
            publishing = asyncio.create_task(life.publish(1, [Word("a")]))
            await life.waiting()
            other.run("COMMIT")
        await publishing
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


async def test_two_shards_make_their_tables_at_the_same_time(postgres: Postgres) -> None:
    lives = [Life(sink_of(postgres), name=f"store-{number}") for number in range(8)]
    assert await asyncio.gather(*(life.writer.start() for life in lives)) == [None] * 8
    await asyncio.gather(*(life.publish(1, [Word(f"{number}")]) for number, life in enumerate(lives)))
    for life in lives:
        await life.writer.close()
    assert words(postgres) == [f"{number}" for number in range(8)]


async def test_a_violated_constraint_stops_the_job_and_the_batch_stays_whole(postgres: Postgres) -> None:
    postgres.run("CREATE TABLE words (word text CHECK (word <> 'bad'))")
    sink = sink_of(postgres, create=None)
    async with Life.of(sink) as life:
        with pytest.raises(SinkError, match=r"can't write batch 1 to table 'words' in .*violates check constraint"):
            await life.publish(1, [Word("good"), Word("bad")])
    assert words(postgres) == []
    postgres.run("ALTER TABLE words DROP CONSTRAINT words_word_check")
    async with Life.of(sink, committed=1) as life:
        assert life.last is None
        await life.publish(1, [Word("good"), Word("bad")])
    assert words(postgres) == ["bad", "good"]
