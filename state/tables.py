"""Typed tables over a state store: what operators keep their state in.

A table's entries are in the family STATE under ``operator, variable, key``: keys joined as in `streamproc.state.keys`,
values written as in `streamproc.values`.

During a batch, changes are pending: reads of the same `Tables` see them, the store doesn't. `Tables.collect` adds them
to the batch's commit, `Tables.committed` notes that they are in the store, `Tables.rollback` forgets them.

Values stay decoded in a cache, under one limit for all tables of a shard. It has two generations: a use moves an entry
of the old one to the young one, and when the young one has half the limit, the old one is dropped and the young one
becomes old. This is least-recently-used to the accuracy of a generation, at no cost per access.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from types import NoneType
from typing import Any, Final, Generic, TypeVar, cast

from streamproc.errors import DecodeError, EncodeError
from streamproc.values import decode_value, encode_value

from .keys import decode_parts, encode_bound, encode_key, encode_prefix, prefix_end
from .overlay import overlay
from .store import Changes, Family, StateStore
from .timers import Timers

__all__ = ["Table", "Tables", "Timers", "told_apart"]

K = TypeVar("K")
V = TypeVar("V")

# Keys that index the cache as they are, and what is in the tuples that do. All others do by their bytes, since 1, 1.0
# and True, though different keys here, are one to a dict.
_DIRECT: Final = frozenset({str, int})
_DIRECT_IN_TUPLE: Final = frozenset({str, int, bytes, NoneType})
# What an entry takes in memory besides its bytes, about: the entry, its key and value as objects, its place in a dict.
_OVERHEAD: Final = 300
_FEW: Final = 32
"""Up to how many entries are put into their order one by one."""


def told_apart(key: Any) -> object:
    """Return what stands for a key in a dict: the key itself, or its bytes where it may be equal to another key."""
    return key if type(key) in _DIRECT else _index(key)


def _index(key: Any) -> object:
    """Return the same of a key that is not in `_DIRECT`."""
    kind: Any = type(key)  # pyright: ignore[reportUnknownVariableType]
    if kind is tuple and _DIRECT_IN_TUPLE.issuperset(map(type, key)):
        return key
    return encode_key(key)


class _Entry:
    """A cached value, or that there is none (``present`` is false)."""

    __slots__ = ("dirty", "key", "present", "raw", "size", "value")

    def __init__(self, raw: bytes, key: Any, value: Any, present: bool, size: int) -> None:
        self.raw = raw
        self.key = key
        self.value = value
        self.present = present
        self.dirty = False
        self.size = size


class _Usage:
    """How many bytes the two generations of all tables' caches take, about."""

    __slots__ = ("old", "young")

    def __init__(self) -> None:
        self.young = 0
        self.old = 0


class Table(Generic[K, V]):
    """A map from keys to values, part of the state of one operator. Made by `Tables.table`.

    Keys are of the types that `streamproc.state.keys.encode_key` takes, values of those that
    `streamproc.values.encode_value` takes.

    The table hands out the very objects it caches. Whoever changes one must `put` it, or the change is lost.
    """

    def __init__(self, store: StateStore, operator: str, variable: str, usage: _Usage, *, quiet: bool) -> None:
        self._store = store
        self._name = f"operator {operator!r}, state {variable!r}"
        self._prefix = encode_prefix(operator, variable)
        self._usage = usage
        self.quiet = quiet
        self.rollbacks = 0
        """How often changes were taken back: whoever remembers what it has put looks again when this has changed."""
        self._young: dict[object, _Entry] = {}
        self._old: dict[object, _Entry] = {}
        self._pending: list[_Entry] = []
        self._collected: list[_Entry] = []
        # The uncommitted entries in order; valid for so many of them.
        self._ordered: tuple[int, list[bytes], dict[bytes, _Entry]] = 0, [], {}
        self._epoch = 0

    @property
    def dirty(self) -> bool:
        """Whether there are changes to commit."""
        return bool(self._pending)

    def load(self, keys: Iterable[K]) -> None:
        """Bring the values of keys into the cache in one read; `get` then costs no read of its own.

        Raises:
            EncodeError: A key is none that state can have.
            DecodeError: A stored value can't be read.
        """
        young = self._young
        missing: dict[object, K] = {}
        for key in keys:
            index: object = key if type(key) in _DIRECT else _index(key)
            if index not in young and not self._renew(index):
                missing[index] = key
        if missing:
            raws = [self._raw(index) for index in missing]
            values = self._store.get_many(Family.STATE, raws)
            for (index, key), raw, data in zip(missing.items(), raws, values, strict=True):
                value = None if data is None else self._decode(data)
                self._add(index, _Entry(raw, key, value, data is not None, len(raw) + len(data or b"") + _OVERHEAD))

    def get(self, key: K) -> V | None:
        """Return the value of a key, or None."""
        index = key if type(key) in _DIRECT else _index(key)
        entry = self._young.get(index)
        if entry is None:
            self.load((key,))
            entry = self._young[index]
        return cast("V | None", entry.value)

    def put(self, key: K, value: V) -> None:
        """Set the value of a key. It is encoded when the batch is collected: until then it may still be changed."""
        index = key if type(key) in _DIRECT else _index(key)
        entry = self._young.get(index) or self._blank(index, key)
        entry.value = value
        entry.present = True
        if not entry.dirty:
            entry.dirty = True
            self._pending.append(entry)

    def delete(self, key: K) -> None:
        """Remove a key; one that is not there is no error."""
        index = key if type(key) in _DIRECT else _index(key)
        entry = self._young.get(index) or self._blank(index, key)
        entry.value = None
        entry.present = False
        if not entry.dirty:
            entry.dirty = True
            self._pending.append(entry)

    def items(self, start: Any = None, end: Any = None) -> Iterator[tuple[K, V]]:
        """Yield the entries in the order of their keys, pending changes included.

        The iterator shows the table as it is at the first step: changes made meanwhile don't show. A commit or rollback
        ends it with an error.

        Args:
            start: The first key, or None. A tuple also stands for the keys that begin with it: see `items_with_prefix`.
            end: The key behind the last, or None. A tuple also excludes the keys that begin with it.

        Raises:
            RuntimeError: The batch was committed or rolled back since the first step.
        """
        low = self._prefix if start is None else self._prefix + encode_bound(start)
        high = prefix_end(self._prefix) if end is None else self._prefix + encode_bound(end)
        return self._items(low, high)

    def items_with_prefix(self, prefix: tuple[Any, ...]) -> Iterator[tuple[K, V]]:
        """Yield the entries whose keys are tuples that begin with ``prefix``, as `items` does."""
        low = self._prefix + encode_bound(prefix)
        return self._items(low, prefix_end(low))

    def __iter__(self) -> Iterator[K]:
        """Yield the keys in order, as `items` does."""
        for key, _, entry in self._merged(self._prefix, prefix_end(self._prefix)):
            yield self._key(key) if entry is None else entry[0]

    def collect(self, changes: Changes) -> None:
        """Encode the pending changes and add them to a commit.

        Raises:
            EncodeError: A value is none that state can have.
        """
        puts, deletes, usage = changes.puts, changes.deletes, self._usage
        family = Family.STATE
        for entry in self._pending:
            entry.dirty = False
            if entry.present:
                try:
                    data = encode_value(entry.value)
                except EncodeError as error:
                    raise EncodeError(f"{self._name}, key {entry.key!r:.80}: {error}") from error
                puts.append((family, entry.raw, data))
                size = len(entry.raw) + len(data) + _OVERHEAD
                usage.young += size - entry.size
                entry.size = size
            else:
                deletes.append((family, entry.raw))
        self._collected += self._pending
        self._pending = []

    def committed(self) -> None:
        """Note that what was collected is in the store."""
        self._collected = []
        self._changed()

    def rollback(self) -> None:
        """Forget what is not committed, and all cached values: some may have been changed by who got them."""
        self._pending = []
        self._collected = []
        self._young = {}
        self._old = {}
        self.rollbacks += 1
        self._changed()

    def age(self, *, keep: bool) -> None:
        """Make the young generation of the cache the old one, in place of the old one; or drop both."""
        self._old = self._young if keep else {}
        self._young = {}

    def _changed(self) -> None:
        self._ordered = 0, [], {}
        self._epoch += 1

    def _raw(self, index: object) -> bytes:
        return self._prefix + (index if type(index) is bytes else encode_key(index))

    def _add(self, index: object, entry: _Entry) -> None:
        self._young[index] = entry
        self._usage.young += entry.size

    def _renew(self, index: object) -> _Entry | None:
        """Return an entry of the old generation, now in the young one."""
        entry = self._old.pop(index, None)
        if entry is not None:
            self._usage.old -= entry.size
            self._add(index, entry)
        return entry

    def _blank(self, index: object, key: Any) -> _Entry:
        """Return the entry to write to, for a key that is not in the young generation."""
        entry = self._renew(index)
        if entry is None:
            raw = self._raw(index)
            entry = _Entry(raw, key, None, False, len(raw) + _OVERHEAD)
            self._add(index, entry)
        return entry

    def _items(self, low: bytes, high: bytes) -> Iterator[tuple[K, V]]:
        for entry in self._merged(low, high):
            yield (self._key(entry[0]), self._decode(entry[1])) if entry[2] is None else entry[2]

    def _merged(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes, None] | tuple[bytes, None, tuple[K, V]]]:
        """Yield what is stored or pending in a range; entries that are to be removed are left out."""
        epoch = self._epoch
        for entry in overlay(self._store.scan(Family.STATE, low, high), self._uncommitted(low, high)):
            if self._epoch != epoch:
                raise RuntimeError(f"{self._name}: committed or rolled back while it was iterated over: start again")
            if entry[2] is None:
                yield entry
            elif entry[2][2]:
                yield entry[0], None, (entry[2][0], entry[2][1])

    def _uncommitted(self, low: bytes, high: bytes) -> list[tuple[bytes, tuple[K, V, bool]]]:
        """Return the uncommitted entries in a range, in order, as they are now: key, value, whether it is present."""
        count = len(self._collected) + len(self._pending)
        if not count:
            return []
        known, raws, entries = self._ordered
        if known != count:
            # Collected entries come first, and both lists only grow: what is new stands at the end.
            added = {entry.raw: entry for entry in islice(chain(self._collected, self._pending), known, None)}
            new = added.keys() - entries.keys()
            if len(new) > _FEW:
                raws += new
                raws.sort()
            else:
                for raw in new:
                    insort(raws, raw)
            entries |= added
            self._ordered = count, raws, entries
        found = [entries[raw] for raw in raws[bisect_left(raws, low) : bisect_left(raws, high)]]
        return [(entry.raw, (entry.key, entry.value, entry.present)) for entry in found]

    def _key(self, raw: bytes) -> K:
        return cast("K", decode_parts(raw, len(self._prefix))[0])

    def _decode(self, data: bytes) -> V:
        try:
            return cast("V", decode_value(data))
        except DecodeError as error:
            raise DecodeError(f"{self._name}: {error}") from error


class Tables:
    """All tables and timers of one shard.

    Args:
        store: The shard's store.
        cache_bytes: How much memory decoded values may take between batches, about.
    """

    def __init__(self, store: StateStore, *, cache_bytes: int) -> None:
        self._store = store
        self._cache_bytes = cache_bytes
        self._usage = _Usage()
        self._tables: dict[tuple[str, str], Table[Any, Any]] = {}
        self._timers: dict[tuple[str, str], Timers] = {}

    @property
    def dirty(self) -> bool:
        """Whether there are changes that ask for a commit."""
        return any(table.dirty and not table.quiet for table in self._tables.values()) or any(
            timers.dirty for timers in self._timers.values()
        )

    def table(self, operator: str, variable: str = "", *, quiet: bool = False) -> Table[Any, Any]:
        """Return a table of an operator, the same one at each call.

        Args:
            operator: The operator's name.
            variable: Tells apart the tables of one operator.
            quiet: Whether its changes can wait for a batch that has something else to commit.
        """
        table = self._tables.get((operator, variable))
        if table is None:
            table = Table[Any, Any](self._store, operator, variable, self._usage, quiet=quiet)
            self._tables[operator, variable] = table
        return table

    def timers(self, operator: str, kind: str = "") -> Timers:
        """Return the timers of an operator, the same ones at each call.

        Args:
            operator: The operator's name.
            kind: Tells apart the timers of one operator.
        """
        timers = self._timers.get((operator, kind))
        if timers is None:
            timers = self._timers[operator, kind] = Timers(self._store, operator, kind)
        return timers

    def collect(self, changes: Changes) -> None:
        """Add all pending changes to the batch's commit; `committed` or `rollback` follows.

        Raises:
            EncodeError: A value is none that state can have.
        """
        for part in self._parts():
            part.collect(changes)

    def committed(self) -> None:
        """Note that what was collected is in the store, and bring the cache back under its limit."""
        for part in self._parts():
            part.committed()
        usage = self._usage
        full = usage.young > self._cache_bytes // 2 or usage.young + usage.old > self._cache_bytes
        # Entries with changes must stay where they are.
        if not full or any(table.dirty for table in self._tables.values()):
            return
        keep = usage.young <= self._cache_bytes
        for table in self._tables.values():
            table.age(keep=keep)
        usage.old = usage.young if keep else 0
        usage.young = 0

    def rollback(self) -> None:
        """Forget everything that is not committed."""
        for part in self._parts():
            part.rollback()
        self._usage.young = self._usage.old = 0

    def _parts(self) -> Iterator[Table[Any, Any] | Timers]:
        return chain(self._tables.values(), self._timers.values())
