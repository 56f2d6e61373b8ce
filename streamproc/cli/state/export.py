"""``streamproc state export``: all state as text, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TextIO

import typer

from streamproc.cli.state.directory import Directory, states_in
from streamproc.cli.state.json_form import to_json
from streamproc.state import StateInspection

__all__ = ["export_state"]


def export_state(
    directory: Directory,
    *,
    operator: Annotated[str | None, typer.Option(help="Only the state of this operator.")] = None,
    format: Annotated[Literal["ndjson"], typer.Option(help="A JSON object a line.")] = "ndjson",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file, by default to the output.")
    ] = None,
) -> None:
    """Write all state as JSON, an entry a line: app, shard, operator, variable, key and value."""
    places = states_in(directory)
    if output is None:
        _write(places, operator, typer.get_text_stream("stdout"))
        return
    try:
        with output.open("w", encoding="utf-8") as file:
            _write(places, operator, file)
    except OSError as error:
        typer.echo(f"Error: {output} can't be written: {error.strerror}", err=True)
        raise typer.Exit(1) from None


def _write(places: list[Path], operator: str | None, to: TextIO) -> None:
    for place in places:
        with StateInspection.open(place) as state:
            owner = state.ledger.identity
            for entry in state.entries(operator):
                line = {
                    "app": owner.app,
                    "shard": owner.shard,
                    "operator": entry.operator,
                    "variable": entry.variable,
                    "key": entry.key,
                    "value": entry.value,
                }
                to.write(to_json(line) + "\n")
