"""The table ``words`` that tests about more than its rows write to."""

from __future__ import annotations

from typing import Any

from streamproc import Record
from streamproc.connectors.sql import SqlSink
from tests.postgres.client import Postgres

__all__ = ["Word", "sink_of", "words"]


class Word(Record):
    word: str


def sink_of(postgres: Postgres, url: str | None = None, **options: Any) -> SqlSink[Any]:
    """Return a sink to ``words`` in the schema of a test."""
    given: dict[str, Any] = {"create": Word, **options}
    return SqlSink(url or postgres.url, "words", schema=postgres.schema, **given)


def words(postgres: Postgres) -> list[str]:
    """Return what is in ``words``, in order."""
    return [word for (word,) in postgres.rows("SELECT word FROM words ORDER BY word")]
