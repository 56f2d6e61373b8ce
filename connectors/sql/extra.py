"""What this package needs besides streamproc itself; whoever imports it without that is told what to install."""

from __future__ import annotations

from importlib import import_module

from streamproc.errors import MissingExtraError, PipelineError

__all__ = ["check_driver"]

_EXTRAS = {"aiosqlite": "sql", "asyncpg": "postgres"}
"""The extras that bring drivers."""

for _package in ("sqlalchemy", "greenlet"):
    try:
        import_module(_package)
    except ModuleNotFoundError as error:
        if error.name != _package:
            raise
        raise MissingExtraError("streamproc.connectors.sql", "sql") from None


def check_driver(name: str, package: str) -> None:
    """Import a driver.

    Args:
        name: The driver as the URL names it.
        package: The package that it is.

    Raises:
        MissingExtraError: It is not installed, and an extra of streamproc brings it.
        PipelineError: It is not installed.
    """
    try:
        import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        if package in _EXTRAS:
            raise MissingExtraError(f"SqlSink with {name}", _EXTRAS[package]) from None
        raise PipelineError(f"SqlSink with {name}: the package {package!r} is not installed; install it") from None
