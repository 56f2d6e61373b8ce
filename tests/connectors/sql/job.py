"""A job from a file to a database that kills itself at a step; arguments: URL SCHEMA KEY FILE STATE STEP TIME."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

from streamproc import App, Once, Record, Settings
from streamproc.connectors.files import FileSource, Text
from streamproc.connectors.sql import SqlSink
from streamproc.state.rocksdb import RocksStore


class Counted(Record):
    digit: int
    number: int
    count: int
    chance: float


def counted(digit: int, number: int, before: int | None) -> tuple[Counted, int]:
    # Random on purpose: exactly-once must not depend on what functions return.
    count = (before or 0) + 1
    return Counted(digit, number, count, random.random()), count


def last_digit(number: int) -> int:
    return number % 10


async def main(url: str, schema: str, key: str, path: str, state: str, kill_at: str, time: int) -> None:
    app = App("kills", trigger=Once(), settings=Settings(state_dir=state, max_records=40))
    sink = SqlSink[Any](url, "counted", schema=schema or None, key=key or (), create=Counted, row=lambda pair: pair[1])
    (
        app.source(FileSource(path, Text()))
        .map(int)
        .key_by(last_digit)
        .map_with_state(counted)
        .to(sink)
    )  # fmt: skip
    reached = 0

    def step(name: str, /) -> None:
        nonlocal reached
        if name == kill_at:
            reached += 1
            if reached == time:
                os.kill(os.getpid(), signal.SIGKILL)

    store = RocksStore.open(Path(state) / "store")
    try:
        await app.run_shard(app.make_shard(store, where=state, step=step))
    finally:
        store.close()


if __name__ == "__main__":
    *arguments, time = sys.argv[1:]
    url, schema, key, path, state, kill_at = arguments
    asyncio.run(main(url, schema, key, path, state, kill_at, int(time)))
