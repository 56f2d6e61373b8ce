"""Visits computed with the standard library alone, by other means than the job's."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

GAP_MS = 30 * 60 * 1000


def visits(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return what rows the lines of a log come to, in the order of clients and times."""
    requests: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
    for line in lines:
        requests[line.split(" ")[0]].append((time_of(line), path_of(line), size_of(line)))
    found: list[dict[str, Any]] = []
    for client in sorted(requests):
        of_client = sorted(requests[client], key=lambda request: request[0])
        session: list[tuple[int, str, int]] = []
        for request in of_client:
            if session and request[0] - session[-1][0] >= GAP_MS:
                found.append(visit(client, session))
                session = []
            session.append(request)
        found.append(visit(client, session))
    return found


def visit(client: str, session: list[tuple[int, str, int]]) -> dict[str, Any]:
    return {
        "client": client,
        "begin": session[0][0],
        "end": session[-1][0],
        "requests": len(session),
        "pages": len({path.split("?")[0] for _, path, _ in session}),
        "bytes": sum(size for _, _, size in session),
        "landing": session[0][1],
        "exit": session[-1][1],
    }


def time_of(line: str) -> int:
    """Return the time of a line in epoch milliseconds."""
    text = line.partition("[")[2].partition("]")[0]
    return int(datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp()) * 1000


def path_of(line: str) -> str:
    """Return the path of a request, in a log in which no request line holds a quote."""
    match = re.fullmatch(r"[A-Z]+ (\S+) HTTP/[\d.]+", line.split('"')[1])
    return match[1] if match else line.split('"')[1]


def size_of(line: str) -> int:
    """Return the size of an answer."""
    size = line.split('"')[2].split()[1]
    return 0 if size == "-" else int(size)
