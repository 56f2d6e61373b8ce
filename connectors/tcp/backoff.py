"""`Backoff`: how long a client waits before it tries again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from streamproc.durations import Duration, to_ms
from streamproc.errors import PipelineError

__all__ = ["Backoff", "BackoffDelays"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits twice as long after each failure in a row, by a random part less.

    The random part keeps the clients of a server that restarts from coming back all at the same moment.

    Attributes:
        first: The longest wait after the first failure.
        longest: The longest wait ever.
        seed: Makes the random part repeatable, for tests; None draws a new seed.
    """

    first: Duration = "200ms"
    longest: Duration = "30s"
    seed: int | None = None

    def __post_init__(self) -> None:
        if to_ms(self.first, what="Backoff first") > to_ms(self.longest, what="Backoff longest"):
            raise PipelineError(f"Backoff: first={self.first!r} is longer than longest={self.longest!r}")

    def delays(self) -> BackoffDelays:
        """Return the delays of one client, from the first on."""
        draw = Random(self.seed).random  # noqa: S311 - spreads load, guards nothing
        return BackoffDelays(to_ms(self.first), to_ms(self.longest), draw)


class BackoffDelays:
    """The delays after failures in a row.

    Args:
        first: The longest wait after the first failure, in milliseconds.
        longest: The longest wait ever, in milliseconds.
        draw: Returns a random number from 0 to 1.
    """

    def __init__(self, first: int, longest: int, draw: Callable[[], float]) -> None:
        self._first = first
        self._longest = longest
        self._draw = draw
        self._bound = first

    def after_failure(self) -> int:
        """Return how many milliseconds to wait now: between half the bound and the bound, which then doubles."""
        delay = self._bound * (1 + self._draw()) / 2
        self._bound = min(2 * self._bound, self._longest)
        return max(1, round(delay))

    def reset(self) -> None:
        """Begin again with the first delay: it went well."""
        self._bound = self._first
