"""A real Kafka: one for all tests of a run, and others of a test's own, whose brokers it may stop and kill."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.kafka.broker import Broker
from tests.kafka.client import Kafka
from tests.kafka.cluster import Cluster
from tests.kafka.program import Program, UnavailableError


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[Kafka]:
    """Return the Kafka that the tests of a run share: each makes topics and groups of its own, and stops no broker."""
    if address := os.environ.get("STREAMPROC_TEST_KAFKA"):
        yield Kafka(address)
    else:
        with Cluster.running(request.getfixturevalue("program")) as cluster:
            yield cluster.kafka


@pytest.fixture(scope="session")
def program() -> Program:
    """Return the Kafka that this machine can run."""
    try:
        return Program.find()
    except UnavailableError as error:
        reason = str(error)
    pytest.fail(reason, pytrace=False)


@pytest.fixture
def broker(program: Program) -> Iterator[Broker]:
    """Return the only broker of a Kafka of the test's own."""
    with Cluster.running(program) as cluster:
        yield cluster.brokers[0]


@pytest.fixture
def cluster(program: Program) -> Iterator[Cluster]:
    """Return a Kafka of the test's own with three brokers."""
    with Cluster.running(program, size=3) as cluster:
        yield cluster
