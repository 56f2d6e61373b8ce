"""`DoneFiles`: which files of a directory were read, in little space and with little to write for each.

A file is remembered by 72 bits of a hash of its name (with a million files, one in 10 million million directories has
two that are taken for one). The first 8 bits choose one of 256 partitions, ``/done/00`` to ``/done/ff``; its position
is the other 64 bits of each file, as 11 characters of base64, one after the other. So finishing a file writes anew
about 1/256 of the memory: 4 kB where 100,000 files lie in the directory.

Files that are gone are forgotten, but only when the partition is written anyway for a file that was just read. An
empty directory, which may be a disk that is not mounted, makes nothing forgotten.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping
from hashlib import blake2b

from streamproc.io.source import Position

__all__ = ["DoneFiles"]

_PREFIX = "/done/"
_WIDTH = 11


class DoneFiles:
    """Remembers which files were read."""

    def __init__(self) -> None:
        self._buckets: dict[str, set[str]] = {}
        self._changed: set[str] = set()

    @staticmethod
    def owns(partition: str) -> bool:
        """Return whether a partition is part of this memory; no file can have such a name."""
        return partition.startswith(_PREFIX)

    @staticmethod
    def key(name: str) -> str:
        """Return what stands for a file: its partition and what is kept of its name there."""
        digest = blake2b(name.encode(errors="surrogateescape"), digest_size=9).digest()
        return f"{_PREFIX}{digest[0]:02x}{urlsafe_b64encode(digest[1:]).decode().rstrip('=')}"

    def load(self, positions: Mapping[str, Position]) -> None:
        """Take up the memory from the committed positions."""
        for partition, position in positions.items():
            if self.owns(partition):
                text = str(position)
                self._buckets[partition] = {text[i : i + _WIDTH] for i in range(0, len(text), _WIDTH)}

    def __contains__(self, key: str) -> bool:
        return key[-_WIDTH:] in self._buckets.get(key[:-_WIDTH], ())

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def add(self, key: str) -> None:
        """Remember a file."""
        partition = key[:-_WIDTH]
        self._buckets.setdefault(partition, set()).add(key[-_WIDTH:])
        self._changed.add(partition)

    def moved(self, present: Collection[str]) -> dict[str, str]:
        """Return the positions of the partitions that have changed since the last call.

        Args:
            present: The keys of all files in the directory; others of the changed partitions are forgotten.
        """
        changed, self._changed = self._changed, set()
        positions: dict[str, str] = {}
        for partition in sorted(changed):
            bucket = {kept for kept in self._buckets[partition] if partition + kept in present}
            self._buckets[partition] = bucket
            positions[partition] = "".join(sorted(bucket))
        return positions
