"""`Traffic`: simulated events of ads, the same for the same seed, some of them late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from examples.ad_counts.pipeline import AdEvent

__all__ = ["Traffic"]

_ADS = [f"ad-{number:02d}" for number in range(1, 21)]
_POPULARITY = [1 / rank for rank in range(1, len(_ADS) + 1)]
_TYPES = ["view", "click", "purchase"]
_SHARES = [80, 17, 3]
_LATE_SHARE = 0.1
_LATEST_MS = 4_000


@dataclass(frozen=True)
class Traffic:
    """Events at a steady rate.

    Attributes:
        seed: Chooses the events.
        rate: How many a second.
        seconds: For how long.
        start: The time of the first, in epoch milliseconds.
    """

    seed: int
    rate: float
    seconds: float
    start: int

    def __len__(self) -> int:
        return round(self.rate * self.seconds)

    def events(self) -> Iterator[tuple[int, AdEvent]]:
        """Yield when each event is due to be sent, in epoch milliseconds, and the event.

        One in ten is sent late, by up to 4 seconds.
        """
        random = Random(self.seed)
        for number in range(len(self)):
            due = self.start + int(1_000 * number / self.rate)
            delay = random.randrange(_LATEST_MS) if random.random() < _LATE_SHARE else 0
            [ad], [kind] = random.choices(_ADS, _POPULARITY), random.choices(_TYPES, _SHARES)
            yield due, AdEvent(ad, kind, due - delay)
