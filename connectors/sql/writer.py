"""`SqlWriter`: publishes batches, each in one transaction with its mark.

    start       look at the mark; give way if it is ahead of our state (only the engine can say so properly)
                make the tables that are wanted and missing; look at the table to know what its columns take
                take over: a transaction in which the mark gets us as its owner
    publish     a transaction: the mark gets the batch id if we own it and it says what we have published last; the rows
                the mark doesn't change: another owns it, or the batch is published, or what was published is lost
                whatever goes wrong: the same again on a new connection

The UPDATE of the mark locks its row. So a new instance that takes over waits for the transaction that is under way and
then sees its batch id, and one that comes late finds that it is no longer the owner, before it has written anything.
When the connection is lost during COMMIT, the next attempt's UPDATE waits for the end of that transaction and tells
what came of it. (`mark.py` has the table.)
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Table, inspect
from sqlalchemy.engine import URL
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from streamproc.batch import Batch
from streamproc.errors import FencedError, SinkError
from streamproc.io.sink import OutboxEntry, SinkContext, SinkWriter
from streamproc.values import decode_values, encode_values

from .bulk import Bulk, Copy, CopyUpsert, ExecuteMany
from .database import Database
from .insert import UPSERT_DIALECTS
from .mark import Mark, MarkPlace, mark_table
from .rows import Rows, rows_of
from .target import Target, TargetError, check_encoding, describe_statement, describe_table

__all__ = ["SqlWriter", "WriteOptions"]

_START_MS = 60_000
"""How long a database may be away when the job starts: longer than it takes to come up beside it."""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What a `SqlSink` says about writing; see there.

    Attributes:
        table: The table; None with a statement.
        schema: The schema of the table, and of the table of marks.
        columns: The columns to write, or the parameters of the statement; empty for those of each row.
        row: What makes a row of an element.
        key: What rows are recognised by.
        statement: The user's statement.
        create: The table to make if it is missing.
        timeout: How many seconds a transaction may take.
    """

    table: str | None
    schema: str | None
    columns: tuple[str, ...]
    row: Any
    key: tuple[str, ...]
    statement: str | None
    create: Table | None
    timeout: float


class SqlWriter(SinkWriter):
    """Writes to a database for one shard.

    Args:
        url: The database.
        options: What to write.
        context: What the engine gives.
    """

    def __init__(self, url: URL, options: WriteOptions, context: SinkContext) -> None:
        self._options = options
        self._context = context
        self._database = Database(url, options.timeout, context)
        self._place = MarkPlace(mark_table(options.schema), context.app, context.name, context.shard)
        self._me = secrets.token_hex(8)
        self._published: int | None = None
        self._target: Target | None = None
        self._bulk: Bulk = ExecuteMany("", None)

    async def start(self) -> int | None:
        """Connect, make what is missing, take over, and return the last published batch.

        Raises:
            SinkError: The database isn't there for a minute, or refuses; the table is missing or has no such key; or
                what the sink has published before is not in this database.
        """
        patiently = partial(self._database.patiently, until=self._context.clock.now() + _START_MS)
        try:
            if not await patiently(self._is_behind, "read what is published"):
                await patiently(self._make_tables, "make tables")
                self._context.step("tables_made")
                await patiently(self._look, "look at what to write to")
                await patiently(self._take_over, "take over")
                self._context.step("taken_over")
        except TargetError as error:
            raise SinkError(f"sink {self._context.name!r} can't write to {self._database.address}: {error}") from None
        return self._published

    def encode(self, batch: Batch) -> bytes:
        """Return rows as the driver wants them: for all with the same columns, their names and lists of values."""
        options = self._options
        elements: list[Any] = batch.rows()
        if options.row is not None:
            elements = list(map(options.row, elements))
        groups = rows_of(elements, options.columns, ordered=bool(options.key))
        assert self._target is not None, "encode() before start()"
        checked = [self._target.checked(rows) for rows in groups]
        return encode_values([[list(rows.columns), rows.values] for rows in checked])

    async def publish(self, entry: OutboxEntry) -> None:
        """Write a batch.

        Raises:
            FencedError: Another instance has taken over.
            SinkError: The database refuses.
        """
        if self._published is not None and entry.batch_id <= self._published:
            return
        groups = [Rows(tuple(columns), values) for columns, values in decode_values(entry.payload)]
        what = f"write batch {entry.batch_id} to {self._name}"
        await self._database.patiently(lambda: self._write(groups, entry.batch_id), what)
        self._published = entry.batch_id

    async def close(self) -> None:
        """Disconnect."""
        await self._database.close()

    async def _is_behind(self) -> bool:
        """Read the mark, and return whether it is ahead of our state."""
        async with self._database.transaction() as connection:
            there = await _exists(connection, self._place.table)
            mark = await self._place.read(connection) if there else None
        self._published = None if mark is None else mark.batch
        if self._published is None and self._context.published:
            raise SinkError(
                f"sink {self._context.name!r} has published batch {self._context.published} before, but "
                f"{self._database.address} has no mark of it (table {self._place.table.fullname!r}): the table was "
                f"emptied or made anew, or this is another database. So it is not known what is published. Run it once "
                f"more where it was, or start anew with other state"
            )
        return self._published is not None and self._published > self._context.committed

    async def _make_tables(self) -> None:
        wanted = [self._place.table, self._options.create]
        for table in wanted:
            if table is not None:
                await _make(self._database, table)

    async def _look(self) -> None:
        """Learn what the columns take, and choose how to write them."""
        options = self._options
        async with self._database.transaction() as connection:
            await check_encoding(connection)
            if options.statement is not None:
                self._target = await describe_statement(connection, options.statement, options.columns)
                self._bulk = ExecuteMany("", None, statement=options.statement)
                return
            table, key = options.table or "", options.key
            if key and connection.dialect.name not in UPSERT_DIALECTS:
                raise TargetError(
                    f"SqlSink(key=…) knows no upsert of {connection.dialect.name}: expected one of "
                    f"{', '.join(UPSERT_DIALECTS)}; write one with statement="
                )
            self._target = target = await describe_table(connection, table, options.schema, key=key)
        if missing := [name for name in (*options.columns, *key) if name not in target.columns]:
            raise TargetError(f"{target.name} has no column {missing[0]!r}: it has {', '.join(target.columns)}")
        if not target.copies:
            self._bulk = ExecuteMany(table, options.schema, key)
        elif key:
            self._bulk = CopyUpsert(table, options.schema, key)
        else:
            self._bulk = Copy(table, options.schema)

    async def _take_over(self) -> None:
        """Become the instance that may publish, unless another has more than we know of."""
        try:
            self._published = await self._take_mark()
        except IntegrityError:
            # Another instance, that starts for the first time as well, has created the mark meanwhile.
            self._published = await self._take_mark()

    async def _take_mark(self) -> int | None:
        """Become the owner of the mark unless it is ahead of our state; return the batch in it.

        Raises:
            IntegrityError: There was none, and another instance has created it at the same time.
        """
        committed = self._context.committed
        async with self._database.transaction() as connection:
            mark: Mark | None = None
            if not await self._place.take(connection, self._me, committed=committed):
                mark = await self._place.read(connection)
                if mark is None:
                    await self._place.create(connection, self._me)
                else:
                    # One that another instance has created since; or still one that is ahead.
                    await self._place.take(connection, self._me, committed=committed)
            mark = await self._place.read(connection)
            self._context.step("owner_written")
        return None if mark is None else mark.batch

    async def _write(self, groups: Sequence[Rows], batch_id: int) -> None:
        """Publish a batch in one transaction, unless it is found to be published."""
        async with self._database.transaction() as connection:
            if not await self._place.advance(connection, self._me, batch_id, after=self._published):
                self._check_published(await self._place.read(connection), batch_id)
                return
            self._context.step("batch_marked")
            for rows in groups:
                await self._bulk.write(connection, rows)
                self._context.step("rows_written")
        self._context.step("sql_committed")

    def _check_published(self, mark: Mark | None, batch_id: int) -> None:
        """Return if the batch is published by this instance.

        Raises:
            FencedError: Another instance is the owner.
            SinkError: Nobody is, or the database has lost what this instance has published before.
        """
        where = f"sink {self._context.name!r}: its row in table {self._place.table.fullname!r} of"
        if mark is None:
            raise SinkError(
                f"{where} {self._database.address} was deleted while it ran, so it is not known whether batch "
                f"{batch_id} is published. Restore the row, or start anew with other state"
            )
        if mark.owner != self._me:
            raise FencedError(
                f"sink {self._context.name!r}: another instance of app {self._context.app!r}, shard "
                f"{self._context.shard}, has taken over. This one has published nothing since, and stops: of each "
                f"shard one instance may run"
            )
        if mark.batch != batch_id:
            raise SinkError(
                f"{where} {self._database.address} says that the last published batch is {mark.batch or 'none'}, and "
                f"this instance has published {self._published or 'none'} last: the database has lost what it had "
                f"acknowledged (a failover to a standby that was behind, a restored backup), or the row was changed. "
                f"Bring back what is lost, or start anew with other state"
            )

    @property
    def _name(self) -> str:
        return "its statement" if self._options.table is None else f"table {self._options.table!r}"


async def _exists(connection: AsyncConnection, table: Table) -> bool:
    return await connection.run_sync(lambda sync: inspect(sync).has_table(table.name, table.schema))


async def _make(database: Database, table: Table) -> None:
    """Make a table unless it is there."""
    try:
        async with database.transaction() as connection:
            if not await _exists(connection, table):
                await connection.run_sync(table.create)
    except (IntegrityError, OperationalError, ProgrammingError):
        # Two shards may make it at the same time; the second is refused in several ways.
        async with database.transaction() as connection:
            if not await _exists(connection, table):
                raise
