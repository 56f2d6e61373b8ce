"""`WindowExplanation`: why a window is open, and what it waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from streamproc.durations import format_ms
from streamproc.eventtime.clock import as_utc
from streamproc.eventtime.partitions import PartitionProgress
from streamproc.watermark import END_OF_TIME
from streamproc.windowing.windows import Window

__all__ = ["WindowExplanation", "WindowState", "WindowStatus"]

WindowStatus: TypeAlias = Literal["empty", "open", "given", "closed"]


@dataclass(frozen=True, slots=True)
class WindowState:
    """What a window operator knows of one window of a key.

    Attributes:
        window: The window.
        status: ``"empty"`` if it could take records but has none; ``"open"`` until the watermark is at its end and it
            has given a result; ``"given"`` after that, while it takes late records; ``"closed"`` when it takes none any
            more, if it had any or not.
        results: How many results it has given, as far as that is known.
        closes_at: The watermark at which it is closed, in epoch milliseconds.
        gives_at: The watermark at which it gives what it has, in epoch milliseconds.
        trigger: When it gives results before that, in words; empty if it doesn't.
        finished: Whether its trigger has closed it before its time.
    """

    window: Window
    status: WindowStatus
    results: int
    closes_at: int
    gives_at: int
    trigger: str = ""
    finished: bool = False


@dataclass(frozen=True, slots=True)
class WindowExplanation:
    """Why a window of a key is open or not; ``str()`` says it in sentences.

    Attributes:
        operator: The window operator's name.
        key: The key; None where all records have the same windows.
        keyed: Whether each key has windows of its own.
        state: The window and its status.
        watermark: The watermark that the operator has seen; None while event time has not begun.
        holders: The partitions that hold the watermark where it is: those that would have to go on. Empty in batch
            time, where the watermark is the time of the batch, and of windows that wait for the end of the input.
        due_at: The time at which the watermark is where the window gives what it has, if no records come until then;
            None if that doesn't come by itself.
    """

    operator: str
    key: Any
    keyed: bool
    state: WindowState
    watermark: int | None
    holders: Sequence[PartitionProgress]
    due_at: int | None

    @property
    def is_open(self) -> bool:
        """Whether records can still get into it."""
        return self.state.status != "closed"

    def __str__(self) -> str:
        window, status = self.state.window, self.state.status
        whose = f" of key {self.key!r}" if self.keyed else ""
        head = f"{self.operator}: window {clock(window.start)} to {clock(window.end)}{whose} is {_STATUS[status]}"
        at = "event time has not begun" if self.watermark is None else f"the watermark is at {clock(self.watermark)}"
        if self.state.finished:
            return f"{head}: its trigger ({self.state.trigger}) has given its only result, and {at}."
        if status == "closed":
            return f"{head}: it was closed at {clock(self.state.closes_at)}, and {at}."
        is_over = self.watermark is not None and self.watermark >= self.state.gives_at
        if is_over or status == "given":
            lines = [f"{head}: it takes late records until {clock(self.state.closes_at)}, and {at}."]
        else:
            gives = f"a result {self.state.trigger}, and" if self.state.trigger else "its result"
            verb = "would give" if status == "empty" else "gives"
            lines = [f"{head}: it {verb} {gives} when the watermark is at {clock(self.state.gives_at)}; {at}."]
        lines += [f"  held by {_holder(holder)}" for holder in self.holders]
        if self.state.gives_at == END_OF_TIME:
            lines.append("  that is when the input has ended")
        elif not is_over:
            when = "never so" if self.due_at is None else f"so at {clock(self.due_at)}"
            lines.append(f"  without further records that is {when}")
        return "\n".join(lines)


_STATUS = {"empty": "without records", "open": "open", "given": "given", "closed": "closed"}


def clock(ms: int) -> str:
    """Return epoch milliseconds as people read them."""
    try:
        return as_utc(ms)
    except OverflowError:
        return "the beginning of time" if ms < 0 else "the end of time"


def _holder(progress: PartitionProgress) -> str:
    name = f"{progress.source}" + (f" [{progress.partition}]" if progress.partition else "")
    if progress.newest is None or progress.watermark is None:
        what = f"{name}, of which no record has come"
    else:
        bound = progress.newest - progress.watermark
        allowed = f", of which {format_ms(bound)} may come out of order" if bound else ""
        what = f"{name}, whose newest record is of {clock(progress.newest)}{allowed}"
    if progress.paused:
        return f"{what}; paused, as it is ahead of others"
    if progress.quiet_since is None:
        return f"{what}; more of it waits to be read"
    return f"{what}; nothing is left to read in it since {clock(progress.quiet_since)}"
