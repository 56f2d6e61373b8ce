"""How tests read a Redis stream: as it is, and as its documentation says."""

from __future__ import annotations

from typing import Any

from redis import Redis

__all__ = ["entries", "without_repeats"]


def entries(redis: Redis, name: str) -> list[dict[str, str]]:
    """Return the fields of all entries."""
    found: Any = redis.xrange(name)
    return [fields for _, fields in found]


def without_repeats(entries: list[dict[str, str]]) -> list[dict[str, str]]:
    """Drop repeats, as the documentation says."""
    seen: dict[str, tuple[int, int]] = {}
    new: list[dict[str, str]] = []
    for entry in entries:
        place = int(entry["_batch"]), int(entry["_seq"])
        if place > seen.get(entry["_producer"], (0, -1)):
            seen[entry["_producer"]] = place
            new.append(entry)
    return new
