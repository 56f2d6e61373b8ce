"""Counts of things in a dict, which are never zero: an accumulator that can be merged and taken apart again."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

__all__ = ["add_counts", "take_counts"]

H = TypeVar("H", bound=Hashable)


def add_counts(counts: dict[H, int], more: dict[H, int]) -> dict[H, int]:
    """Add counts to others, in place."""
    get = counts.get
    for item, number in more.items():
        counts[item] = get(item, 0) + number
    return counts


def take_counts(counts: dict[H, int], leaving: dict[H, int]) -> dict[H, int]:
    """Take counts out of others, in place."""
    for item, number in leaving.items():
        rest = counts[item] - number
        if rest:
            counts[item] = rest
        else:
            del counts[item]
    return counts
