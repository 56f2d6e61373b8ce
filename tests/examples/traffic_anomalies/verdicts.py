"""What minutes of routes come to, computed with the standard library alone from all requests at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from examples.traffic_anomalies.pipeline import Request

MINUTE = 60_000


def verdicts(requests: Iterable[Request]) -> dict[tuple[str, int], tuple[str, int]]:
    """Return the verdict and the number of requests of each minute of a route that is not as usual."""
    counts = Counter((request.route, request.at // MINUTE * MINUTE) for request in requests)
    found: dict[tuple[str, int], tuple[str, int]] = {}
    for (route, minute), requests_then in counts.items():
        starts = [minute - (2 + number) * MINUTE for number in range(60)]
        before = [counts[route, start] for start in starts if (route, start) in counts]
        if len(before) < 10:
            continue
        mean = sum(before) / len(before)
        deviation = (sum((number - mean) ** 2 for number in before) / len(before)) ** 0.5
        if abs(requests_then - mean) > 4 * max(deviation, 1):
            found[route, minute] = "spike" if requests_then > mean else "drop", requests_then
    return found


def standing(alerts: Iterable[dict[str, Any]]) -> dict[tuple[str, int], tuple[str, int]]:
    """Return what the last alert of each route and minute says, if that is not that it is usual."""
    last = {(alert["route"], alert["minute"]): (alert["verdict"], alert["requests"]) for alert in alerts}
    return {place: said for place, said in last.items() if said[0] != "usual"}
