"""Which errors of a database are worth waiting for.

A lost connection, a server that starts or stops, a lock that somebody holds, a full disk: these end by themselves, or
somebody ends them, and the same transaction succeeds then. A violated constraint, a missing permission or a certificate
that can't be verified comes again.
"""

from __future__ import annotations

import sqlite3
import ssl

from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

__all__ = ["message_of", "passes"]

_PASSING_CLASSES = (
    "08",  # connection
    "40",  # rolled back: deadlock, serialization
    "53",  # resources: disk, memory, connections
    "58",  # the system around the database
)
_PASSING_STATES = {
    "25006",  # read-only: a standby that becomes the primary, or is no longer
    "25P03",  # idle in a transaction for too long
    "55006",  # object in use
    "55P03",  # lock not available in time
    "57014",  # cancelled by an administrator or by statement_timeout
    "57P01",  # shut down by an administrator
    "57P02",  # another process has crashed
    "57P03",  # starting up
    "57P05",  # idle for too long
}
_PASSING_SQLITE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_PASSING_MYSQL = {1040, 1053, 1205, 1213, 1290}
"""Too many connections, shutting down, lock wait timeout, deadlock, read-only."""


def passes(error: Exception, *, by_network: bool) -> bool:
    """Return whether an error may be over when the transaction is tried again.

    Args:
        error: What SQLAlchemy or the driver has raised.
        by_network: Whether the server is at the end of a network: then a file that is missing is not its socket.
    """
    if any(_is_about_tls(cause, by_network=by_network) for cause in _causes(error)):
        return False
    if isinstance(error, OSError | TimeoutError | PoolTimeoutError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    for cause in _causes(error):
        if isinstance(cause, OSError):
            return True
        state: object = getattr(cause, "sqlstate", None)
        if isinstance(state, str):
            return state.startswith(_PASSING_CLASSES) or state in _PASSING_STATES
        if isinstance(cause, sqlite3.Error):
            # The low byte is the error, the others say more about it.
            code: int | None = getattr(cause, "sqlite_errorcode", None)
            return code is not None and code & 0xFF in _PASSING_SQLITE
        if type(cause).__module__.partition(".")[0] in {"aiomysql", "asyncmy", "pymysql"} and cause.args:
            return cause.args[0] in _PASSING_MYSQL
        if type(cause).__module__.startswith("asyncpg") and not isinstance(cause, ValueError):
            # An InterfaceError that is about no value: asyncpg has no class of its own for a connection that is closed.
            return "connection" in str(cause)
    return False


def message_of(error: BaseException) -> str:
    """Return what a database says about an error: neither the statement nor its parameters."""
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    cause = next(iter(_causes(error)), error)
    text = " ".join(str(cause).split()) or type(cause).__name__
    if isinstance(cause, FileNotFoundError):
        text = f"{text}: a file with a certificate or key for TLS, or the server's socket"
    return text if len(text) <= 500 else f"{text[:500]}…"


def _is_about_tls(cause: BaseException, *, by_network: bool) -> bool:
    """Return whether somebody has to change certificates, or what the URL and the environment say about them."""
    return isinstance(cause, ssl.SSLCertVerificationError) or (by_network and isinstance(cause, FileNotFoundError))


def _causes(error: BaseException) -> list[BaseException]:
    """Return what the driver raised, the innermost first."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        causes.insert(0, cause)
        cause = cause.orig if isinstance(cause, StatementError) else cause.__cause__
    return causes
