"""Looking at state from outside: what a stopped app has committed, without its code and without changing a byte.

`find_states` finds state directories by their mark. A `StateInspection` opens one read-only, under the lock that the
app would take, so it never sees a batch half way. Objects come as `PlainObject`, because their classes are the user's.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from streamproc.errors import DecodeError
from streamproc.values import decode_plain

from .keys import decode_parts, encode_bound, encode_prefix, prefix_end
from .ledger import Ledger
from .mark import Mark
from .rocksdb import RocksStore
from .store import Family

__all__ = ["StateInspection", "StoredEntry", "VariableSize", "find_states"]


@dataclass(frozen=True, slots=True)
class VariableSize:
    """How much one variable of an operator has stored.

    Attributes:
        operator: The operator's name.
        variable: The variable's name.
        entries: How many entries.
        bytes: What their keys and values have together, before compression.
    """

    operator: str
    variable: str
    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One entry of an operator's state; its value without classes, as `streamproc.values.decode_plain` returns it."""

    operator: str
    variable: str
    key: Any
    value: Any


class StateInspection:
    """The committed state of one shard. Make it with `StateInspection.open`, best in a ``with``.

    Attributes:
        ledger: How far the shard has come.
    """

    def __init__(self, store: RocksStore) -> None:
        self._store = store
        self.ledger = Ledger.read(store)

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> StateInspection:
        """Open a state directory, read-only.

        Raises:
            StateLockedError: The app is running.
            CorruptStateError: A file is damaged or missing.
            StateFormatError: Another version of streamproc made it.
            StateError: It can't be read, or there is none.
        """
        store = RocksStore.open(directory, read_only=True)
        try:
            return cls(store)
        except BaseException:
            store.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the directory free."""
        self._store.close()

    def size_bytes(self) -> int:
        """Return about how many bytes the state takes on disk."""
        return self._store.size_bytes()

    def sizes(self) -> list[VariableSize]:
        """Return the variables that have entries, by operator and name. Reads all state."""
        entries: Counter[tuple[str, str]] = Counter()
        size: Counter[tuple[str, str]] = Counter()
        for key, value in self._store.scan(Family.STATE):
            operator, variable, *_ = decode_parts(key)
            entries[operator, variable] += 1
            size[operator, variable] += len(key) + len(value)
        return [VariableSize(*place, count, size[place]) for place, count in sorted(entries.items())]

    def timers(self) -> dict[tuple[str, str], int]:
        """Return how many timers are set, by operator and kind; the kind of an operator's first ones is empty."""
        owners = (decode_parts(key)[0] for key, _ in self._store.scan(Family.TIMERS))
        return dict(Counter(owner if isinstance(owner, tuple) else (owner, "") for owner in owners))

    def entries(self, operator: str | None = None, variable: str | None = None) -> Iterator[StoredEntry]:
        """Yield entries in the order of their keys, one operator after the other.

        Args:
            operator: Only those of this operator.
            variable: Only those of this variable; needs ``operator``.
        """
        names = [name for name in (operator, variable) if name is not None]
        return self._entries(encode_prefix(*names))

    def entry(self, operator: str, variable: str, key: Any) -> StoredEntry | None:
        """Return the entry of a key, or None.

        Raises:
            EncodeError: No state can have such a key.
        """
        raw = encode_prefix(operator, variable, key)
        (value,) = self._store.get_many(Family.STATE, [raw])
        return None if value is None else self._entry(raw, value)

    def entries_below(self, operator: str, variable: str, key: Any) -> Iterator[StoredEntry]:
        """Yield the entries whose keys are tuples that begin with ``key``: the lists and maps of a KeyedProcess."""
        return self._entries(encode_prefix(operator, variable) + encode_bound((key,)))

    def _entries(self, prefix: bytes) -> Iterator[StoredEntry]:
        for raw, value in self._store.scan(Family.STATE, prefix, prefix_end(prefix) if prefix else None):
            yield self._entry(raw, value)

    def _entry(self, raw: bytes, value: bytes) -> StoredEntry:
        operator, variable, key = decode_parts(raw)
        try:
            return StoredEntry(operator, variable, key, decode_plain(value))
        except DecodeError as error:
            raise DecodeError(f"operator {operator!r}, state {variable!r}, key {key!r:.80}: {error}") from error


def find_states(directory: str | os.PathLike[str]) -> list[Path]:
    """Return the state directories in a directory, in order: itself, or those of the apps and shards below it."""
    root = Path(directory)
    # An app is a directory below the root, a shard is one below that.
    places = [root, *sorted(root.glob("*")), *sorted(root.glob("*/*"))]
    return [place for place in places if Mark(place).exists()]
