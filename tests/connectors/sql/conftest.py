"""The databases that the tests write to."""

from __future__ import annotations

from tests.postgres.fixtures import postgres, postgres_server, postgres_url

__all__ = ["postgres", "postgres_server", "postgres_url"]
