"""A program that runs an app as a service: ``python -m tests.streams.service STATE_DIRECTORY [MODE]``.

It prints ``batch N`` for each batch that is published. Modes: ``fail`` raises in a user's function, ``wait``
awaits in one what never comes.
"""

from __future__ import annotations

import asyncio
import sys

from streamproc import App, BatchInfo, Interval, Settings
from streamproc.connectors.generator import GeneratorSource


def main(state_directory: str, mode: str = "") -> None:
    """Run the app until it is told to stop."""
    app = App("service", trigger=Interval("20ms"), settings=Settings(state_dir=state_directory, log_format="json"))

    def check(number: int) -> int:
        if mode == "fail" and number == 7:
            raise ValueError("seven")
        return number

    async def wait(number: int) -> int:
        if number == 7:
            print("waiting", flush=True)
            await asyncio.Event().wait()
        return number

    def show(numbers: list[tuple[str, int]], batch: BatchInfo) -> None:
        print(f"batch {batch.batch_id} {numbers[-1][1]}", flush=True)

    numbers = app.source(GeneratorSource(lambda number, _random: number, rate=1_000))
    checked = numbers.map(wait) if mode == "wait" else numbers.map(check, name="check")
    totals = checked.key_by(lambda _number: "all")
    totals.update_state_by_key(lambda new, total: (total or 0) + len(new)).foreach_batch(show)
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
