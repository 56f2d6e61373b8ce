"""Lost connections, restarts, other instances: each batch is in the table once, or the writer says why it stops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamproc.connectors.sql import SqlSink
from streamproc.errors import FencedError, SinkError
from tests.connectors.sql.life import Life
from tests.connectors.sql.words import Word, sink_of, words
from tests.postgres.client import Postgres
from tests.postgres.proxy import Proxy
from tests.postgres.server import PostgresServer

pytestmark = pytest.mark.postgres


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
    new = Life(sink_of(postgres), committed=1)
    async with Life.of(sink_of(postgres)) as old:
        with Postgres(postgres.url, postgres.schema) as other:
            other.run("BEGIN")
            # Keeps from writing, and not from looking.
            other.run("LOCK TABLE words IN SHARE MODE")
            publishing = asyncio.create_task(old.publish(1, [Word("a")]))
            await postgres.until_waiting(1)
            starting = asyncio.create_task(new.writer.start())
            await postgres.until_waiting(2)
            assert not starting.done()
            other.run("COMMIT")
        await publishing
        assert await starting == 1
        with pytest.raises(FencedError):
            await old.publish(2, [Word("b")])
        await new.publish(2, [Word("c")])
    await new.writer.close()
    assert words(postgres) == ["a", "c"]


async def test_an_instance_that_is_behind_fences_nobody(postgres: Postgres) -> None:
    async with Life.of(sink_of(postgres)) as current:
        await current.publish(7, [Word("a")])
        async with Life.of(sink_of(postgres), committed=3) as behind:
            assert behind.last == 7
        await current.publish(8, [Word("b")])
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


@pytest.mark.parametrize("last", [1, None])
async def test_a_mark_that_goes_back_while_the_job_runs_is_noticed(postgres: Postgres, last: int | None) -> None:
    async with Life.of(sink_of(postgres)) as life:
        await life.publish(1, [Word("a")])
        await life.publish(2, [Word("b")])
        # As after a failover to a standby that had not received everything.
        postgres.run("UPDATE streamproc_batches SET batch_id = %s", last)
        postgres.run("DELETE FROM words WHERE word = 'b'")
        message = (
            f"the last published batch is {last or 'none'}, and this instance has published 2 last: the database has"
        )
        with pytest.raises(SinkError, match=message):
            await life.publish(3, [Word("c")])
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
            assert "lock timeout" in await life.waiting()
            other.run("COMMIT")
        await publishing
    assert words(postgres) == ["a"]


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


async def test_closing_does_not_wait_for_a_server_that_does_not_answer(postgres_server: PostgresServer) -> None:
    life = Life(SqlSink(postgres_server.url, "words", create=Word, timeout="500ms"))
    await life.writer.start()
    with Postgres(postgres_server.url) as postgres:
        (backend,) = postgres.backends()
        postgres_server.freeze(backend)
        async with asyncio.timeout(20):
            await life.writer.close()
        postgres_server.thaw(backend)


async def test_a_client_that_is_gone_is_noticed_by_the_server(postgres: Postgres) -> None:
    settings = ["idle_in_transaction_session_timeout", *(f"tcp_keepalives_{n}" for n in ("idle", "interval", "count"))]
    columns = ", ".join(f"{name} text DEFAULT current_setting('{name}')" for name in settings)
    postgres.run(f"CREATE TABLE words (word text, {columns})")
    async with Life.of(sink_of(postgres, create=None)) as life:
        await life.publish(1, [Word("a")])
    # The socket's own settings, as the server's system tells them.
    assert postgres.rows("SELECT * FROM words") == [("a", "1min", "30", "10", "3")]
