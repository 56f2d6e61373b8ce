"""`Watermark`: how far event time has come at a point of the plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["END_OF_TIME", "START_OF_TIME", "Watermark", "merge"]

START_OF_TIME = -(1 << 62)
"""The watermark before the first record."""
END_OF_TIME = 1 << 62
"""The watermark behind the last record of inputs that have ended."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """The promise that no record of a later batch has a smaller timestamp, unless it is late.

    Attributes:
        time: In epoch milliseconds.
        idle: Whether nothing has come for so long that others need not wait for it.
    """

    time: int
    idle: bool = False


def merge(watermarks: Iterable[Watermark]) -> Watermark:
    """Return the watermark of several inputs together: the smallest of those that are neither idle nor at their ends.

    Where all are idle it is the largest: nothing is known to come.
    """
    every = list(watermarks)
    going_on = [watermark for watermark in every if watermark.time != END_OF_TIME]
    if not going_on:
        return Watermark(END_OF_TIME)
    active = [watermark.time for watermark in going_on if not watermark.idle]
    if active:
        return Watermark(min(active))
    return Watermark(max(watermark.time for watermark in going_on), idle=True)
