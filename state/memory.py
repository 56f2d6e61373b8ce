"""A state store in memory, for tests: the contract of the one on disk, on a "disk" that outlives its store.

`MemoryDisk` holds what a directory would: a test keeps it, opens a `MemoryStore` on it, lets the engine die, and opens
the next store on what is left.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from streamproc.errors import StateError, StateLockedError

from .store import Changes, Family

__all__ = ["MemoryDisk", "MemoryStore"]


class Rows:
    """The entries of one family: a dict, whose keys are put in order when a range is asked for."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self._sorted: list[bytes] | None = None

    def put(self, key: bytes, value: bytes) -> None:
        if key not in self.values:
            self._sorted = None
        self.values[key] = value

    def delete(self, key: bytes) -> None:
        if self.values.pop(key, None) is not None:
            self._sorted = None

    def keys(self, start: bytes, end: bytes | None) -> list[bytes]:
        keys = self._sorted
        if keys is None:
            keys = self._sorted = sorted(self.values)
        return keys[bisect_left(keys, start) : len(keys) if end is None else bisect_left(keys, end)]


class MemoryDisk:
    """What survives a store.

    Attributes:
        rows: The content.
        unsynced: What a power loss would undo: family, key, and the value before.
        holder: The store that has the disk open.
    """

    def __init__(self) -> None:
        self.rows: dict[Family, Rows] = {family: Rows() for family in Family}
        self.unsynced: list[tuple[Family, bytes, bytes | None]] = []
        self.holder: MemoryStore | None = None

    def copy(self) -> MemoryDisk:
        """Return another disk with the same content, to look at or to try something on."""
        copied = MemoryDisk()
        for family, rows in self.rows.items():
            copied.rows[family].values.update(rows.values)
        return copied

    def crash(self, *, power_loss: bool = False) -> None:
        """Let the process that has the disk open die: its lock is gone, and its store can do nothing any more.

        Args:
            power_loss: Whether the machine dies too: what was appended since the last commit is lost.
        """
        self.holder = None
        if power_loss:
            for family, key, before in reversed(self.unsynced):
                if before is None:
                    self.rows[family].delete(key)
                else:
                    self.rows[family].put(key, before)
            self.unsynced.clear()


class MemoryStore:
    """A `streamproc.state.StateStore` on a `MemoryDisk`.

    Example:
        >>> disk = MemoryDisk()
        >>> store = MemoryStore.open(disk)
        >>> store.append(Family.META, [(b"name", b"ann")])
        >>> disk.crash()
        >>> MemoryStore.open(disk).get_many(Family.META, [b"name"])
        [b'ann']
    """

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk

    @classmethod
    def open(cls, disk: MemoryDisk | None = None) -> MemoryStore:
        """Open a store on a disk, or on a new one.

        Raises:
            StateLockedError: Another store has the disk open.
        """
        disk = disk or MemoryDisk()
        if disk.holder is not None:
            raise StateLockedError("another store has this memory disk open: close it first, or let the disk crash")
        disk.holder = cls(disk)
        return disk.holder

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of keys, in order; None for a key that is not there."""
        return list(map(self._rows(family).values.get, keys))

    def scan(self, family: Family, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield the entries with ``start <= key < end`` in the order of their keys, as they are at the first step."""
        rows = self._rows(family)
        yield from [(key, rows.values[key]) for key in rows.keys(start, end)]

    def append(self, family: Family, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Put entries; a power loss before the next commit undoes that."""
        rows = self._rows(family)
        for key, value in entries:
            self._disk.unsynced.append((family, key, rows.values.get(key)))
            rows.put(key, value)

    async def commit(self, changes: Changes) -> None:
        """Apply changes."""
        for family, start, end in changes.ranges:
            rows = self._rows(family)
            for key in rows.keys(start, end):
                rows.delete(key)
        for family, key in changes.deletes:
            self._rows(family).delete(key)
        for family, key, value in changes.puts:
            self._rows(family).put(key, value)
        self._disk.unsynced.clear()

    def size_bytes(self) -> int:
        """Return how many bytes keys and values have."""
        return sum(len(key) + len(value) for family in Family for key, value in self._rows(family).values.items())

    def close(self) -> None:
        """Release the disk; another store may open it. May be called twice."""
        if self._disk.holder is self:
            self._disk.holder = None

    def _rows(self, family: Family) -> Rows:
        if self._disk.holder is not self:
            raise StateError("this store is closed, or the disk crashed: open another store on the same disk")
        return self._disk.rows[family]
