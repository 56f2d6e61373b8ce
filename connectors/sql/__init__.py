"""SQL databases: tables as sinks, exactly-once, through SQLAlchemy."""

from . import extra as extra  # the first: says what to install before anything needs it
from .sink import SqlSink

__all__ = ["SqlSink"]
