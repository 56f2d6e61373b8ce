"""A real Redis: one for all tests of a run, and others of a test's own, which it may stop."""

# redis-py's own types leave open what many of its functions take and return.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
from redis import Redis

from tests.connectors.redis.server import RedisServer, UnavailableError


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Return the address of the Redis that the tests of a run share: each uses keys of its own."""
    if given := os.environ.get("STREAMPROC_TEST_REDIS"):
        yield given
        return
    try:
        with RedisServer.running() as server:
            yield server.url
        return
    except UnavailableError as error:
        reason = str(error)
    pytest.fail(reason, pytrace=False)


@pytest.fixture
def redis(url: str) -> Iterator[Redis]:
    """Return a client of the shared Redis, whose answers are text."""
    with Redis.from_url(url, decode_responses=True) as client:
        yield client


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """Return a server of the test's own."""
    try:
        with RedisServer.running() as server:
            yield server
        return
    except UnavailableError as error:
        reason = str(error)
    pytest.fail(reason, pytrace=False)


@pytest.fixture
def unique() -> str:
    """Return a name that no other test has."""
    return uuid4().hex[:12]


@pytest.fixture
def crashes() -> Iterator[None]:
    """Collect what crashed writers have left open, before a later test is told of it."""
    yield
    gc.collect()
