"""Where the results of a job that is killed go, and how to read them without the project's own code."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamproc.connectors.files import FileSink, Ndjson, Roll
from streamproc.connectors.kafka import KafkaSink
from streamproc.connectors.sql import SqlSink
from streamproc.io.sink import Sink
from tests.kafka.client import Kafka
from tests.kafka.kills.kinds import Rows
from tests.postgres.client import Postgres

__all__ = ["FilesOutput", "KafkaOutput", "Output", "PostgresOutput"]


class Output(ABC):
    """A sink of a job, whose definition goes to another process."""

    @abstractmethod
    def sink(self) -> Sink[Any]:
        """Return the sink."""

    @abstractmethod
    async def read(self) -> Rows:
        """Return what is in it: what everybody sees."""


@dataclass(frozen=True, slots=True)
class KafkaOutput(Output):
    """A topic."""

    bootstrap: str
    topic: str

    def sink(self) -> Sink[Any]:
        return KafkaSink(self.topic, kafka={"bootstrap.servers": self.bootstrap})

    async def read(self) -> Rows:
        rows: Rows = defaultdict(list)
        for message in await Kafka(self.bootstrap).read(self.topic):
            rows[int(message.key or b"")].append((message.value or b"").decode())
        return dict(rows)


@dataclass(frozen=True, slots=True)
class PostgresOutput(Output):
    """A table."""

    url: str
    table: str

    def sink(self) -> Sink[Any]:
        return SqlSink(self.url, self.table, columns=("key", "value"))

    def make(self) -> None:
        """Make the table."""
        with Postgres(self.url) as postgres:
            postgres.run(f'CREATE TABLE "{self.table}" (id bigserial, key bigint, value text)')

    async def read(self) -> Rows:
        rows: Rows = defaultdict(list)
        with Postgres(self.url) as postgres:
            for key, value in postgres.rows(f'SELECT key, value FROM "{self.table}" ORDER BY id'):
                rows[key].append(value)
        return dict(rows)


@dataclass(frozen=True, slots=True)
class FilesOutput(Output):
    """A directory with part files."""

    directory: Path

    def sink(self) -> Sink[Any]:
        return FileSink(self.directory, format=Ndjson(), roll=Roll(size_bytes=4_000))

    async def read(self) -> Rows:
        rows: Rows = defaultdict(list)
        for part in sorted(self.directory.glob("part-*")):
            for line in part.read_text().splitlines():
                row = json.loads(line)
                rows[row["key"]].append(row["value"])
        return dict(rows)
