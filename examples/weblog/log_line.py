r"""`LogLine`: a line of a web server's log as a typed record, and the parser that makes it.

Read are the Common and the Combined Log Format, as Apache and nginx write them:

    client ident user [17/May/2015:10:05:03 +0000] "GET /path HTTP/1.1" 200 2048 "referrer" "user agent"

Inside quotes a quote is written ``\"`` and a backslash ``\\``; a size of ``-`` means that there was no body. Fields
behind the user agent are passed over. A line counts as long as everything up to the size is whole: the server has
answered that request, even where the user agent was cut off.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from streamproc import Record

__all__ = ["LogLine", "LogLineError", "parse"]


class LogLine(Record):
    """One request that a web server has answered.

    Attributes:
        client: The client's address or host name.
        time: When the request came, in epoch milliseconds.
        method: The HTTP method; empty if the request was not HTTP.
        path: The path with its query; the whole request line, possibly empty, if it was not HTTP.
        status: The status of the answer.
        size: The size of the answer's body in bytes.
        referrer: The page that linked here; ``-`` if unknown.
        agent: The client's program; ``-`` if unknown.
    """

    client: str
    time: int
    method: str
    path: str
    status: int
    size: int
    referrer: str
    agent: str


class LogLineError(ValueError):
    """A line that is in neither of the two formats."""


_QUOTED = r'[^"\\]*+(?:\\.[^"\\]*+)*+'
_LINE = re.compile(
    rf"(\S+) \S+ (?:\S+|.+?) "
    rf"\[(\d\d/[A-Z][a-z][a-z]/\d{{4}}:\d\d:\d\d):([0-5]\d|60) ([+-]\d{{4}})\] "
    rf'"(?:([A-Z]+) ([^ "\\]+) HTTP/\d(?:\.\d)?|({_QUOTED}))" '
    rf"([1-9]\d\d) (\d+|-)(?![^ ])"
    rf'(?: "({_QUOTED})(?:" "({_QUOTED}))?)?',
    # Digits and spaces of other scripts would pass for the server's own.
    re.ASCII,
)
_HTTP = re.compile(r"([A-Z]+) (.+) HTTP/\d(?:\.\d)?")
_ESCAPED = re.compile(r'\\(["\\])')


def parse(line: str) -> LogLine:
    """Return a line of a log, without its line break, as a record.

    Raises:
        LogLineError: It is none.

    Example:
        >>> line = parse('10.0.0.7 - - [17/May/2015:10:05:03 +0200] "HEAD / HTTP/1.1" 304 - "-" "curl/8"')
        >>> line.client, line.time, line.method, line.path, line.status, line.size
        ('10.0.0.7', 1431849903000, 'HEAD', '/', 304, 0)
    """
    match = _LINE.match(line)
    if match is None:
        raise LogLineError("neither Common nor Combined Log Format")
    client, minute, second, zone, method, path, request, status, size, referrer, agent = match.groups()
    time = _minute_ms(minute, zone) + int(second) * 1000
    if request is not None:
        method, path = _split_request(request)
    if "\\" in line:
        referrer, agent = _unescape(referrer), _unescape(agent)
    return LogLine(
        client, time, method, path, int(status), 0 if size == "-" else int(size), referrer or "-", agent or "-"
    )


def _split_request(request: str) -> tuple[str, str]:
    """Return method and path of a request line with unusual characters; no method if it isn't HTTP."""
    request = _unescape(request)
    match = _HTTP.fullmatch(request)
    return (match[1], match[2]) if match else ("", request)


def _unescape(text: str | None) -> str:
    return _ESCAPED.sub(r"\1", text) if text else ""


# Neighbouring lines share their minute: it is worked out once.
@lru_cache(maxsize=1024)
def _minute_ms(minute: str, zone: str) -> int:
    """Return the begin of a minute such as ``17/May/2015:10:05`` in a time zone such as ``+0200`` in epoch ms."""
    try:
        day, month, year, hour, minutes = (
            int(minute[:2]),
            _MONTHS.index(minute[3:6]) + 1,
            int(minute[7:11]),
            int(minute[12:14]),
            int(minute[15:17]),
        )
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
        local = datetime(year, month, day, hour, minutes, tzinfo=timezone(-offset if zone[0] == "-" else offset))
        since = local - _EPOCH
    except ValueError as error:
        raise LogLineError(f"{minute} {zone} is no time: {error}") from None
    return since // timedelta(milliseconds=1)


# Not strptime: its names of months follow the machine's language.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
