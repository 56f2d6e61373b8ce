"""Which partition a key belongs to: as Kafka's own clients decide it, so that their topics and ours fit together."""

from __future__ import annotations

__all__ = ["Partitioner", "murmur2"]

_CACHED = 1 << 17


def murmur2(data: bytes) -> int:
    """Return Kafka's hash of bytes: MurmurHash2, 32 bits, with its seed (org.apache.kafka.common.utils.Utils)."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    length = len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if rest := data[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


class Partitioner:
    """Chooses partitions for the records of a topic.

    Keys that come often are looked up, not hashed again. Records without a key go to one partition for each batch, in
    turn: they make large batches there instead of small ones everywhere.
    """

    def __init__(self) -> None:
        self._hashes: dict[bytes, int] = {}
        self._turn = 0

    def partition(self, key: bytes | None, partitions: int) -> int:
        """Return the partition of a record, of ``partitions``."""
        if key is None:
            return self._turn % partitions
        found = self._hashes.get(key)
        if found is None:
            if len(self._hashes) >= _CACHED:
                self._hashes.clear()
            found = self._hashes[key] = murmur2(key) & 0x7FFFFFFF
        return found % partitions

    def next_batch(self) -> None:
        """Give records without a key another partition."""
        self._turn += 1
