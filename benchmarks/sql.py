"""SQL: rows per second into PostgreSQL and SQLite, a statement at a time, by executemany, by COPY, and by `SqlSink`."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.report import Report, middle
from streamproc import Record
from streamproc.batch import Batch
from streamproc.connectors.sql import SqlSink
from streamproc.connectors.sql.bulk import Bulk, Copy, CopyUpsert, ExecuteMany
from streamproc.connectors.sql.rows import Rows
from streamproc.eventtime.clock import SystemClock
from streamproc.io.sink import OutboxEntry, SinkContext
from tests.postgres.server import PostgresServer

__all__ = ["main", "measure"]

ROWS = 20_000
"""Rows a batch."""
FEW = 2_000
"""Rows of what is slow."""
BATCHES = 5
ROUNDS = 3


class View(Record):
    """A row of four columns, about 60 bytes."""

    id: int
    page: str
    user: str
    seconds: float


def views(batch: int) -> list[View]:
    """Return the rows of a batch: half of their keys are those of the batch before."""
    first = batch * ROWS // 2
    numbers = range(first, first + ROWS)
    return [View(number, f"/pages/{number % 997}", f"user-{number:08}", number / 8) for number in numbers]


def rows_of(batch: int, count: int) -> Rows:
    """Return the same as columns, all with keys of their own."""
    rows = [(batch * ROWS + number, "/pages/7", f"user-{number:08}", number / 8) for number in range(count)]
    return Rows(("id", "page", "user", "seconds"), list(map(list, zip(*rows, strict=True))))


async def write(url: str, bulk: Bulk, count: int, *, size: int) -> float:
    """Return the rows per second of a way to write, in one transaction of ``count`` rows.

    Args:
        url: The database; its table ``views`` is made anew.
        bulk: The way.
        count: How many rows.
        size: How many at once.
    """
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("DROP TABLE IF EXISTS views")
        await connection.exec_driver_sql(
            'CREATE TABLE views (id bigint PRIMARY KEY, page text, "user" text, seconds double precision)'
        )
    rows = rows_of(0, count)
    parts = [
        Rows(rows.columns, [values[start : start + size] for values in rows.values]) for start in range(0, count, size)
    ]
    begin = time.perf_counter()
    async with engine.begin() as connection:
        await connection.exec_driver_sql("SELECT 1")
        for part in parts:
            await bulk.write(connection, part)
    spent = time.perf_counter() - begin
    await engine.dispose()
    return count / spent


async def publish(url: str, name: str, key: str | tuple[str, ...]) -> float:
    """Return the rows per second of a `SqlSink`, with encoding and one transaction a batch."""
    sink = SqlSink[View](url, name, key=key, create=View)
    writer = sink.open(SinkContext("benchmark", name, SystemClock()))
    await writer.start()
    batches = [views(batch if key else 2 * batch) for batch in range(BATCHES)]
    begin = time.perf_counter()
    for number, rows in enumerate(batches, 1):
        payload = writer.encode(Batch(list(rows)))
        await writer.publish(OutboxEntry(number, 0, payload))
    spent = time.perf_counter() - begin
    await writer.close()
    return BATCHES * ROWS / spent


async def compare(url: str, driver_url: str, report: Report, *, copies: bool) -> None:
    """Measure all ways on one database."""
    one_by_one = ExecuteMany("views", None)
    ways: dict[str, Callable[[int], Awaitable[float]]] = {
        "a statement at a time": lambda _: write(driver_url, one_by_one, FEW, size=1),
        "executemany": lambda _: write(driver_url, one_by_one, ROWS, size=ROWS),
        "executemany, upsert": lambda _: write(driver_url, ExecuteMany("views", None, ("id",)), ROWS, size=ROWS),
    }
    if copies:
        ways["COPY"] = lambda _: write(driver_url, Copy("views", None), ROWS, size=ROWS)
        ways["COPY, upsert"] = lambda _: write(driver_url, CopyUpsert("views", None, ("id",)), ROWS, size=ROWS)
    ways[f"SqlSink, {BATCHES} batches with encoding and commits"] = lambda n: publish(url, f"added{n}", ())
    ways["SqlSink, upsert, half of the keys known"] = lambda n: publish(url, f"upserted{n}", "id")
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS):
        for name, way in ways.items():
            rates[name].append(await way(number))
    for name, values in rates.items():
        value, spread = middle(values)
        report.add(f"{driver_url.partition('+')[0]}: {name}", value, "rows/s", spread)


def measure() -> Report:
    """Start a PostgreSQL and measure."""
    report = Report(
        "sql",
        f"rows of four columns, {ROWS:,} at once where nothing else is said; a primary key; each commit is\n"
        "synced to the disk; the server shares the machine; needs PostgreSQL",
    )
    with PostgresServer.running() as server, tempfile.TemporaryDirectory() as folder:
        asynchronous = server.url.replace("postgresql://", "postgresql+asyncpg://")
        asyncio.run(compare(server.url, asynchronous, report, copies=True))
        path: Any = f"/{folder}/views.db"
        asyncio.run(compare(f"sqlite://{path}", f"sqlite+aiosqlite://{path}", report, copies=False))
    return report


def main() -> None:
    """Measure and print."""
    print(measure())


if __name__ == "__main__":
    main()
