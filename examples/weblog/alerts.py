"""Alerts: clients that try what they have no business with, and traffic that rises above what is usual."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from examples.weblog.log_line import LogLine
from examples.weblog.windows import Rate
from streamproc import Aggregate, KeyedProcess, ProcessContext, Record, Value, WindowResult

__all__ = ["Alert", "IntrusionAlarm", "Refusals", "SpikeAlarm", "is_refused", "refusals"]


class Alert(Record):
    """Something to look at.

    Attributes:
        kind: ``"brute_force"``: a client was refused access (401, 403) again and again; ``"scan"``: it asked for many
            pages that don't exist (404); ``"spike"``: there is far more traffic than before.
        start: The begin of the window in which it was noticed, in epoch milliseconds.
        end: Its end.
        client: Who; None for a spike.
        requests: How many requests of this kind the window holds.
        usual: For a spike: how many requests a window of this length usually holds.
    """

    kind: Literal["brute_force", "scan", "spike"]
    start: int
    end: int
    client: str | None
    requests: int
    usual: float | None = None


class Refusals(Record):
    """How often a client was refused in a window: access denied, and page missing."""

    denied: int
    missing: int


def is_refused(line: LogLine) -> bool:
    """Return whether a request was answered with 401, 403 or 404."""
    return line.status in _REFUSED


def refusals() -> Aggregate[LogLine, Refusals, Refusals]:
    """Return the aggregate of refused requests."""
    return Aggregate(
        "refusals",
        create=_refusal,
        add=lambda so_far, line: _sum(so_far, _refusal(line)),
        merge=_sum,
    )


class IntrusionAlarm(KeyedProcess[str, WindowResult[Refusals], Alert]):
    """Raises an alert when a client is refused often in a window, once as long as that goes on.

    Args:
        at: From how many refusals in a window.
    """

    last_end = Value(int, default=0)

    def __init__(self, at: int = 20) -> None:
        self._at = at

    def process(self, context: ProcessContext[str], value: WindowResult[Refusals], /) -> Iterable[Alert]:
        """Take a client's window."""
        found = value.value
        if found.denied + found.missing < self._at:
            return
        last_end = context.value(self.last_end)
        # Windows overlap: the attack goes on as long as they touch.
        if value.start > last_end.get():
            kind: Literal["brute_force", "scan"] = "brute_force" if found.denied >= found.missing else "scan"
            yield Alert(kind, value.start, value.end, context.key, found.denied + found.missing)
        last_end.set(value.end)


class Average(Record):
    """The moving average of a series, and how far its values lie from it on average.

    Attributes:
        windows: How many values were seen.
        mean: The exponentially weighted mean.
        deviation: The exponentially weighted mean of the distances from it.
        above: Whether the last value was a spike.
    """

    windows: int = 0
    mean: float = 0.0
    deviation: float = 0.0
    above: bool = False


class SpikeAlarm(KeyedProcess[str, WindowResult[Rate], Alert]):
    """Raises an alert when a window holds far more requests than the moving average of those before, once a spike.

    Far more is above ``factor`` times the mean and above the mean by ``deviations`` mean absolute deviations and by
    ``at_least`` requests. A value counts in the average for no more than that limit, so that a spike does not become
    the usual.

    Args:
        weight: How much the newest value counts in the averages.
        factor: By what a spike exceeds the mean.
        deviations: By how many mean absolute deviations it does.
        at_least: By how many requests it does.
        warm_up: How many windows to learn from before the first alert.
    """

    average = Value(Average, default=Average())

    def __init__(
        self,
        *,
        weight: float = 0.15,
        factor: float = 2.0,
        deviations: float = 4.0,
        at_least: int = 100,
        warm_up: int = 5,
    ) -> None:
        self._weight = weight
        self._factor = factor
        self._deviations = deviations
        self._at_least = at_least
        self._warm_up = warm_up

    def process(self, context: ProcessContext[str], value: WindowResult[Rate], /) -> Iterable[Alert]:
        """Take the next window."""
        average = context.value(self.average)
        before = average.get()
        requests = value.value.requests
        excess = max((self._factor - 1) * before.mean, self._deviations * before.deviation, self._at_least)
        above = before.windows >= self._warm_up and requests > before.mean + excess
        if above and not before.above:
            yield Alert("spike", value.start, value.end, None, requests, usual=round(before.mean, 1))
        counted = min(requests, before.mean + excess) if before.windows >= self._warm_up else requests
        # The plain mean at first: else the first value, of a window that had begun already, would weigh for long.
        weight = max(self._weight, 1 / (before.windows + 1))
        distance = abs(counted - before.mean) if before.windows else 0.0
        average.set(
            Average(
                before.windows + 1,
                before.mean + weight * (counted - before.mean),
                before.deviation + weight * (distance - before.deviation),
                above,
            )
        )


_REFUSED = frozenset({401, 403, 404})


def _refusal(line: LogLine) -> Refusals:
    return Refusals(0, 1) if line.status == 404 else Refusals(1, 0)


def _sum(a: Refusals, b: Refusals) -> Refusals:
    return Refusals(a.denied + b.denied, a.missing + b.missing)
