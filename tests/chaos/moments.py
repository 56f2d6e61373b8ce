"""When to kill: random moments, spread over all that a job does in its life."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Cue", "Moment", "Moments"]

Cue: TypeAlias = Literal["results", "state"]
"""What the job is seen to write just before it is killed."""


@dataclass(frozen=True)
class Moment:
    """When to kill one life of the job, all in seconds.

    Attributes:
        after: How long after its start.
        cue: What to wait for then; None to kill it at once.
        delay: How long after the cue.
        rotating: Kill it so much after a rotation of its input, if one comes before; None to let that pass.
    """

    after: float
    cue: Cue | None
    delay: float
    rotating: float | None


class Moments:
    """Draws moments.

    A seventh while the job starts, more than half within milliseconds of a write to its state or its results, most
    others soon after the start. A few lives are so long that the job goes on to the next file of a rotated log, and end
    about then.

    Args:
        rng: The chance.
        start: How long the job takes until it writes its first results.
        rotates: Whether the input is rotated.
    """

    def __init__(self, rng: random.Random, start: float, *, rotates: bool) -> None:
        self._rng = rng
        self._start = start
        self._rotates = rotates

    def draw(self) -> Moment:
        """Return the moment for one life."""
        rng = self._rng
        rotating = rng.uniform(0, 0.1) if self._rotates and rng.random() < 0.75 else None
        kind = rng.random()
        if kind < 1 / 7:
            return Moment(rng.uniform(0, self._start), None, 0, rotating)
        if self._rotates and kind < 2 / 7:
            # A renamed file is left when it was quiet for 5 seconds.
            return Moment(self._start + rng.uniform(4.4, 6.5), None, 0, None)
        after = self._start * rng.uniform(0.6, 1.0) + rng.expovariate(1 / 0.4)
        cue = rng.choice(_CUES) if kind < 0.85 else None
        # Committing and publishing a batch take a few milliseconds only.
        return Moment(after, cue, rng.choice((0.0, rng.expovariate(1 / 0.003))), rotating)


_CUES: tuple[Cue, ...] = ("results", "state")
