"""A job from Kafka to Kafka that kills itself at a step; arguments: BROKERS IN OUT STATE STEP TIME."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

from streamproc import App, Once, Settings
from streamproc.connectors.kafka import KafkaSink, KafkaSource
from streamproc.state.rocksdb import RocksStore


def numbered(_key: int, number: int, before: int | None) -> tuple[str, int]:
    # Random on purpose: exactly-once must not depend on what functions return.
    count = (before or 0) + 1
    return f"{number} {count} {random.random()}", count


def last_digit(number: int) -> int:
    return number % 10


async def main(brokers: str, topic_in: str, topic_out: str, state: str, kill_at: str, time: int) -> None:
    kafka = {"bootstrap.servers": brokers}
    app = App(topic_out, trigger=Once(), settings=Settings(state_dir=state, max_records=40))
    (
        app.source(KafkaSource(topic_in, value=str, kafka=kafka))
        .map(int)
        .key_by(last_digit)
        .map_with_state(numbered)
        .to(KafkaSink(topic_out, kafka=kafka))
    )
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
    brokers, topic_in, topic_out, state, kill_at, time = sys.argv[1:]
    asyncio.run(main(brokers, topic_in, topic_out, state, kill_at, int(time)))
