"""The totals of sliding windows: what all slices of the window before came to, brought to the next one.

From one window to the next, some slices enter and some leave. What a key's slices come to is kept, so that a window
costs the same however many slices it has. There are two ways (Tangwongsan et al., "General incremental sliding-window
aggregation", PVLDB 8, 2015):

* With an inverse: what has left is taken out of the total. State layout, under the operator's name:

      totals    key -> how many of its slices are in the window, and what they come to

* With two stacks: the older slices of a window have been merged from each of them to the last, once; so that what is
  left of them when some have gone is there already. The newer ones are merged as they come. When all of the older ones
  have gone, the newer ones become the older:

      totals    key -> [the start of the first newer slice; where the first piece of the older ones is, or None; what
                the newer slices come to, or None]
      older     (start of the piece, key) -> where the next piece is, or None; and for each slice of a key in the piece,
                in order, its start and what it and the older slices behind it come to

  Keys turn their stacks at different times, as a turn costs as much as all slices of the key.

Both know up to which window they have come: ``rolled`` -> its end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, TypeAlias
from zlib import crc32

from streamproc.dataflow.window_nodes import SlicedWindow
from streamproc.engine.failures import Failures
from streamproc.engine.run import BatchRun
from streamproc.state.keys import encode_key
from streamproc.state.tables import Table, Tables
from streamproc.watermark import END_OF_TIME
from streamproc.windowing.aggregates import Aggregate
from streamproc.windowing.slices import PeriodicSlices

__all__ = ["InverseTotals", "StackedTotals", "Totals"]

Merge: TypeAlias = Callable[[BatchRun, Any, Any], Any]
Slice: TypeAlias = tuple[int, Any]
"""The start of a slice, and a key."""

_PIECE = 64
"""How many slices are in a piece: few enough to be read for one of them, enough to be written together."""


@dataclass(slots=True)
class Totals(ABC):
    """What the slices of each key in a window come to.

    Attributes:
        node: The operator.
        merge: Merges two of them under the operator's error policy.
        slices: The arithmetic of its windows.
        accumulators: The slices.
        starts: Returns the starts of all slices.
        tables: The state of the shard.
    """

    node: SlicedWindow
    merge: Merge
    slices: PeriodicSlices
    accumulators: Table[Slice, Any]
    starts: Callable[[], list[int]]
    tables: Tables
    aggregate: Aggregate[Any, Any, Any] = field(init=False)
    totals: Table[Any, Any] = field(init=False)
    _rolled: Table[None, int] = field(init=False)

    def __post_init__(self) -> None:
        self.aggregate = self.node.aggregate
        self.totals = self.tables.table(self.node.name, "totals")
        self._rolled = self.tables.table(self.node.name, "rolled")

    @property
    def rolled(self) -> int | None:
        """The end of the window that the totals are of; None if there are none."""
        return self._rolled.get(None)

    @property
    def needed_from(self) -> int:
        """The start of the first slice that the next window needs, be it to take it out of its total."""
        rolled = self.rolled
        return END_OF_TIME if rolled is None else rolled - self.slices.size

    def roll(self, run: BatchRun, end: int) -> Iterator[tuple[Any, Any]]:
        """Bring the totals to the window that ends at a time, and yield its keys and their accumulators.

        They belong to the caller, who may change them.
        """
        before = self.rolled
        self._move(run, before, end)
        self._rolled.put(None, end)
        return self._current(run, end)

    def clear(self) -> None:
        """Forget all: no window that is to come holds any of the slices."""
        if self.rolled is not None:
            for key in list(self.totals):
                self.totals.delete(key)
            self._rolled.delete(None)

    @abstractmethod
    def amend(self, run: BatchRun, added: Mapping[Slice, Any], new: Set[Slice]) -> None:
        """Learn what has been added to slices, some of which may be in the window already.

        Args:
            run: The batch's run.
            added: What has been added.
            new: Those of these slices that were empty before.
        """

    @abstractmethod
    def _move(self, run: BatchRun, before: int | None, end: int) -> None:
        """Take out what has left since a window, and put in what has come."""

    @abstractmethod
    def _current(self, run: BatchRun, end: int) -> Iterator[tuple[Any, Any]]:
        """Yield the keys and accumulators of the window that ends at a time."""

    def _entering(self, before: int | None, end: int) -> Iterator[tuple[Slice, Any]]:
        """Yield the slices that a window holds and the one before did not."""
        start = end - self.slices.size
        return self.accumulators.items((start if before is None else max(before, start),), (end,))

    def _slices_of(self, key: Any, start: int, end: int) -> list[tuple[int, Any]]:
        """Return the slices of a key in ``[start, end)``: their starts and accumulators."""
        starts = [each for each in self.starts() if start <= each < end]
        self.accumulators.load((each, key) for each in starts)
        found = ((each, self.accumulators.get((each, key))) for each in starts)
        return [(each, accumulator) for each, accumulator in found if accumulator is not None]

    def _entered(self, added: Mapping[Slice, Any]) -> Iterable[Slice]:
        """Return the slices among those added to that are in the window already."""
        rolled = self.rolled
        if rolled is None:
            return ()
        return [place for place in added if rolled - self.slices.size <= place[0] < rolled]


class InverseTotals(Totals):
    """Totals from which what leaves is taken out."""

    def __post_init__(self) -> None:
        Totals.__post_init__(self)
        self._failures = Failures(self.node, self.aggregate.inverse)

    def amend(self, run: BatchRun, added: Mapping[Slice, Any], new: Set[Slice]) -> None:
        """Add to the totals what has been added to slices in the window."""
        for place in self._entered(added):
            self._change(run, place[1], added[place], place in new)

    def _move(self, run: BatchRun, before: int | None, end: int) -> None:
        inverse = self.aggregate.inverse
        assert inverse is not None
        if before is not None:
            since, left = before - self.slices.size, end - self.slices.size
            for (start, key), accumulator in self.accumulators.items((since,), (min(before, left),)):
                slices, total = self.totals.get(key) or (0, None)
                if slices <= 1:
                    self.totals.delete(key)
                    continue
                try:
                    self.totals.put(key, (slices - 1, inverse(total, accumulator)))
                except Exception as error:  # noqa: BLE001 - the policy decides
                    self._failures.handle(run, error, (total, accumulator), None)
                    self._make_anew(run, key, start + 1, before)
        for (_, key), accumulator in self._entering(before, end):
            self._change(run, key, accumulator, True)

    def _make_anew(self, run: BatchRun, key: Any, start: int, end: int) -> None:
        """Merge the slices of a key in ``[start, end)``."""
        self.totals.delete(key)
        for _, accumulator in self._slices_of(key, start, end):
            self._change(run, key, accumulator, True)

    def _change(self, run: BatchRun, key: Any, accumulator: Any, new: bool) -> None:
        slices, total = self.totals.get(key) or (0, None)
        copied = self.aggregate.copy(accumulator)
        self.totals.put(key, (slices + new, copied if total is None else self.merge(run, total, copied)))

    def _current(self, run: BatchRun, end: int) -> Iterator[tuple[Any, Any]]:
        copy = self.aggregate.copy
        for key, (_, total) in self.totals.items():
            yield key, copy(total)


class StackedTotals(Totals):
    """Totals of two stacks."""

    def __post_init__(self) -> None:
        Totals.__post_init__(self)
        self._older: Table[Slice, Any] = self.tables.table(self.node.name, "older")
        self._piece = _PIECE * self.slices.width

    def clear(self) -> None:
        """Forget all: no window that is to come holds any of the slices."""
        Totals.clear(self)
        for piece in list(self._older):
            self._older.delete(piece)

    def amend(self, run: BatchRun, added: Mapping[Slice, Any], new: Set[Slice]) -> None:
        """Turn the stacks of keys whose slices in the window have changed."""
        for key in {key for _, key in self._entered(added)}:
            self._put(key, self._turn(run, key, self.rolled or 0))

    def _move(self, run: BatchRun, before: int | None, end: int) -> None:
        for (start, key), accumulator in self._entering(before, end):
            row = self.totals.get(key)
            # The first turn of a key is made earlier than it must be, for each at another time.
            since, piece, newer = row or (start - crc32(encode_key(key)) % self.slices.size, None, None)
            copied = self.aggregate.copy(accumulator)
            if newer is None:
                self.totals.put(key, (since if row is None else start, piece, copied))
            else:
                self.totals.put(key, (since, piece, self.merge(run, newer, copied)))

    def _current(self, run: BatchRun, end: int) -> Iterator[tuple[Any, Any]]:
        start = end - self.slices.size
        copy = self.aggregate.copy
        for key, row in list(self.totals.items()):
            since, piece, newer = row
            if newer is not None and since < start:
                since, piece, newer = self._turn(run, key, end)
            piece, older = self._older_from(key, piece, start)
            if (since, piece, newer) != row:
                self._put(key, (since, piece, newer))
            if older is not None and newer is not None:
                yield key, self.merge(run, copy(older), newer)
            elif older is not None or newer is not None:
                yield key, copy(newer if older is None else older)

    def _turn(self, run: BatchRun, key: Any, end: int) -> tuple[int, int | None, Any]:
        """Make the older slices of a key of all its slices in a window, and return what is kept of it then."""
        _, piece, _ = self.totals.get(key) or (0, None, None)
        while piece is not None:
            following, _ = self._piece_at(piece, key)
            self._older.delete((piece, key))
            piece = following
        pieces: dict[int, list[tuple[int, Any]]] = {}
        total: Any = None
        for start, accumulator in reversed(self._slices_of(key, end - self.slices.size, end)):
            copied = self.aggregate.copy(accumulator)
            total = copied if total is None else self.merge(run, copied, total)
            pieces.setdefault(start - start % self._piece, []).append((start, total))
        following = None
        for piece, entries in pieces.items():
            self._older.put((piece, key), (following, entries[::-1]))
            following = piece
        return end, following, None

    def _older_from(self, key: Any, piece: int | None, start: int) -> tuple[int | None, Any]:
        """Return in which piece the older slices from a time on are, and what they come to; None where there are none.

        Pieces before that are removed.
        """
        while piece is not None:
            following, entries = self._piece_at(piece, key)
            at = bisect_left(entries, start, key=itemgetter(0))
            if at < len(entries):
                return piece, entries[at][1]
            self._older.delete((piece, key))
            piece = following
        return None, None

    def _piece_at(self, piece: int, key: Any) -> tuple[int | None, list[tuple[int, Any]]]:
        found: tuple[int | None, list[tuple[int, Any]]] | None = self._older.get((piece, key))
        assert found is not None, f"{self.node.name}: the slices of {key!r} from {piece} on are not there"
        return found

    def _put(self, key: Any, row: tuple[int, int | None, Any]) -> None:
        """Keep what is known of a key; nothing where there are no slices of it."""
        if row[1] is None and row[2] is None:
            self.totals.delete(key)
        else:
            self.totals.put(key, row)
