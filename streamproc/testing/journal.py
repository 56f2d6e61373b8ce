"""`MemoryJournal`: a journal that survives simulated crashes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["MemoryJournal"]


class MemoryJournal:
    """A `Journal` in memory: pass the same one to each `SourceContext` of a source that is started again."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, bytes]] = []
        self._last = 0

    def append(self, entries: Sequence[bytes]) -> int:
        """Store entries and return the number of the last one."""
        self._entries += enumerate(entries, self._last + 1)
        self._last += len(entries)
        return self._last

    def read(self, after: int) -> Iterable[tuple[int, bytes]]:
        """Return the stored entries with a number above ``after``, in order."""
        return [(number, entry) for number, entry in self._entries if number > after]

    def trim(self, before: int) -> None:
        """Remove the entries before a position, as the engine does when that is committed."""
        self._entries = [(number, entry) for number, entry in self._entries if number >= before]

    def copy(self) -> MemoryJournal:
        """Return another journal with the same entries."""
        copied = MemoryJournal()
        copied._entries, copied._last = self._entries.copy(), self._last
        return copied
