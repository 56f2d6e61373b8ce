"""``streamproc offsets show``: where an app goes on in its sources, and how far behind their ends that is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated

import typer

from streamproc.app import App
from streamproc.cli.offsets.sources import PartitionRow, Shard, Shards, StateDir, app_of, finding, rows_of
from streamproc.cli.offsets.table import show_table
from streamproc.cli.state.json_form import to_json
from streamproc.cli.target import Target
from streamproc.io.source import Extent, Position
from streamproc.state import StateInspection, find_states

__all__ = ["show_offsets"]


def show_offsets(
    target: Target,
    *,
    json: Annotated[bool, typer.Option("--json", help="As a JSON array, for programs.")] = False,
    state_dir: StateDir = None,
    shard: Shard = None,
    shards: Shards = None,
) -> None:
    """Show where an app that is stopped goes on in its sources, what they hold, and the lag. Nothing is changed."""
    app = app_of(target, state_dir, shard, shards)
    rows = asyncio.run(_rows(app, _committed(app)))
    if json:
        typer.echo(to_json([_plain(row) for row in rows], indent=True))
        return
    show_table(
        ("source", "partition", "position", "start", "end", "lag"),
        [
            (
                row.source,
                row.partition,
                _text(row.position),
                _text(row.start),
                _text(row.end),
                _text(row.lag),
            )
            for row in rows
        ],
        names=2,
    )


def _committed(app: App) -> dict[str, dict[str, Position]]:
    """Return the committed positions by source; none if the app has never run."""
    if app.state_path not in find_states(app.state_path):
        return {}
    with StateInspection.open(app.state_path) as state:
        return {source: state.ledger.positions(source) for source in state.ledger.sources}


async def _rows(app: App, committed: dict[str, dict[str, Position]]) -> list[PartitionRow]:
    rows: list[PartitionRow] = []
    for node in app.plan().sources:
        async with finding(app, node) as finder:
            extents: Mapping[str, Extent] = {} if finder is None else await finder.extents()
        rows += rows_of(node.name, committed.get(node.name, {}), extents)
    return rows


def _plain(row: PartitionRow) -> dict[str, object]:
    return {
        "source": row.source,
        "partition": row.partition,
        "position": row.position,
        "start": row.start,
        "end": row.end,
        "lag": row.lag,
    }


def _text(value: Position | None) -> str:
    return "-" if value is None else str(value)
