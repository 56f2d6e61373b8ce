"""The state store: the contract of what a shard remembers, and the write that commits a batch.

A store is an ordered map from bytes to bytes in five families. All changes of a batch go through one `Changes`, applied
by ``commit``: atomic, and durable when it returns. The one exception is ``append``, which adds received data to the
journal ahead of any commit (see `streamproc.io.source.Journal`).

Nothing in a store is interpreted here: `streamproc.state.ledger` and `streamproc.state.tables` say what the bytes mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

__all__ = ["Changes", "Family", "StateStore"]


class Family(Enum):
    """The parts of a store; a key means something within its family only."""

    STATE = "state"
    TIMERS = "timers"
    OUTBOX = "outbox"
    JOURNAL = "journal"
    META = "meta"


@dataclass(slots=True)
class Changes:
    """The changes of one commit, applied in this order: ranges deleted, keys deleted, keys put.

    Attributes:
        puts: Family, key and value.
        deletes: Family and key; a key that is not there is no error.
        ranges: Family, first key, and the key behind the last.
    """

    puts: list[tuple[Family, bytes, bytes]] = field(default_factory=list[tuple[Family, bytes, bytes]])
    deletes: list[tuple[Family, bytes]] = field(default_factory=list[tuple[Family, bytes]])
    ranges: list[tuple[Family, bytes, bytes]] = field(default_factory=list[tuple[Family, bytes, bytes]])

    def __bool__(self) -> bool:
        return bool(self.puts or self.deletes or self.ranges)


class StateStore(Protocol):
    """One shard's store. Used by one task of one process at a time."""

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of keys, in order; None for a key that is not there.

        Raises:
            CorruptStateError: A file can't be read as it was written.
        """
        ...

    def scan(self, family: Family, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield the entries with ``start <= key < end`` in the order of their keys.

        The iterator sees the store as it is at the first step, whatever is committed meanwhile.

        Raises:
            CorruptStateError: A file can't be read as it was written; a scan never just ends there.
        """
        ...

    def append(self, family: Family, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Put entries atomically, safe from the death of the process but not yet of the machine."""
        ...

    async def commit(self, changes: Changes) -> None:
        """Apply changes atomically; when it returns they survive the death of the machine, and all appends before do.

        Raises:
            StateError: The write failed; whether it will be seen after a restart is unknown, so the shard must stop.
        """
        ...

    def size_bytes(self) -> int:
        """Return about how many bytes the store takes on disk, or in memory where it has no disk."""
        ...

    def close(self) -> None:
        """Release the store and its lock; nothing is lost. May be called twice."""
        ...
