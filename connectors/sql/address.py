"""The URL of a database: which driver it names, and what of it may be shown.

An error must never repeat the URL as it was written: in one that is written wrongly the password can be anywhere.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from streamproc.errors import PipelineError

from .extra import check_driver

__all__ = ["read_url", "shown_address"]

_DRIVERS = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
"""What a URL without a driver means: SQLAlchemy would take one that blocks."""

_EXPECTED = (
    "expected postgresql://[user[:password]@]host[:port]/database, sqlite:///path, sqlite:////absolute/path, or that "
    "of another dialect of SQLAlchemy, with each of / ? # @ in a password percent-encoded, such as %2F for /"
)


def read_url(text: str | URL) -> URL:
    """Return a URL with a driver that is installed and doesn't block.

    Raises:
        PipelineError: It is none, or of a database that can't be used.
        MissingExtraError: The driver is not installed.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise PipelineError(f"the URL of the database can't be read: {_EXPECTED}") from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    dialect = _dialect(url)
    if not dialect.is_async:
        raise PipelineError(
            f"SqlSink({url.drivername}://…): the driver {dialect.driver!r} blocks the event loop; expected one for "
            f"asyncio, such as postgresql+asyncpg, sqlite+aiosqlite or mysql+asyncmy"
        )
    check_driver(url.drivername, dialect.driver)
    if dialect.name == "sqlite" and _is_in_memory(url):
        raise PipelineError(
            "SqlSink('sqlite://…'): a database in memory ends with the process, and what is published with it; "
            "expected a file: sqlite:///path, or sqlite:////absolute/path"
        )
    if dialect.driver == "asyncpg" and "sslmode" in url.query:
        # As libpq and most hosts call it.
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": url.query["sslmode"]})
    return url


def shown_address(url: URL) -> str:
    """Return a URL without user, password and options."""
    return URL.create(url.get_backend_name(), host=url.host, port=url.port, database=url.database).render_as_string()


def _is_in_memory(url: URL) -> bool:
    """Return whether a database of SQLite has no file, or one that SQLite removes in the end."""
    name = url.database or ""
    if name.startswith("file:"):
        # A URL within the URL; https://www.sqlite.org/uri.html
        name = unquote(urlsplit(name).path)
    return name in ("", ":memory:") or url.query.get("mode") == "memory" or url.query.get("vfs") == "memdb"


def _dialect(url: URL) -> Dialect:
    try:
        # Some drivers have both kinds under one name.
        return url.get_dialect().get_async_dialect_cls(url)()
    except NoSuchModuleError:
        raise PipelineError(f"SqlSink({url.drivername}://…): SQLAlchemy has no such dialect; {_EXPECTED}") from None
