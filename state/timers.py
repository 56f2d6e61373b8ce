"""Timers over a state store: for each operator, what is due when, for which key.

A timer is an entry in the family TIMERS under ``operator, time, key, name``, with no value: keys joined as in
`streamproc.state.keys`, so that what is due is the beginning of an operator's entries. An operator that has timers of
several clocks, or an index of what is to be removed when, keeps each kind on its own: under
``(operator, kind), time, key, name``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeAlias

from .keys import decode_parts, encode_key, encode_prefix, prefix_end
from .overlay import overlay
from .store import Changes, Family, StateStore

__all__ = ["Timers"]

_Row: TypeAlias = tuple[int, Any, str]


class Timers:
    """The timers of one kind of one operator: time in milliseconds, key, and a name that tells apart those of one key.

    Made by `streamproc.state.tables.Tables`, with whose tables it is committed and rolled back.
    """

    def __init__(self, store: StateStore, operator: str, kind: str = "") -> None:
        self._store = store
        self._prefix = encode_key((operator, kind) if kind else operator)
        # A removed timer is None in the pair, which itself never is.
        self._pending: dict[bytes, tuple[_Row | None]] = {}
        self._collected: dict[bytes, tuple[_Row | None]] = {}
        self._next: int | None = None
        self._next_known = False
        self._floor = self._prefix
        """Where the first timer is, or before: a scan would take long to find it behind many that were removed."""

    @property
    def dirty(self) -> bool:
        """Whether there are changes to commit."""
        return bool(self._pending)

    def add(self, when: int, key: Any, name: str = "") -> None:
        """Set a timer; one that is set already stays one.

        Raises:
            EncodeError: The key is none that state can have.
        """
        place = self._prefix + encode_prefix(when, key, name)
        self._pending[place] = ((when, key, name),)
        self._floor = min(self._floor, place)
        if self._next_known and (self._next is None or when < self._next):
            self._next = when

    def remove(self, when: int, key: Any, name: str = "") -> None:
        """Remove a timer; one that is not set is no error."""
        self._pending[self._prefix + encode_prefix(when, key, name)] = (None,)
        if when == self._next:
            self._next_known = False

    def due(self, through: int, *, limit: int | None = None) -> list[_Row]:
        """Return the timers of times up to ``through``, included, by time, then key, then name; they stay set.

        Args:
            through: The last time.
            limit: How many at most.
        """
        first = self.next()
        if first is None or first > through:
            return []
        return list(islice(self._rows(self._prefix + encode_key(through + 1)), limit))

    def next(self) -> int | None:
        """Return the time of the earliest timer; None if there is none. Looks into the store only after a removal."""
        if not self._next_known:
            row = next(self._rows(prefix_end(self._prefix)), None)
            self._next = None if row is None else row[0]
            self._next_known = True
            self._floor = prefix_end(self._prefix) if row is None else self._prefix + encode_prefix(*row)
        return self._next

    def collect(self, changes: Changes) -> None:
        """Add the pending changes to a commit."""
        for key, (row,) in self._pending.items():
            if row is None:
                changes.deletes.append((Family.TIMERS, key))
            else:
                changes.puts.append((Family.TIMERS, key, b""))
        self._collected.update(self._pending)
        self._pending = {}

    def committed(self) -> None:
        """Note that what was collected is in the store."""
        self._collected = {}

    def rollback(self) -> None:
        """Forget what is not committed."""
        self._pending = {}
        self._collected = {}
        self._next_known = False
        # What was removed is back.
        self._floor = self._prefix

    def _rows(self, end: bytes) -> Iterator[_Row]:
        changed = self._collected | self._pending if self._collected else self._pending
        within = sorted((key, change) for key, change in changed.items() if self._floor <= key < end)
        start = len(self._prefix)
        for key, _, change in overlay(self._store.scan(Family.TIMERS, self._floor, end), within):
            if change is None:
                when, of, name = decode_parts(key, start)
                yield when, of, name
            elif change[0] is not None:
                yield change[0]
