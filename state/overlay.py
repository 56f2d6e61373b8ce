"""Entries of the store with uncommitted changes laid over them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["overlay"]

T = TypeVar("T")


def overlay(
    stored: Iterable[tuple[bytes, bytes]], changed: Iterable[tuple[bytes, T]]
) -> Iterator[tuple[bytes, bytes, None] | tuple[bytes, None, T]]:
    """Yield key, stored value and change of each entry, in the order of keys; exactly one of the last two is not None.

    Args:
        stored: The entries of the store, ordered by key.
        changed: The changed entries, ordered by key; a key that is also stored hides what is stored. No change is None.
    """
    changes = iter(changed)
    change = next(changes, None)
    for key, value in stored:
        while change is not None and change[0] < key:
            yield change[0], None, change[1]
            change = next(changes, None)
        if change is not None and change[0] == key:
            yield key, None, change[1]
            change = next(changes, None)
        else:
            yield key, value, None
    while change is not None:
        yield change[0], None, change[1]
        change = next(changes, None)
