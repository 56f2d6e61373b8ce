"""What windows are by definition: all records in a list, windows computed from scratch in each batch. Slow and obvious.

A batch is what comes at a tick. Records are taken first; then the watermark moves on; then windows are asked, in any
order; then those are closed whose lateness is over. See `docs/windows.md` for the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from streamproc import (
    AfterCount,
    AfterDelay,
    AllOf,
    AnyOf,
    AtWatermark,
    Global,
    LookBack,
    OnClose,
    Repeated,
    Session,
    Window,
)
from streamproc.windowing import WindowTrigger

END = 1 << 62


class Event(NamedTuple):
    """A record: its key, its time, its value, and its number in the input, by which it is told from others."""

    key: str
    time: int
    value: int
    number: int


class Given(NamedTuple):
    """A result of a window: which events it is of, by number, and which pane it is."""

    key: str
    start: int
    end: int
    events: tuple[int, ...]
    timing: str
    pane: int
    last: bool
    retracts: bool = False


WindowsOf: TypeAlias = "Callable[[Sequence[Event]], dict[Window, list[Event]]]"


@dataclass
class Memory:
    """What is known of a window besides the events in it."""

    arrived: dict[int, int] = field(default_factory=dict[int, int])
    """When each of its events came, by number."""
    fresh: set[int] = field(default_factory=set[int])
    """The events that no result was of."""
    panes: int = 0
    on_time: bool | None = None
    """None while the watermark is before its end; then whether a result since was, or could have been, on time."""
    at_end: bool = False
    """Whether it has given a result since the watermark is at its end."""
    finished: bool = False
    before: list[tuple[Window, tuple[int, ...]]] = field(default_factory=list[tuple[Window, tuple[int, ...]]])


class Model:
    """One window operator, by definition.

    Args:
        assigner: Its windows.
        trigger: When they give results.
        lateness: For how long they take late records.
        panes: Whether results accumulate.
        bound: By how much records may be out of order.
    """

    def __init__(self, assigner: Any, trigger: WindowTrigger, *, lateness: int, panes: str, bound: int) -> None:
        self.windows_of = windows_of(assigner)
        self.reaches = assigner.size_ms if isinstance(assigner, LookBack) else None
        self.trigger = trigger
        self.lateness = lateness
        self.panes = panes
        self.bound = bound
        self.watermark = -END
        self.events: list[Event] = []
        self.memories: dict[tuple[str, Window], Memory] = {}
        self.given: list[Given] = []
        self.late: list[int] = []

    def tick(self, events: Sequence[Event], now: int, *, final: bool = False) -> None:
        """Take what comes at a tick; the final one is the end of time."""
        before = self.watermark
        self.take(events, now)
        if events:
            self.watermark = max(before, max(event.time for event in events) - self.bound)
        if final:
            self.watermark = END
        for (key, window), memory in list(self.memories.items()):
            self.ask(key, window, memory, now)
        for (key, window), memory in list(self.memories.items()):
            if self.is_closed(window):
                if memory.fresh and not memory.finished:
                    self.give(key, window, memory)
                del self.memories[key, window]
                if self.merges:
                    self.events = [event for event in self.events if event.number not in memory.arrived]

    def take(self, events: Sequence[Event], now: int) -> None:
        """Add events to the windows that are not closed."""
        for key in {event.key for event in events}:
            new = [event for event in events if event.key == key]
            kept = [event for event in self.events if event.key == key]
            windows = self.windows_of([*kept, *new])
            open_windows = {window: inside for window, inside in windows.items() if self.takes(key, window)}
            taken = {event.number for inside in open_windows.values() for event in inside}
            if self.reaches:
                taken |= {event.number for event in new if not self.is_closed(Window(0, event.time + self.reaches))}
            self.late += [event.number for event in new if event.number not in taken]
            self.events += [event for event in new if event.number in taken]
            for window, inside in open_windows.items():
                self.remember(key, window, inside, now)
            for known in [window for of, window in self.memories if of == key and window not in windows]:
                del self.memories[key, known]

    def takes(self, key: str, window: Window) -> bool:
        memory = self.memories.get((key, window))
        return not self.is_closed(window) and not (memory and memory.finished)

    def remember(self, key: str, window: Window, inside: Sequence[Event], now: int) -> None:
        """Merge what is known of the windows that have become this one, and add what is new."""
        parts = [
            memory
            for (of, old), memory in self.memories.items()
            if of == key and (old == window or (self.merges and old.start >= window.start and old.end <= window.end))
        ]
        passed = window.end <= self.watermark
        memory = Memory(on_time=True if passed else None)
        if parts:
            memory.on_time = any(part.on_time for part in parts) if passed else None
            memory.at_end = passed and any(part.at_end for part in parts)
            memory.panes = max(part.panes for part in parts)
            memory.finished = all(part.finished for part in parts)
        for part in parts:
            memory.arrived |= part.arrived
            memory.fresh |= part.fresh
            memory.before += part.before
        for event in inside:
            if event.number not in memory.arrived:
                memory.arrived[event.number] = now
                memory.fresh.add(event.number)
        if memory.arrived:
            self.memories[key, window] = memory

    @property
    def merges(self) -> bool:
        return getattr(self.windows_of, "merges", False)

    def ask(self, key: str, window: Window, memory: Memory, now: int) -> None:
        """Give a result if it is time for one."""
        passed = window.end <= self.watermark
        if passed and memory.on_time is None:
            memory.on_time = False
        if not memory.finished and is_ready(self.trigger, memory, now, passed=passed):
            memory.finished = not isinstance(self.trigger, AtWatermark | Repeated)
            self.give(key, window, memory)
        if passed and not memory.fresh:
            memory.on_time = True

    def give(self, key: str, window: Window, memory: Memory) -> None:
        """Give a result."""
        events = tuple(sorted(memory.fresh if self.panes == "discarding" else memory.arrived))
        if events:
            timing = "early" if memory.on_time is None else ("late" if memory.on_time else "on_time")
            pane = (timing, memory.panes, memory.finished or self.is_closed(window))
            if self.panes == "retracting":
                for old, old_events in memory.before:
                    self.given.append(Given(key, old.start, old.end, old_events, *pane, retracts=True))
                memory.before = [(window, events)]
            self.given.append(Given(key, window.start, window.end, events, *pane))
            memory.panes += 1
        memory.fresh = set()
        if memory.on_time is not None:
            memory.on_time = memory.at_end = True

    def is_closed(self, window: Window) -> bool:
        return self.watermark == END or window.end + self.lateness <= self.watermark


def is_ready(trigger: WindowTrigger, memory: Memory, now: int, *, passed: bool) -> bool:
    """Return whether a trigger has a window give a result."""
    match trigger:
        case AfterCount():
            return len(memory.fresh) >= trigger.n
        case AfterDelay():
            first = min((memory.arrived[number] for number in memory.fresh), default=END)
            return now >= first + trigger.delay_ms
        case AnyOf():
            return any(is_ready(each, memory, now, passed=passed) for each in trigger.triggers)
        case AllOf():
            return all(is_ready(each, memory, now, passed=passed) for each in trigger.triggers)
        case Repeated():
            return is_ready(trigger.trigger, memory, now, passed=passed)
        case AtWatermark():
            if not passed:
                return trigger.early is not None and is_ready(trigger.early, memory, now, passed=passed)
            return not memory.at_end or is_ready(trigger.late, memory, now, passed=passed)
        case OnClose():
            return False
        case _:
            raise NotImplementedError(trigger)


def windows_of(assigner: Any) -> WindowsOf:
    """Return what returns the windows of one key's events, and what is in them."""
    if isinstance(assigner, Session):
        return _Sessions(assigner.gap_ms)
    if isinstance(assigner, LookBack):
        return lambda events: look_back(events, assigner.size_ms)
    if isinstance(assigner, Global):
        return lambda events: {Window(-END, END): list(events)}
    size, slide, offset = assigner.size_ms, assigner.slide_ms, assigner.offset_ms
    return lambda events: periodic(events, size, slide, offset)


def periodic(events: Iterable[Event], size: int, slide: int, offset: int) -> dict[Window, list[Event]]:
    found: dict[Window, list[Event]] = {}
    for event in events:
        for start in range(event.time - size + 1, event.time + 1):
            if (start - offset) % slide == 0:
                found.setdefault(Window(start, start + size), []).append(event)
    return found


class _Sessions:
    merges = True

    def __init__(self, gap: int) -> None:
        self.gap = gap

    def __call__(self, events: Iterable[Event]) -> dict[Window, list[Event]]:
        found: list[list[Event]] = []
        for event in sorted(events, key=lambda event: event.time):
            if found and event.time < found[-1][-1].time + self.gap:
                found[-1].append(event)
            else:
                found.append([event])
        return {Window(inside[0].time, inside[-1].time + self.gap): inside for inside in found}


def look_back(events: Sequence[Event], size: int) -> dict[Window, list[Event]]:
    return {
        Window(time + 1 - size, time + 1): [event for event in events if time - size < event.time <= time]
        for time in {event.time for event in events}
    }
