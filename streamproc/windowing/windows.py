"""Windows, and what they give.

A window ``[start, end)`` holds the records with ``start <= timestamp < end``, in epoch milliseconds.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

import msgspec

__all__ = ["Pane", "Timing", "Window", "WindowResult"]

R = TypeVar("R")

Timing = Literal["early", "on_time", "late"]


class Window(msgspec.Struct, frozen=True, gc=False, order=True):
    """An interval of time ``[start, end)`` in epoch milliseconds."""

    start: int
    end: int


class Pane(msgspec.Struct, frozen=True, gc=False):
    """Which of the results of a window one is.

    Attributes:
        timing: ``"early"`` before the watermark is at the window's end, ``"on_time"`` for the first result from then on
            that was not asked for by late records only, ``"late"`` for all behind it.
        index: The number of the result, from zero.
        last: Whether it is certain that no other follows.
    """

    timing: Timing
    index: int
    last: bool


class WindowResult(msgspec.Struct, Generic[R], frozen=True, gc=False, omit_defaults=True, repr_omit_defaults=True):
    """What a window gives for one key.

    Attributes:
        start: The start of the window, in epoch milliseconds.
        end: Its end, in epoch milliseconds; it is not a part of the window.
        value: The aggregate.
        pane: Which of the window's results it is; None of periodic and `Count` windows that were asked for no more than
            one.
        retracts: Whether it takes back what was given before, which is ``value``; a new result may follow. Only where
            windows are asked to retract.
    """

    start: int
    end: int
    value: R
    pane: Pane | None = None
    retracts: bool = False

    @property
    def timing(self) -> Timing:
        """Whether it was given before the watermark was at the window's end, then, or later."""
        return "on_time" if self.pane is None else self.pane.timing
