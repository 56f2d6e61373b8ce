"""`Alarm`: compares each minute of a route with the hour before, and raises, changes and takes back alerts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, pstdev
from typing import Literal

from streamproc import KeyedProcess, Map, ProcessContext, Record, WindowResult
from streamproc.windowing.windows import Timing

__all__ = ["LATENESS_MS", "MINUTE_MS", "Alarm", "Alert", "Verdict"]

MINUTE_MS = 60_000
LATENESS_MS = 2 * MINUTE_MS
"""For how long after its end a minute takes late requests."""
_HOUR = 60
_LEARNED_FROM = 10
_FAR = 4.0
"""From how many standard deviations on a count is far from the mean."""

Verdict = Literal["spike", "drop", "usual"]


class Alert(Record):
    """What is wrong with a minute of a route. The last one for a minute of a route counts.

    Attributes:
        route: The route.
        minute: When the minute began, in epoch milliseconds.
        verdict: Whether there are far more requests than usual or far fewer; ``"usual"`` takes back what was said.
        requests: How many there are so far.
        mean: How many the minutes of the hour before have on average.
        deviation: Their standard deviation.
        timing: ``"early"`` while the minute goes on, ``"on_time"`` at its end, ``"late"`` when late requests came.
    """

    route: str
    minute: int
    verdict: Verdict
    requests: int
    mean: float
    deviation: float
    timing: Timing


class Alarm(KeyedProcess[str, WindowResult[int], Alert]):
    """Gets every result of every minute of a route: early ones, the one at its end, late corrections.

    The hour before ends with the last minute that can't change any more when this one is over. So what is said of a
    minute in the end doesn't depend on when late requests come.
    """

    counts = Map(int, int)
    """The requests of minutes that are over, by their begin."""
    raised = Map(int, bool)
    """The minutes with an alert that stands."""

    def process(self, context: ProcessContext[str], value: WindowResult[int], /) -> Iterable[Alert]:
        """Take a result."""
        counts, raised = context.map(self.counts), context.map(self.raised)
        minute, requests, over = value.start, value.value, value.timing != "early"
        until = minute - LATENESS_MS + MINUTE_MS
        hour = range(until - _HOUR * MINUTE_MS, until)
        before = [number for start, number in counts.items() if start in hour]

        verdict = judge(requests, before, over=over)
        if verdict != "usual":
            raised.put(minute, True)
        if raised.get(minute):
            mean, deviation = round(fmean(before), 1), round(pstdev(before), 1)
            yield Alert(context.key, minute, verdict, requests, mean, deviation, value.timing)
        if verdict == "usual":
            raised.remove(minute)

        if over:
            counts.put(minute, requests)
            for start in [start for start, _ in counts.items() if start < hour.start]:
                counts.remove(start)
                raised.remove(start)


def judge(requests: int, before: Sequence[int], *, over: bool) -> Verdict:
    """Return what is wrong with a minute.

    Args:
        requests: How many it has.
        before: How many each minute of the hour before had; with too few of them everything is usual.
        over: Whether it is over: one that goes on may still get what it lacks.
    """
    if len(before) < _LEARNED_FROM:
        return "usual"
    mean, far = fmean(before), _FAR * max(pstdev(before), 1.0)
    if requests > mean + far:
        return "spike"
    return "drop" if over and requests < mean - far else "usual"
