"""The inbox: what was received, is in the journal, and was not taken yet. No I/O but the journal.

The format of a journal entry is one byte, the framing's tag, and then complete frames as they were on the wire (see
`framing`). The tag makes a changed framing an error instead of wrong records.

The position in the journal's partition is the number of the next entry to take. Batches end between entries, so it is
all that a restart needs, and every entry with a smaller number may go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from streamproc.batch import Segment
from streamproc.errors import SourceError
from streamproc.io.source import JOURNAL_PARTITION, Journal, Limits, Position, SourceBatch

from .framing import Framing

__all__ = ["Inbox"]

_ENTRY_OVERHEAD = 128
"""What an entry costs in memory besides its bytes; without it, a flood of tiny ones would not be bounded."""


class Inbox:
    """Keeps received entries in order until they are taken.

    Args:
        name: The source's operator name, for errors.
        framing: How entries are split.
        journal: Opens the journal.
        max_bytes: Above how many bytes the inbox is full.
    """

    def __init__(self, name: str, framing: Framing, journal: Callable[[], Journal], max_bytes: int) -> None:
        self._name = name
        self._framing = framing
        self._open_journal = journal
        self._journal: Journal | None = None
        self._max_bytes = max_bytes
        self._entries: deque[tuple[int, bytes]] = deque()
        self._next = 1
        self.size = 0
        """About how many bytes of memory the entries take."""

    def __bool__(self) -> bool:
        return bool(self._entries)

    @property
    def full(self) -> bool:
        """Whether nothing more should be received."""
        return self.size > self._max_bytes

    @property
    def relieved(self) -> bool:
        """Whether an inbox that was full has room again; not the opposite of full, or reading would flutter."""
        return 2 * self.size <= self._max_bytes

    def restore(self, positions: Mapping[str, Position]) -> None:
        """Open the journal and take up what it holds behind the committed position.

        Raises:
            SourceError: The position is none of this source's, entries are missing, or the framing has changed.
        """
        position = positions.get(JOURNAL_PARTITION, 1)
        if not isinstance(position, int) or positions.keys() - {JOURNAL_PARTITION}:
            raise SourceError(
                f"source {self._name!r}: the committed positions {dict(positions)} are not the number of a journal "
                f"entry: another kind of source wrote them; give this one a new name, or use another state directory"
            )
        self._next = position
        self._journal = self._open_journal()
        for number, stored in self._journal.read(position - 1):
            self._expect(number)
            if stored[:1] != self._framing.tag:
                raise SourceError(
                    f"source {self._name!r}: journal entry {number} was received with another framing "
                    f"(tag {stored[:1]!r}, now {self._framing.tag!r}); run once more with the former framing to work "
                    f"off what was received, then change it"
                )
            self._add(stored[1:])

    def receive(self, entries: list[bytes]) -> None:
        """Store entries in the journal, then count them as received.

        Raises:
            SourceError: The journal does not go on from the committed position.
            Exception: The journal's own, when it can't be written.
        """
        assert self._journal is not None
        tag = self._framing.tag
        last = self._journal.append([tag + entry for entry in entries])
        self._expect(last - len(entries) + 1)
        for entry in entries:
            self._add(entry)

    def take(self, limits: Limits) -> SourceBatch:
        """Return the records of the next entries: at least one entry, and no further one that would pass a limit."""
        values: list[bytes] = []
        segments: list[Segment] = []
        size = 0
        while self._entries:
            number, entry = self._entries[0]
            if values and size + len(entry) > limits.bytes:
                break
            frames = self._framing.split(entry)
            if values and len(values) + len(frames) > limits.records:
                break
            self._entries.popleft()
            self.size -= len(entry) + _ENTRY_OVERHEAD
            size += len(entry)
            values += frames
            segments.append(Segment(JOURNAL_PARTITION, len(frames), str(number)))
        if not segments:
            return SourceBatch([])
        position = self._entries[0][0] if self._entries else self._next
        return SourceBatch(values, segments, {JOURNAL_PARTITION: position}, more=bool(self._entries))

    def _add(self, entry: bytes) -> None:
        self._entries.append((self._next, entry))
        self._next += 1
        self.size += len(entry) + _ENTRY_OVERHEAD

    def _expect(self, number: int) -> None:
        if number != self._next:
            raise SourceError(
                f"source {self._name!r}: the journal goes on with entry {number}, expected {self._next}: received data "
                f"is missing or was numbered anew; restore the state directory from a backup, or start with a new one"
            )
