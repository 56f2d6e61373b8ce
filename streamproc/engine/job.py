"""What a shard runs with: the job's identity and limits, and the ports to the outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from streamproc.eventtime.clock import Clock, SystemClock
from streamproc.io.source import no_step
from streamproc.triggers import Interval, Trigger

__all__ = ["Job"]


@dataclass(frozen=True, slots=True)
class Job:
    """One shard of one app.

    Attributes:
        app: The app's name.
        shard: Which shard, from zero.
        shards: How many the job has.
        trigger: When batches begin.
        max_records: How many records a batch takes from each source at most.
        max_bytes: How many bytes of input a batch takes from each source at most, where the source knows.
        max_in_flight: How many committed batches may wait to be published before processing waits.
        cache_bytes: How much memory decoded state may take.
        stop_timeout_ms: How long a graceful stop may take.
        clock: The time.
        step: Called with the name of each step of the loop; tests stop the engine there.
    """

    app: str
    shard: int = 0
    shards: int = 1
    trigger: Trigger = field(default_factory=Interval)
    max_records: int = 100_000
    max_bytes: int = 64 * 1024 * 1024
    max_in_flight: int = 1
    cache_bytes: int = 64 * 1024 * 1024
    stop_timeout_ms: int = 30_000
    clock: Clock = field(default_factory=SystemClock)
    step: Callable[[str], None] = no_step
