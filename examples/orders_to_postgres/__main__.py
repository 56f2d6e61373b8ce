"""The command line of the example: ``python -m examples.orders_to_postgres --help``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from examples.orders_to_postgres.pipeline import build
from streamproc import Interval, Settings


def main(
    url: Annotated[
        str, typer.Argument(envvar="DATABASE_URL", help="postgresql://user:password@host/database or sqlite:///path")
    ],
    rate: Annotated[float, typer.Option(help="Orders per second.")] = 100,
    limit: Annotated[int | None, typer.Option(help="End after so many orders.")] = None,
    state: Annotated[Path, typer.Option(help="Where to keep the state.")] = Path("out/orders"),
) -> None:
    """Write made-up orders and the revenue of each customer to a database."""
    settings = Settings(state_dir=str(state))
    build(url, rate=rate, limit=limit, trigger=Interval("500ms"), settings=settings).run()


if __name__ == "__main__":
    typer.run(main)
