"""The pipeline: from the lines of an access log to the visits of each client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from examples.weblog.log_line import LogLine, parse
from streamproc import (
    BatchInfo,
    Record,
    Session,
    Stream,
    count,
    dead_letter,
    distinct_count,
    first,
    last,
    max_of,
    min_of,
    sum_of,
)
from streamproc.connectors.files import FileSink, Ndjson, Roll

__all__ = ["GAP", "Visit", "build"]

GAP = "30m"
"""How long a client is silent between two visits."""


class Visit(Record):
    """What a client did in one session.

    Attributes:
        client: Who.
        begin: The time of the first request, in epoch milliseconds.
        end: That of the last one.
        requests: How many requests.
        pages: How many different paths, queries left aside.
        bytes: The sizes of the answers together.
        landing: The path of the first request.
        exit: That of the last one.
    """

    client: str
    begin: int
    end: int
    requests: int
    pages: int
    bytes: int
    landing: str
    exit: str


def build(lines: Stream[str], out: Path, show: Callable[[list[Visit], BatchInfo], object]) -> None:
    """Build the pipeline on the lines of a log, whose times may be out of order by a minute.

    All files are NDJSON parts, each row in them exactly once:

    * ``visits/``: a `Visit` for each session, once it has ended;
    * ``late/``: the requests that came when the visit they belong to was written already;
    * ``rejected/``: the lines that are none of a log.

    Args:
        lines: The lines.
        out: The directory for these files.
        show: Is given the visits of each batch, after they are committed.
    """
    requests = lines.map(parse, name="parse", on_error=dead_letter(_files(out / "rejected")))
    sessions = (
        requests.event_time(lambda line: line.time, out_of_orderness="1m", name="log-time")
        .key_by(lambda line: line.client)
        .window(Session(GAP))
        .aggregate(
            into=Visit,
            client=first(lambda line: line.client),
            begin=min_of(lambda line: line.time),
            end=max_of(lambda line: line.time),
            requests=count(),
            pages=distinct_count(page),
            bytes=sum_of(lambda line: line.size),
            landing=first(lambda line: line.path),
            exit=last(lambda line: line.path),
            name="sessions",
        )
    )
    visits = sessions.map(lambda row: row[1].value)
    visits.to(_files(out / "visits"), name="visits")
    visits.foreach_batch(show, name="show")
    sessions.late().map(lambda row: row[1]).to(_files(out / "late"), name="late")


def page(line: LogLine) -> str:
    """Return the path of a request without its query."""
    return line.path.partition("?")[0]


def _files(directory: Path) -> FileSink:
    return FileSink(directory, Ndjson(), roll=Roll(every="1m"))
