"""What sources and sinks say of waits that should not last: kept for who asks after the job's health, and logged."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

from streamproc.eventtime.clock import Clock
from streamproc.metrics import JobMetrics

__all__ = ["Blocked"]

log = logging.getLogger("streamproc.engine")


class Blocked:
    """Takes the reports of all connectors of a shard."""

    def __init__(self, metrics: JobMetrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._since: dict[str, float] = {}

    def reporter(self, name: str) -> Callable[[str | None], None]:
        """Return what the connector of an operator is to report to."""
        return functools.partial(self._report, name)

    def _report(self, name: str, reason: str | None) -> None:
        """Take a report; one that says what is known already changes nothing."""
        if self._metrics.blocked.get(name) == reason:
            return
        now = self._clock.monotonic()
        since = self._since.setdefault(name, now)
        if reason is not None:
            self._metrics.blocked[name] = reason
            # The reason stands in the text, too: an application may log without the extra fields.
            log.warning("%s can't go on: %s", name, reason, extra={"operator": name, "reason": reason})
        else:
            del self._metrics.blocked[name], self._since[name]
            log.info("%s goes on", name, extra={"operator": name, "seconds_blocked": round(now - since, 3)})
