"""`SqlSink`: results to a table of an SQL database, each batch in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, TypeVar

from sqlalchemy import Table, text
from sqlalchemy.engine import URL

from streamproc.durations import Duration, to_ms
from streamproc.errors import PipelineError
from streamproc.io.sink import Delivery, Sink, SinkContext, SinkWriter

from .address import read_url, shown_address
from .table_of_record import table_of_record
from .writer import SqlWriter, WriteOptions

__all__ = ["SqlSink"]

T = TypeVar("T")


@dataclass(frozen=True)
class SqlSink(Sink[T]):
    """Writes rows to an SQL database, exactly-once.

    A batch is one transaction, with its number in the table ``streamproc_batches``: each row is there once, whatever
    crashes. Another instance of the same app and shard that is started takes over, and the older one stops with a
    `FencedError`. PostgreSQL (asyncpg) and SQLite (aiosqlite) are reached through SQLAlchemy; so are others for which
    it has a driver for asyncio.

    A row is a `Record`, a dict, or a tuple with ``columns``; of a keyed stream it is the pair of key and value. Rows
    are added, or with ``key`` they replace those with the same key, so that the last one stays. A column that a row
    lacks gets its default, or keeps its value. What a column can't take is found before the batch is committed, and is
    a failed record; what violates a constraint is found by the database, and stops the job.

    Args:
        url: Where the database is: ``postgresql://user:password@host/database``, ``sqlite:////path``. It is shown
            without user and password.
        table: The table, exactly as it is called.
        columns: The columns to write, in the order of tuples; None for all that a row has.
        row: A function of the element that returns the row.
        key: The columns that rows are recognised by: rows are upserted. The table needs a unique index on them, and a
            row a value for each.
        statement: SQL to run for each row instead, with ``:name`` for the row's columns.
        create: A `Record` type: the table is made from its fields if it isn't there, with ``key`` as its primary key.
        schema: The schema of the table and of ``streamproc_batches``; None for the connection's default.
        timeout: How long a transaction may take before it is given up and tried again.

    Raises:
        PipelineError: An argument is wrong.
        MissingExtraError: The driver is not installed.

    Example:
        >>> class Order(Record):
        ...     id: int
        ...     amount: float
        >>> sink = SqlSink("sqlite:////var/lib/shop/orders.db", "orders", key="id", create=Order)
        >>> sink.address
        'sqlite:////var/lib/shop/orders.db'
    """

    delivery: ClassVar[Delivery] = "exactly_once"

    url: str | URL = field(repr=False)
    table: str | None = None
    _: KW_ONLY
    columns: Sequence[str] | None = None
    row: Callable[[T], Any] | None = None
    key: str | Sequence[str] = ()
    statement: str | None = None
    create: type[Any] | None = None
    schema: str | None = None
    timeout: Duration = "1m"

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", read_url(self.url))
        if (self.table is None) == (self.statement is None):
            raise PipelineError("SqlSink: expected either a table or statement=, to know what to write to")
        if self.table == "" or self.schema == "":
            raise PipelineError("SqlSink(table=…, schema=…): expected names, or nothing")
        if self.columns is not None and (isinstance(self.columns, str) or not self.columns):
            raise PipelineError(f"SqlSink(columns={self.columns!r}): expected a sequence of names")
        if self.row is not None and not callable(self.row):
            raise PipelineError(f"SqlSink(row={self.row!r}): expected a function of the element")
        for names in (self._columns, self._key):
            if len(set(names)) < len(names):
                raise PipelineError(f"SqlSink: a column is named twice in {names!r}")
        if self.statement is not None:
            self._check_statement()
        elif self.columns is not None and not set(self._key) <= set(self._columns):
            raise PipelineError(f"SqlSink(columns={self.columns!r}): expected the columns of key={self.key!r} too")
        self._make_table()
        to_ms(self.timeout, what="SqlSink(timeout=…)")

    @property
    def address(self) -> str:
        """The URL without user, password and options."""
        return shown_address(read_url(self.url))

    def open(self, context: SinkContext) -> SinkWriter:
        """Make the writer for one shard; nothing is opened before its ``start``."""
        options = WriteOptions(
            table=self.table,
            schema=self.schema,
            columns=self._columns or self._parameters,
            row=self.row,
            key=self._key,
            statement=self.statement,
            create=self._make_table(),
            timeout=to_ms(self.timeout) / 1000,
        )
        return SqlWriter(read_url(self.url), options, context)

    def _check_statement(self) -> None:
        if self.key or self.create is not None:
            raise PipelineError("SqlSink(statement=…): key= and create= are for a table; say it in the statement")
        if not self._parameters:
            raise PipelineError(
                "SqlSink(statement=…): expected parameters for the values of a row, such as VALUES (:id, :amount)"
            )
        if self.columns is not None and set(self.columns) != set(self._parameters):
            raise PipelineError(
                f"SqlSink(columns={self.columns!r}): the statement has the parameters {', '.join(self._parameters)}"
            )

    def _make_table(self) -> Table | None:
        if self.create is None or self.table is None:
            return None
        return table_of_record(self.create, self.table, schema=self.schema, key=self._key)

    @property
    def _columns(self) -> tuple[str, ...]:
        return tuple(self.columns or ())

    @property
    def _key(self) -> tuple[str, ...]:
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)

    @property
    def _parameters(self) -> tuple[str, ...]:
        return () if self.statement is None else tuple(text(self.statement).compile().params)
