"""Windows that follow from timestamps alone: each has an accumulator of its own."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any, Protocol

from streamproc.dataflow.window_nodes import PanedWindow
from streamproc.engine.failures import Failures
from streamproc.engine.operators.windows.contents import Arrivals, Contents, Touched
from streamproc.engine.operators.windows.open_windows import OpenWindow, OpenWindows
from streamproc.errors import PipelineError
from streamproc.watermark import END_OF_TIME, START_OF_TIME
from streamproc.windowing.assigners import Assigner, Calendar, Global, Periodic
from streamproc.windowing.slices import Slices, slices_of
from streamproc.windowing.windows import Window

__all__ = ["AssignedContents"]


class AssignedContents(Contents):
    """The contents of periodic and calendar windows, of the global one, and of those of one's own.

    Records of one key with the same windows are combined first, so that what a batch costs grows with its slices and
    their windows, not with its records and theirs.
    """

    def __init__(
        self, node: PanedWindow, assigner: Periodic | Calendar | Global | Assigner, open_windows: OpenWindows
    ) -> None:
        super().__init__(node, open_windows)
        self._kind = _kind_of(assigner)
        self._of_assigner = Failures(node, assigner.assign if isinstance(assigner, Assigner) else None)

    def add(self, arrivals: Arrivals) -> tuple[Touched, list[int]]:
        """Add records to all of their windows that are not closed."""
        groups = self._groups(arrivals)
        closed = {
            group
            for group in set(groups)
            if (windows := self._kind.windows(group))
            and all(self.is_expired(window.end, arrivals.watermark) for window in windows)
        }
        late = [row for row, group in enumerate(groups) if group in closed] if closed else []
        for row in late:
            groups[row] = None
        parts = self.parts(arrivals, groups)
        self.open.load((w.end, w.start, key) for group, key in parts for w in self._kind.windows(group))
        touched: Touched = {}
        refused: set[tuple[Any, Any]] = set()
        for (group, key), part in parts.items():
            taken = False
            for window in self._kind.windows(group):
                place = (window.end, window.start, key)
                if self.is_expired(window.end, arrivals.watermark):
                    continue
                kept = touched.get(place) or self.open.get(place)
                if kept is None:
                    kept = self.open_window(window.start, window.end, arrivals)
                if not kept.finished:
                    self.put_in(arrivals, kept, part, copy=taken)
                    touched[place] = kept
                    taken = True
            if not taken:
                refused.add((group, key))
        if refused:
            late += [row for row, place in enumerate(zip(groups, arrivals.keys, strict=True)) if place in refused]
        return touched, sorted(late)

    def at(self, key: Any, time: int) -> Sequence[tuple[Window, OpenWindow | None]]:
        """Return the windows that hold a time."""
        [group] = self._kind.groups([time])
        return [(window, self.open.get((window.end, window.start, key))) for window in self._kind.windows(group)]

    def _groups(self, arrivals: Arrivals) -> list[Any]:
        """Return for each record what stands for its windows; None for one that is in none, or has failed."""
        counts = arrivals.run.counts[self.node.name]
        groups: list[Any] = []
        try:
            groups = self._kind.groups(arrivals.times)
        except PipelineError:
            raise
        except Exception:  # noqa: BLE001, S110 - whatever it is, the records are tried one by one
            pass
        else:
            counts["dropped"] += groups.count(None)
            return groups
        for row, time in enumerate(arrivals.times):
            try:
                [group] = self._kind.groups([time])
            except Exception as error:  # noqa: BLE001 - the policy decides
                self._of_assigner.handle(arrivals.run, error, arrivals.values[row], arrivals.batch.origins, row)
                group = None
            else:
                counts["dropped"] += group is None
            groups.append(group)
        return groups


class _Kind(Protocol):
    """How timestamps belong to windows."""

    def groups(self, times: Sequence[int]) -> list[Any]:
        """Return what stands for the windows of each timestamp; None where there are none."""
        ...

    def windows(self, group: Hashable) -> Sequence[Window]:
        """Return the windows that a group stands for, in the order of their ends."""
        ...


class _AllTime:
    """The global window."""

    _WINDOWS = (Window(START_OF_TIME, END_OF_TIME),)

    def groups(self, times: Sequence[int]) -> list[Any]:
        return [0] * len(times)

    def windows(self, group: Hashable) -> Sequence[Window]:
        return () if group is None else self._WINDOWS


class _Own:
    """Windows of a user's assigner: a group is a tuple of them."""

    def __init__(self, assigner: Assigner) -> None:
        self._assigner = assigner

    def groups(self, times: Sequence[int]) -> list[Any]:
        known: dict[int, Any] = {}
        for time in times:
            if time not in known:
                known[time] = self._assigned(time) or None
        return [known[time] for time in times]

    def windows(self, group: Any) -> Sequence[Window]:
        return group or ()

    def _assigned(self, time: int) -> tuple[Window, ...]:
        windows = sorted(set(self._assigner.assign(time)), key=lambda window: (window.end, window.start))
        for window in windows:
            if not window.start <= time < window.end:
                raise PipelineError(
                    f"{self._assigner}: assign({time}) has returned {window}, which doesn't hold that time"
                )
        return tuple(windows)


class _Sliced:
    """Periodic and calendar windows: a group is a slice."""

    def __init__(self, slices: Slices) -> None:
        self._slices = slices
        self.windows = lru_cache(256)(self._windows)

    def groups(self, times: Sequence[int]) -> list[Any]:
        return [start if self._slices.in_window(start) else None for start in self._slices.starts(times)]

    def _windows(self, group: Any) -> Sequence[Window]:
        if group is None:
            return ()
        return tuple(map(self._slices.window, self._slices.ends_of(group, START_OF_TIME, END_OF_TIME)))


def _kind_of(assigner: Periodic | Calendar | Global | Assigner) -> _Kind:
    """Return how timestamps belong to the windows of an assigner."""
    if isinstance(assigner, Global):
        return _AllTime()
    if isinstance(assigner, Assigner):
        return _Own(assigner)
    return _Sliced(slices_of(assigner))
