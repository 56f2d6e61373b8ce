"""Logging for programs that are streamproc from end to end: readable lines on a terminal, JSON for machines elsewhere.

The modules of streamproc log through the standard library (``logging.getLogger("streamproc.…")``) with the facts in
``extra=``, so an application that embeds them keeps its own set-up. Only `App.run` and the command line, which own
their process, call `configure_logging`.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from streamproc.errors import SettingsError

__all__ = ["LogFormat", "configure_logging"]

LogFormat: TypeAlias = Literal["auto", "console", "json"]

_HANDLER = "streamproc"
_add_extra = structlog.stdlib.ExtraAdder()


def configure_logging(format: LogFormat = "auto", level: str = "INFO") -> None:
    """Write everything that is logged in this process to standard error, one entry a line.

    Each entry has its time (UTC, ISO 8601, milliseconds), level, logger, message, and all fields given as ``extra=``.
    Called again, it replaces what it set up before; handlers of others stay.

    Args:
        format: ``"console"`` for people, ``"json"`` for machines (an object a line, with the message as ``event``), or
            ``"auto"``: console if standard error is a terminal, else JSON.
        level: The lowest level to write, by its name in any case: ``"debug"``, ``"INFO"``.

    Raises:
        SettingsError: There is no such format or level.
    """
    levels = logging.getLevelNamesMapping()
    if level.upper() not in levels:
        raise SettingsError(f"log level {level!r} is unknown: use one of {', '.join(levels)}")
    renderers = {"console": _console, "json": _json, "auto": _console if sys.stderr.isatty() else _json}
    if format not in renderers:
        raise SettingsError(f"log format {format!r} is unknown: use one of {', '.join(renderers)}")

    handler = logging.StreamHandler(sys.stderr)
    handler.set_name(_HANDLER)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_complete],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers[format]()],
        )
    )
    root = logging.getLogger()
    for earlier in [handler for handler in root.handlers if handler.get_name() == _HANDLER]:
        root.removeHandler(earlier)
        earlier.close()
    root.addHandler(handler)
    root.setLevel(levels[level.upper()])


def _complete(logger: WrappedLogger, name: str, entry: EventDict) -> EventDict:
    """Add the extra fields, behind what every entry has."""
    record: logging.LogRecord = entry["_record"]
    # The record's own time: formatting may come later, and no module but the clock's reads the time.
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    head = {
        "timestamp": time.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": entry["event"],
    }
    # The head twice: once for its place, and again so that no extra field of the same name replaces it.
    return {**head, **_add_extra(logger, name, entry), **head}


def _console() -> list[Processor]:
    """Return the steps that make a line for people."""
    # The default shows the local variables of every frame: pages of them, with the users' data in it.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain, sort_keys=False)]


def _json() -> list[Processor]:
    """Return the steps that make a line of JSON."""
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_to_json)]


def _to_json(entry: EventDict, **_: object) -> str:
    """Return an entry as a line of JSON, whatever its fields hold."""
    try:
        return _dump(entry).decode()
    except TypeError:
        return _dump({key: _json_or_text(value) for key, value in entry.items()}).decode()


def _json_or_text(value: object) -> object:
    """Return a field that may not fit into JSON: a number of more than 64 bits, a list inside itself."""
    try:
        return orjson.Fragment(_dump(value))
    except TypeError:
        return repr(value)


def _dump(value: object) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
