"""A program that commits to a store until it is killed: ``python -m tests.state.writer DIRECTORY SEED [BATCHES]``.

It prints the number of each batch once the batch is committed. With a number of batches it kills itself after them.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from streamproc.state import Changes, Family, RocksStore

CACHE_BYTES = 1 << 20
"""So little that the store writes sorted files, and starts new logs, all the time."""

Content = dict[Family, dict[bytes, bytes]]


def batches(seed: int) -> Iterator[Changes]:
    """Yield the batches that a seed stands for; each writes to several families, and its own number to META."""
    rng = random.Random(seed)
    for number in count(1):
        yield Changes(
            puts=[
                *((Family.STATE, b"%03d" % rng.randrange(500), rng.randbytes(500)) for _ in range(rng.randrange(8))),
                (Family.TIMERS, b"%08d" % number, b""),
                (Family.OUTBOX, b"%08d" % number, rng.randbytes(rng.choice((10, 20_000)))),
                (Family.META, b"batch", b"%d" % number),
            ],
            deletes=[(Family.STATE, b"%03d" % rng.randrange(500))],
            ranges=[(Family.OUTBOX, b"%08d" % (number - 9), b"%08d" % (number - 3))],
        )


def content_after(seed: int, number: int) -> Content:
    """Return what a store holds after so many batches, computed without one."""
    content: Content = {family: {} for family in Family}
    for _, changes in zip(range(number), batches(seed), strict=False):
        for family, start, end in changes.ranges:
            for key in [key for key in content[family] if start <= key < end]:
                del content[family][key]
        for family, key in changes.deletes:
            content[family].pop(key, None)
        for family, key, value in changes.puts:
            content[family][key] = value
    return content


def read(directory: Path) -> Content:
    """Return all that a store holds, read in two ways that have to agree."""
    store = RocksStore.open(directory, cache_bytes=CACHE_BYTES)
    try:
        scanned = {family: dict(store.scan(family)) for family in Family}
        for family, entries in scanned.items():
            keys = [*entries, *(b"%03d" % number for number in range(500))]
            got = dict(zip(keys, store.get_many(family, keys), strict=True))
            assert {key: value for key, value in got.items() if value is not None} == entries
        return scanned
    finally:
        store.close()


async def main(directory: str, seed: int, limit: int | None) -> None:
    store = RocksStore.open(directory, cache_bytes=CACHE_BYTES)
    (last,) = store.get_many(Family.META, [b"batch"])
    for number, changes in enumerate(batches(seed), start=1):
        if number > int(last or b"0"):
            await store.commit(changes)
            print(number, flush=True)
        if number == limit:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None))
