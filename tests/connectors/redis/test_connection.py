"""A server that can't be reached is waited for, and one that refuses ends the job; no password is ever shown."""

# redis-py's own types leave open what many of its functions take and return.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
from redis import Redis

from streamproc.batch import Batch
from streamproc.connectors.redis import RedisHashSink, RedisStreamSink
from streamproc.errors import MissingExtraError, PipelineError, SinkError
from streamproc.io.sink import OutboxEntry, SinkContext, SinkWriter
from streamproc.testing import VirtualClock
from tests.connectors.redis.server import RedisServer


class Life:
    """A writer under a virtual clock, and what it says of waits."""

    def __init__(self, sink: RedisStreamSink) -> None:
        self.clock = VirtualClock()
        self.reports: list[str | None] = []
        self._said = asyncio.Event()
        self.writer: SinkWriter = sink.open(SinkContext("shop", "store", self.clock, blocked=self._blocked))

    def publish(self, batch_id: int, *values: str) -> asyncio.Task[None]:
        entry = OutboxEntry(batch_id, 1_000, self.writer.encode(Batch(list(values))))
        return asyncio.create_task(self.writer.publish(entry))

    async def blocked(self) -> str:
        """Return what it waits for, as soon as it does."""
        async with asyncio.timeout(20):
            await self._said.wait()
        self._said.clear()
        reason = self.reports[-1]
        assert reason is not None
        return reason

    def _blocked(self, reason: str | None) -> None:
        self.reports.append(reason)
        if reason is not None:
            self._said.set()


@pytest.fixture
async def life(server: RedisServer) -> AsyncIterator[Life]:
    life = Life(RedisStreamSink(server.url, "ads", timeout="200ms"))
    yield life
    await life.writer.close()


async def at_once(starting: Awaitable[int | None]) -> None:
    """Wait for what doesn't wait on the virtual clock."""
    async with asyncio.timeout(20):
        await starting


def values(server: RedisServer) -> list[str]:
    with Redis.from_url(server.url, decode_responses=True) as client:
        entries: Any = client.xrange("ads")
        return [fields["value"] for _, fields in entries]


@pytest.mark.redis
async def test_a_killed_server_is_waited_for(server: RedisServer, life: Life) -> None:
    await life.writer.start()
    await life.publish(1, "a")
    server.kill()
    publishing = life.publish(2, "b")
    assert f"Redis at {server.url} can't be reached" in await life.blocked()
    # Each further attempt comes later: the longest wait is 10 s.
    for _ in range(3):
        life.clock.advance("10s")
        await life.blocked()
    server.start()
    life.clock.advance("10s")
    await publishing
    assert life.reports[-1] is None
    assert values(server) == ["a", "b"]


@pytest.mark.redis
async def test_a_server_that_does_not_answer_counts_as_unreachable(server: RedisServer, life: Life) -> None:
    await life.writer.start()
    server.freeze()
    publishing = life.publish(1, "a")
    assert "can't be reached: Timeout" in await life.blocked()
    server.thaw()
    life.clock.advance("10s")
    await publishing
    # What came too late to be answered may have been done all the same.
    assert values(server) in (["a"], ["a", "a"])


@pytest.mark.redis
async def test_a_server_that_comes_up_beside_the_job_is_waited_for(server: RedisServer, life: Life) -> None:
    server.kill()
    starting = asyncio.create_task(life.writer.start())
    await life.blocked()
    server.start()
    life.clock.advance("10s")
    assert await starting is None
    assert life.reports[-1] is None


@pytest.mark.redis
async def test_a_server_that_is_not_there_ends_the_start_after_a_minute(server: RedisServer, life: Life) -> None:
    server.kill()
    starting = asyncio.create_task(life.writer.start())
    await life.blocked()
    life.clock.advance("60s")
    with pytest.raises(SinkError, match=r"'store': Redis at unix://.* can't be reached: .*start it, or correct"):
        await starting


@pytest.mark.redis
async def test_a_refused_password_is_not_waited_for_and_not_shown() -> None:
    with RedisServer.running("--requirepass", "right-secret") as server:
        for user in ("", ":wrong-secret@"):
            life = Life(RedisStreamSink(f"unix://{user}{server.socket}", "ads"))
            with pytest.raises(SinkError, match=r"refuses the connection: .*check user and password") as raised:
                await life.writer.start()
            await life.writer.close()
            assert "secret" not in str(raised.value)
        life = Life(RedisStreamSink(f"unix://:right-secret@{server.socket}", "ads"))
        await life.writer.start()
        await life.publish(1, "a")
        await life.writer.close()


@pytest.mark.redis
async def test_a_database_that_the_server_does_not_have_is_not_waited_for(server: RedisServer) -> None:
    life = Life(RedisStreamSink(f"{server.url}?db=99", "ads"))
    with pytest.raises(SinkError, match="DB index is out of range; check the number of the database in the URL"):
        await at_once(life.writer.start())
    await life.writer.close()
    assert life.reports == []


async def test_a_certificate_that_is_not_there_is_not_waited_for() -> None:
    life = Life(RedisStreamSink("rediss://127.0.0.1:1?ssl_ca_certs=nowhere.pem", "ads"))
    with pytest.raises(SinkError, match="a file with a certificate or key that the URL names is not there"):
        await at_once(life.writer.start())
    await life.writer.close()
    assert life.reports == []


@pytest.mark.redis
async def test_a_full_server_is_refused_with_what_to_do(server: RedisServer, life: Life) -> None:
    with Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1")
    await life.writer.start()
    with pytest.raises(SinkError, match=r"refuses XADD of 'ads': .*raise maxmemory.* Batch 1 is kept"):
        await life.publish(1, "a")


@pytest.mark.redis
async def test_an_option_that_redis_py_does_not_know_is_refused(server: RedisServer) -> None:
    for option in ("sockettimeout=1", "socket_timeout=soon"):
        life = Life(RedisStreamSink(f"{server.url}?{option}", "ads"))
        with pytest.raises(SinkError, match=r"can't be opened by the options of its URL: .*socket_?timeout"):
            await life.writer.start()
        await life.writer.close()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost", "redis://localhost:6379"),
        ("redis://user:secret@cache.internal:7000/2?health_check_interval=5", "redis://cache.internal:7000/2"),
        ("rediss://:a%2Fsecret%40@[::1]/", "rediss://[::1]:6379/"),
        ("unix://:secret@/run/redis.sock?db=1&password=secret", "unix:///run/redis.sock"),
    ],
)
def test_of_a_url_only_the_address_is_shown(url: str, address: str) -> None:
    sink = RedisHashSink(url)
    assert sink.address == address
    assert "secret" not in repr(sink)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://:secret@localhost", "begins with none of redis://"),
        ("localhost:6379", "begins with none of redis://"),
        ("redis://", "names no host"),
        ("redis://:se/cret@localhost", "can't be read|behind its host"),
        ("redis://u:12/secret@localhost", "has an @ or # behind its host"),
        ("redis://u:12#secret@localhost", "has an @ or # behind its host"),
        ("redis://localhost:secret", "can't be read"),
        ("redis://localhost/secret", "more than the number of a database"),
        ("unix://", "names no socket"),
        ("unix://secret/run/redis.sock", "names no socket"),
    ],
)
def test_a_wrong_url_is_refused_without_being_shown(url: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message) as raised:
        RedisHashSink(url)
    assert "secret" not in str(raised.value)
    assert "cret@" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_without_redis_py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "redis"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "streamproc.connectors.redis.writer", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    sink = RedisHashSink("redis://localhost")
    with pytest.raises(MissingExtraError, match=r"pip install 'streamproc\[redis\]'"):
        sink.open(SinkContext("shop", "store", VirtualClock()))
