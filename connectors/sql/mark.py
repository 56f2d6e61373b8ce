"""The mark of a sink in its database: which batch it has published last, and which instance of it may publish.

The table ``streamproc_batches`` has one row for each sink and shard:

    app, sink, shard    whose it is: the primary key
    batch_id            the last published batch; NULL before the first
    owner               the instance that may publish

It changes only in the transaction of a batch, together with the rows, or alone when an instance takes over. Both begin
with an UPDATE of the row, which locks it until the transaction ends: so they come one after the other, also when the
one before belongs to a connection that is lost, and the outcome of a COMMIT that nobody has answered is known as soon
as the row can be updated again.

An instance that publishes knows what the row must say: what it has published last. A row that says anything else has
lost what was acknowledged, as after a failover to a standby that had not received everything.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, ColumnElement, Integer, MetaData, String, Table, and_, or_
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["Mark", "MarkPlace", "mark_table"]


def mark_table(schema: str | None) -> Table:
    """Return the table of marks."""
    return Table(
        "streamproc_batches",
        MetaData(),
        Column("app", String(200), primary_key=True),
        Column("sink", String(200), primary_key=True),
        Column("shard", Integer, primary_key=True, autoincrement=False),
        Column("batch_id", BigInteger),
        Column("owner", String(32), nullable=False),
        schema=schema,
    )


@dataclass(frozen=True, slots=True)
class Mark:
    """What a mark says.

    Attributes:
        owner: The instance that may publish.
        batch: The last published batch; None if there was none yet.
    """

    owner: str
    batch: int | None


@dataclass(frozen=True)
class MarkPlace:
    """Where the mark of a sink is. All methods work in the transaction of the connection.

    Attributes:
        table: The table of marks.
        app: The app's name.
        sink: The sink's name.
        shard: The shard.
    """

    table: Table
    app: str
    sink: str
    shard: int

    async def read(self, connection: AsyncConnection) -> Mark | None:
        """Return the mark as it is now, and lock it; None if there is none."""
        columns = self.table.c
        query = self.table.select().where(self._is_ours).with_only_columns(columns.owner, columns.batch_id)
        # Not as of the beginning of the transaction, where a database is used to that.
        row = (await connection.execute(query.with_for_update())).one_or_none()
        return None if row is None else Mark(row.owner, row.batch_id)

    async def create(self, connection: AsyncConnection, owner: str) -> None:
        """Write a mark that says that nothing is published.

        Raises:
            IntegrityError: There is one already.
        """
        values = {"app": self.app, "sink": self.sink, "shard": self.shard, "owner": owner}
        await connection.execute(self.table.insert().values(values))

    async def take(self, connection: AsyncConnection, owner: str, *, committed: int) -> bool:
        """Make an instance the owner; return whether there is a mark, and no later batch than ``committed`` in it."""
        batch = self.table.c.batch_id
        return await self._update(connection, or_(batch.is_(None), batch <= committed), {"owner": owner})

    async def advance(self, connection: AsyncConnection, owner: str, batch_id: int, *, after: int | None) -> bool:
        """Write that a batch is published; return whether the instance is the owner and ``after`` was the last one."""
        expected = and_(self.table.c.owner == owner, self.table.c.batch_id.is_not_distinct_from(after))
        return await self._update(connection, expected, {"batch_id": batch_id})

    async def _update(
        self, connection: AsyncConnection, condition: ColumnElement[bool], values: dict[str, object]
    ) -> bool:
        result = await connection.execute(self.table.update().where(self._is_ours, condition).values(values))
        return result.rowcount == 1

    @property
    def _is_ours(self) -> ColumnElement[bool]:
        columns = self.table.c
        return and_(columns.app == self.app, columns.sink == self.sink, columns.shard == self.shard)
