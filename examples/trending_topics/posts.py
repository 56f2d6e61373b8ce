"""Made-up posts whose topics come and go, in files of ten minutes each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from math import exp
from pathlib import Path
from random import Random

import msgspec

from examples.trending_topics.pipeline import Post

__all__ = ["START", "made_up_posts", "write_posts"]

START = round(datetime(2026, 3, 2, 18, tzinfo=UTC).timestamp() * 1000)
"""The time of the first posts."""

_FILE_MINUTES = 10
_LATEST_S = 25
_TRENDS = {
    # Posts a minute: always, at the peak, and when and for how long that is, in minutes from the start.
    "weather": (8.0, 0.0, 0.0, 1.0),
    "music": (6.0, 5.0, 110.0, 12.0),
    "python": (5.0, 18.0, 20.0, 12.0),
    "football": (4.0, 40.0, 55.0, 18.0),
    "goal": (0.2, 45.0, 62.0, 3.0),
    "news": (5.0, 3.0, 60.0, 40.0),
    "election": (1.0, 60.0, 95.0, 10.0),
}
_USERS = ("ann", "bob", "cleo", "dan", "eve", "fay")
_TEXTS = ("Did you see this? #{}", "I can't believe it. #{}", "#{} at last!", "Once more #{}, as ever")


def made_up_posts(minutes: int, seed: int = 1) -> Iterator[Post]:
    """Yield the posts of so many minutes, in the order in which they were delivered; the same for the same seed."""
    random = Random(seed)
    posts: list[tuple[int, Post]] = []
    for minute in range(minutes):
        for tag, (always, peak, when, width) in _TRENDS.items():
            expected = always + peak * exp(-(((minute - when) / width) ** 2))
            for _ in range(round(random.gauss(expected, expected**0.5))):
                at = START + 60_000 * minute + random.randrange(60_000)
                text = random.choice(_TEXTS).format(random.choice((tag, tag.capitalize())))
                if random.random() < 0.2:
                    text += f" #{random.choice(list(_TRENDS))}"
                # Most are there at once, some are on their way for a while.
                delay = int(1000 * _LATEST_S * random.random() ** 8)
                posts.append((at + delay, Post(at, random.choice(_USERS), text)))
    posts.sort(key=lambda delivered: delivered[0])
    yield from (post for _, post in posts)


def write_posts(directory: Path, minutes: int, seed: int = 1) -> None:
    """Write them to NDJSON files, each under another name until it is complete: the same at each start."""
    directory.mkdir(parents=True, exist_ok=True)
    files: dict[int, list[Post]] = {}
    for post in made_up_posts(minutes, seed):
        files.setdefault((post.at - START) // (_FILE_MINUTES * 60_000), []).append(post)
    for number, posts in files.items():
        hidden = directory / f".posts-{number:03d}"
        hidden.write_bytes(msgspec.json.Encoder().encode_lines(posts))
        hidden.replace(directory / f"posts-{number:03d}.ndjson")
