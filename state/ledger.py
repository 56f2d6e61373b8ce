"""The ledger: how far a shard has come, and what it still has to publish.

It owns three families of the store. Keys are joined as in `streamproc.state.keys`, values are written as in
`streamproc.values` unless said otherwise.

    META     "format"                        1, the version of this layout and of those of `Tables`
             "identity"                      [app, shard, shards]
             "batch"                         [batch id, trigger time] of the last committed batch
             "plan"                          bytes: the plan's stateful operators, as the planner wrote them
             "position", source, partition   the next record to read: int or str
             "trimmed", source               the number of the last journal entry that was removed
             "published", sink               the last batch whose outputs for the sink were removed, as published
    OUTBOX   batch id, sink                  trigger time as 8 bytes, signed, big-endian; then the payload
    JOURNAL  source, number                  the entry as it was received

All of a batch's entries are part of the one commit that commits the batch. So after a crash: the positions are those
behind the last committed batch; the outbox holds at least the outputs that some sink may not have published, since a
later commit removes only what is known to be published; and the journal holds at least what lies behind the positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, Final, TypeAlias

from streamproc.errors import CorruptStateError, DecodeError, StateFormatError
from streamproc.values import decode_value, encode_value

from .keys import decode_parts, encode_key, encode_prefix, prefix_end
from .store import Changes, Family, StateStore

__all__ = ["Identity", "Ledger", "OutboxRow", "StoreJournal"]

_FORMAT: Final = 1
_Position: TypeAlias = int | str


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose state it is: the job's name, and which of how many shards."""

    app: str
    shard: int
    shards: int

    def __str__(self) -> str:
        return f"app {self.app!r}, shard {self.shard} of {self.shards}"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One sink's outputs of one committed batch; the time is its trigger time."""

    batch_id: int
    time: int
    sink: str
    payload: bytes


class StoreJournal:
    """A source's journal in the store: a `streamproc.io.source.Journal`.

    Args:
        store: The shard's store.
        source: The source's operator name.
        trimmed: The number of the last entry that was removed.
    """

    def __init__(self, store: StateStore, source: str, trimmed: int) -> None:
        self._store = store
        self._source = source
        self._prefix = encode_key(source)
        self.trimmed = trimmed
        self._last = trimmed
        for number, _ in self.read(trimmed):
            self._last = number

    def append(self, entries: Sequence[bytes]) -> int:
        """Store entries, all or none, and return the number of the last one."""
        first = self._last + 1
        self._store.append(
            Family.JOURNAL, [(self.key(number), entry) for number, entry in enumerate(entries, start=first)]
        )
        self._last += len(entries)
        return self._last

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Return the stored entries with a number above ``after``, in order.

        Raises:
            CorruptStateError: There is a gap.
        """
        expected = max(after, self.trimmed) + 1
        for key, entry in self._store.scan(Family.JOURNAL, self.key(expected), prefix_end(self._prefix)):
            _, number = decode_parts(key)
            if number != expected:
                raise CorruptStateError(
                    f"the journal of source {self._source!r} has entry {number} where {expected} should be: "
                    "restore the state directory from a backup, or delete it to start anew"
                )
            yield number, entry
            expected += 1

    def key(self, number: int) -> bytes:
        """Return the key of an entry."""
        return self._prefix + encode_key(number)

    def trimmed_to(self, number: int) -> None:
        """Note that the entries up to ``number`` are removed."""
        self.trimmed = number
        self._last = max(self._last, number)


class Ledger:
    """Reads what a shard has committed, and adds to each commit what the next start needs.

    `record` and its kin only fill a `Changes`; the properties speak of committed batches and move with `applied`. Make
    it with `Ledger.open`.
    """

    def __init__(self, store: StateStore, identity: Identity) -> None:
        self._store = store
        self.identity = identity
        """Whose state it is."""
        self._batch: tuple[int, int | None] = 0, None
        self._plan: bytes | None = None
        self._positions: dict[str, dict[str, _Position]] = {}
        self._trimmed: dict[str, int] = {}
        self._published: dict[str, int] = {}
        self._journals: dict[str, StoreJournal] = {}
        self._outbox: list[tuple[int, str]] = []
        self._pending = _Pending()

    @classmethod
    def open(cls, store: StateStore, identity: Identity) -> Ledger:
        """Read the ledger of a store; a store that is empty becomes that of ``identity``.

        Raises:
            StateFormatError: The store has another format, or belongs to another job or shard.
        """
        ledger = cls(store, identity)
        entries = list(store.scan(Family.META))
        if entries:
            ledger._read(entries)
            if ledger.identity != identity:
                owner = ledger.identity
                raise StateFormatError(
                    f"the state belongs to {owner}, and this is {identity}: use another state directory"
                    + (", or start with the old number of shards" if owner.app == identity.app else "")
                )
        elif any(next(iter(store.scan(family)), None) for family in Family):
            raise StateFormatError(
                "the state has no format version, so streamproc did not make it, or a part of it is lost: "
                "use another state directory, or delete this one"
            )
        else:
            # No commit is needed: what is committed later makes it durable, and until then the store is empty.
            store.append(
                Family.META,
                [
                    (encode_prefix("format"), encode_value(_FORMAT)),
                    (encode_prefix("identity"), encode_value(list(astuple(identity)))),
                ],
            )
        return ledger

    @classmethod
    def read(cls, store: StateStore) -> Ledger:
        """Read the ledger of a store, whoever's it is; nothing is written.

        Raises:
            StateFormatError: The store has another format, or no app has ever used it.
        """
        ledger = cls(store, Identity("", 0, 1))
        entries = list(store.scan(Family.META))
        if not entries:
            raise StateFormatError("the state is empty: no app has used it yet")
        ledger._read(entries)
        return ledger

    @property
    def sources(self) -> list[str]:
        """The names of the sources that have committed positions."""
        return sorted(self._positions)

    @property
    def batch_id(self) -> int:
        """The id of the last committed batch; 0 if there is none."""
        return self._batch[0]

    @property
    def time(self) -> int | None:
        """The trigger time of the last committed batch, in epoch milliseconds."""
        return self._batch[1]

    @property
    def plan(self) -> bytes | None:
        """The stateful operators of the plan that the last batch was committed with, as they were given."""
        return self._plan

    def positions(self, source: str) -> dict[str, _Position]:
        """Return the committed positions of a source by partition."""
        return dict(self._positions.get(source, {}))

    def outbox(self) -> list[OutboxRow]:
        """Return the outputs that may not be published, in the order of batches, then of sinks' names."""
        return [
            OutboxRow(batch_id, int.from_bytes(value[:8], "big", signed=True), sink, value[8:])
            for (batch_id, sink), value in _decoded(self._store.scan(Family.OUTBOX))
        ]

    @property
    def published(self) -> dict[str, int]:
        """For each sink the last batch whose outputs were removed from the outbox, because they are published."""
        return dict(self._published)

    def journal(self, source: str) -> StoreJournal:
        """Return the journal of a source; the same one at each call."""
        if source not in self._journals:
            self._journals[source] = StoreJournal(self._store, source, self._trimmed.get(source, 0))
        return self._journals[source]

    def record(
        self,
        changes: Changes,
        *,
        batch_id: int,
        time: int,
        positions: Mapping[str, Mapping[str, _Position | None]],
        outputs: Mapping[str, bytes],
        published_through: int,
        plan: bytes | None = None,
    ) -> None:
        """Add a batch to the commit that commits it. To be followed by `applied` once that is done.

        Args:
            changes: What will be committed.
            batch_id: The batch's id.
            time: Its trigger time in epoch milliseconds.
            positions: For each source, the partitions that moved and where to; None forgets one.
            outputs: The payloads by sink.
            published_through: Up to which batch all sinks have published; those batches' outputs are removed.
            plan: The plan's stateful operators, if they are to be kept for the next start.
        """
        meta = Family.META
        pending = self._pending = _Pending(positions, published_through)
        changes.puts.append((meta, encode_prefix("batch"), encode_value([batch_id, time])))
        if plan is not None and plan != self._plan:
            pending.plan = plan
            changes.puts.append((meta, encode_prefix("plan"), plan))
        for source, moved in positions.items():
            for partition, position in moved.items():
                key = encode_prefix("position", source, partition)
                if position is None:
                    changes.deletes.append((meta, key))
                else:
                    changes.puts.append((meta, key, encode_value(position)))
        stamp = time.to_bytes(8, "big", signed=True)
        for sink, payload in outputs.items():
            changes.puts.append((Family.OUTBOX, encode_prefix(batch_id, sink), stamp + payload))
            pending.outputs.append((batch_id, sink))
        self.clear_outbox(changes, published_through=published_through)

    def clear_outbox(self, changes: Changes, *, published_through: int) -> None:
        """Add to a commit that the outputs of batches up to ``published_through`` are removed: they are published."""
        published: dict[str, int] = {}
        for batch_id, sink in self._outbox:
            if batch_id <= published_through:
                changes.deletes.append((Family.OUTBOX, encode_prefix(batch_id, sink)))
                published[sink] = batch_id
        for sink, batch_id in published.items():
            changes.puts.append((Family.META, encode_prefix("published", sink), encode_value(batch_id)))
        self._pending.published = published

    def move(self, changes: Changes, source: str, positions: Mapping[str, _Position | None]) -> None:
        """Add to a commit that a source goes on at other positions. For an app that is stopped: no batch follows.

        Args:
            changes: What will be committed.
            source: The source's name.
            positions: Where to go on, by partition; None forgets one. Others stay as they are.
        """
        for partition, position in positions.items():
            key = encode_prefix("position", source, partition)
            if position is None:
                changes.deletes.append((Family.META, key))
            else:
                changes.puts.append((Family.META, key, encode_value(position)))

    def trim_journal(self, changes: Changes, source: str, through: int) -> None:
        """Add to a commit that a source's journal entries up to number ``through`` are removed; after `record`."""
        journal = self.journal(source)
        if through > journal.trimmed:
            changes.ranges.append((Family.JOURNAL, journal.key(journal.trimmed + 1), journal.key(through + 1)))
            changes.puts.append((Family.META, encode_prefix("trimmed", source), encode_value(through)))
            self._pending.trimmed[source] = through

    def applied(self, batch_id: int, time: int) -> None:
        """Note that the batch given to `record` is committed."""
        pending, self._pending = self._pending, _Pending()
        self._batch = batch_id, time
        if pending.plan is not None:
            self._plan = pending.plan
        for source, moved in pending.positions.items():
            known = self._positions.setdefault(source, {})
            for partition, position in moved.items():
                if position is None:
                    known.pop(partition, None)
                else:
                    known[partition] = position
        self._outbox = [row for row in self._outbox if row[0] > pending.published_through] + pending.outputs
        self._published |= pending.published
        for source, through in pending.trimmed.items():
            self._trimmed[source] = through
            self._journals[source].trimmed_to(through)

    def _read(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        found = dict(_decoded(entries))
        try:
            version = decode_value(found.pop(("format",)))
            if version != _FORMAT:
                raise StateFormatError(
                    f"the state has format {version}, and this version of streamproc reads format {_FORMAT}: "
                    "run it with the version that made it, or use another state directory"
                )
            self.identity = Identity(*decode_value(found.pop(("identity",))))
            self._plan = found.pop(("plan",), None)
            if ("batch",) in found:
                batch_id, time = decode_value(found.pop(("batch",)))
                self._batch = batch_id, time
            for (kind, source, *rest), value in found.items():
                match kind:
                    case "position":
                        self._positions.setdefault(source, {})[rest[0]] = decode_value(value)
                    case "published":
                        self._published[source] = decode_value(value)
                    case _:
                        self._trimmed[source] = decode_value(value)
        except (DecodeError, KeyError, TypeError, ValueError) as error:
            raise StateFormatError(
                f"the state's own records can't be read ({error!r}): use another state directory, or delete this one"
            ) from error
        self._outbox = [(batch_id, sink) for (batch_id, sink), _ in _decoded(self._store.scan(Family.OUTBOX))]


@dataclass(slots=True)
class _Pending:
    """What `Ledger.applied` will make true."""

    positions: Mapping[str, Mapping[str, _Position | None]] = field(
        default_factory=dict[str, "Mapping[str, _Position | None]"]
    )
    published_through: int = 0
    plan: bytes | None = None
    outputs: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    trimmed: dict[str, int] = field(default_factory=dict[str, int])
    published: dict[str, int] = field(default_factory=dict[str, int])


def _decoded(entries: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[tuple[Any, ...], bytes]]:
    for key, value in entries:
        yield tuple(decode_parts(key)), value
