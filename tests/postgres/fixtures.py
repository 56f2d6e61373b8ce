"""A real PostgreSQL: one for all tests of a run, and others of a test's own, which it may stop.

A ``conftest.py`` imports what its tests need.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.postgres.client import Postgres
from tests.postgres.server import PostgresServer, UnavailableError

__all__ = ["postgres", "postgres_server", "postgres_url"]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Return the address of the PostgreSQL that the tests of a run share."""
    if given := os.environ.get("STREAMPROC_TEST_POSTGRES"):
        yield given
        return
    try:
        with PostgresServer.running() as server:
            yield server.url
        return
    except UnavailableError as error:
        reason = str(error)
    pytest.fail(reason, pytrace=False)


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Postgres]:
    """Return a schema of the test's own in the shared PostgreSQL."""
    with Postgres.with_schema(postgres_url) as postgres:
        yield postgres


@pytest.fixture
def postgres_server() -> Iterator[PostgresServer]:
    """Return a server of the test's own."""
    try:
        with PostgresServer.running() as server:
            yield server
        return
    except UnavailableError as error:
        reason = str(error)
    pytest.fail(reason, pytrace=False)
