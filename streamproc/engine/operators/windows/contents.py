"""How records get into the windows of a `PanedWindowOperator`, and what is in a window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from streamproc.batch import Batch
from streamproc.dataflow.window_nodes import PanedWindow
from streamproc.engine.failures import Failures
from streamproc.engine.operators.combine import Combiner
from streamproc.engine.operators.windows.open_windows import OpenWindow, OpenWindows, Place
from streamproc.engine.run import BatchRun
from streamproc.watermark import END_OF_TIME
from streamproc.windowing.windows import Window

__all__ = ["Arrivals", "Contents", "Part", "Touched"]

Touched: TypeAlias = dict[Place, OpenWindow]
"""Windows that got records in this batch."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The records of a batch as windows take them.

    Attributes:
        run: The batch's run.
        batch: The input.
        keys: The key of each record; None each where all belong together.
        values: The records as the aggregate's functions get them.
        times: Their timestamps.
        watermark: The watermark before the batch.
        given_through: The watermark of the results before it: none may have an earlier time, or it would be late for
            the operators behind.
    """

    run: BatchRun
    batch: Batch
    keys: Sequence[Any]
    values: Sequence[Any]
    times: Sequence[int]
    watermark: int
    given_through: int

    @property
    def now(self) -> int:
        """The time of the batch."""
        return self.run.trigger_time


@dataclass(slots=True)
class Part:
    """What some records of one key in a batch come to.

    Attributes:
        accumulator: Their accumulator.
        count: How many there are.
        stamp: Their earliest or latest timestamp, where results have that.
    """

    accumulator: Any
    count: int
    stamp: int | None


@dataclass(slots=True)
class Contents(ABC):
    """What one kind of windows holds.

    Attributes:
        node: The operator.
        open: Its open windows.
    """

    node: PanedWindow
    open: OpenWindows
    combiner: Combiner = field(init=False)
    failures: Failures = field(init=False)

    def __post_init__(self) -> None:
        self.combiner = Combiner(self.node, self.node.aggregate)
        self.failures = Failures(self.node, self.node.aggregate.merge)

    @abstractmethod
    def add(self, arrivals: Arrivals) -> tuple[Touched, list[int]]:
        """Add records to their windows.

        Returns:
            The windows that got some, changed but not yet kept; and the rows that came too late for all of theirs.
        """

    @abstractmethod
    def at(self, key: Any, time: int) -> Sequence[tuple[Window, OpenWindow | None]]:
        """Return the windows of a key that hold a time or could, in order of their ends, and what is kept of them."""

    def content(self, run: BatchRun, place: Place, window: OpenWindow) -> Any:
        """Return the accumulator of what a window gives, which the caller may change; None if there is nothing."""
        return None if window.content is None else self.node.aggregate.copy(window.content)

    def discard(self, window: OpenWindow) -> None:
        """Forget what a window has given."""
        window.content = None

    def closed(self, place: Place) -> None:
        """Learn that a window has been removed."""
        return

    def moved(self, place: Place, moved: Place) -> None:
        """Learn that a window has another place."""
        raise NotImplementedError(f"{self.node.name}: only sessions grow and move")

    def expire(self, before: int, watermark: int) -> None:
        """Remove what no window needs any more at a watermark, but did at the one before."""
        return

    def is_expired(self, end: int, watermark: int) -> bool:
        """Return whether a window that ends at a time is closed at a watermark."""
        return watermark == END_OF_TIME or end + self.node.allowed_lateness_ms <= watermark

    def parts(self, arrivals: Arrivals, groups: Sequence[Hashable]) -> dict[tuple[Any, Any], Part]:
        """Return what the records of each group and key come to.

        Args:
            arrivals: The records.
            groups: The group of each; records of the group None are left out.
        """
        rows: Sequence[int] = range(len(groups))
        if None in groups:
            rows = [row for row, group in enumerate(groups) if group is not None]
        keys, values, times = arrivals.keys, arrivals.values, arrivals.times
        batch = arrivals.batch
        if len(rows) < len(groups):
            keys, values = [keys[row] for row in rows], [values[row] for row in rows]
            times, groups = [times[row] for row in rows], [groups[row] for row in rows]
            batch = batch.take(rows)
        places = list(zip(groups, keys, strict=True))
        found = self.combiner.combine(arrivals.run, batch, places, values)
        counts = Counter(places)
        stamps = self._stamps(places, times, arrivals.given_through)
        return {place: Part(accumulator, counts[place], stamps.get(place)) for place, accumulator in found.items()}

    def _stamps(self, places: Sequence[Any], times: Sequence[int], given_through: int) -> Mapping[Any, int]:
        """Return the earliest or latest timestamp of each group and key, where results have that; none too early."""
        if self.node.result_time == "end":
            return {}
        better = min if self.node.result_time == "earliest" else max
        stamps: dict[Any, int] = {}
        for place, time in zip(places, times, strict=True):
            before = stamps.get(place)
            stamps[place] = time if before is None else better(before, time)
        return {place: max(stamp, given_through) for place, stamp in stamps.items()}

    def open_window(self, start: int, end: int, arrivals: Arrivals) -> OpenWindow:
        """Return a new window without records."""
        on_time = True if end <= arrivals.watermark else None
        return OpenWindow(start, end, None, self.node.trigger.begin(), on_time=on_time)

    def put_in(self, arrivals: Arrivals, window: OpenWindow, part: Part, *, copy: bool = False) -> None:
        """Add records to a window.

        Args:
            arrivals: All records.
            window: The window.
            part: The records.
            copy: Whether other windows get the same accumulator.
        """
        accumulator = self.node.aggregate.copy(part.accumulator) if copy else part.accumulator
        window.content = self.merge(arrivals.run, window.content, accumulator)
        self.note(arrivals, window, part)

    def note(self, arrivals: Arrivals, window: OpenWindow, part: Part) -> None:
        """Have a window and its trigger know that records have come."""
        window.fresh += part.count
        passed = window.end <= arrivals.watermark
        window.memory = self.node.trigger.on_records(window.memory, part.count, arrivals.now, passed=passed)
        window.stamp = self.better_stamp(window.stamp, part.stamp)
        if window.stamp is not None:
            # That of a result before may be behind what others have been given since.
            window.stamp = max(window.stamp, arrivals.given_through)

    def better_stamp(self, one: int | None, other: int | None) -> int | None:
        """Return the earlier or the later of two timestamps, as results have them."""
        known = [stamp for stamp in (one, other) if stamp is not None]
        if not known:
            return None
        return min(known) if self.node.result_time == "earliest" else max(known)

    def merge(self, run: BatchRun, earlier: Any, later: Any) -> Any:
        """Return two accumulators merged, either of which may be None; the earlier one where that fails."""
        if earlier is None or later is None:
            return later if earlier is None else earlier
        try:
            return self.node.aggregate.merge(earlier, later)
        except Exception as error:  # noqa: BLE001 - the policy decides
            self.failures.handle(run, error, (earlier, later), None)
            return earlier
