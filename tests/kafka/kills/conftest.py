"""Where jobs that are killed run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kafka.client import Kafka
from tests.kafka.kills.trial import Place
from tests.postgres.fixtures import postgres_url

__all__ = ["place", "postgres_url"]


@pytest.fixture
def place(kafka: Kafka, postgres_url: str, tmp_path: Path) -> Place:
    """Return a real Kafka and a real PostgreSQL, and a directory of the test's own."""
    return Place(kafka, postgres_url, tmp_path)
