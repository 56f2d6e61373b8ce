"""Where a source is to go on: what ``--to`` says, and which position that is in each partition."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias

import typer

from streamproc.io.source import Extent, Position, PositionFinder

__all__ = ["Goal", "parse_goal", "positions_of"]

Goal: TypeAlias = "Literal['earliest', 'latest'] | datetime | int"
"""The oldest record, the next one to come, the first of a time or later, or an offset."""


def parse_goal(text: str) -> Goal:
    """Return the goal that a text names.

    Raises:
        typer.BadParameter: It names none.
    """
    match text.lower():
        case "earliest" | "latest" as end:
            return end
        case number if number.isdecimal():
            return int(number)
        case _:
            pass
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r}: expected earliest, latest, a time such as 2026-01-01T00:00:00Z, or an offset"
        ) from None
    if time.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no time zone: expected Z or an offset at its end, as in {text}Z")
    return time


async def positions_of(goal: Goal, finder: PositionFinder, extents: Mapping[str, Extent]) -> dict[str, Position]:
    """Return the position of a goal in each of some partitions.

    Args:
        goal: The goal.
        finder: Of the source.
        extents: The partitions, and what each holds.

    Raises:
        typer.BadParameter: A partition has no such position.
        SourceError: The source can't be asked.
    """
    match goal:
        case "earliest":
            return {partition: extent.start for partition, extent in extents.items()}
        case "latest":
            return {partition: extent.end for partition, extent in extents.items()}
        case datetime():
            return dict(await finder.at(round(goal.timestamp() * 1000), list(extents)))
        case int():
            return {partition: _within(goal, partition, extent) for partition, extent in extents.items()}


def _within(offset: int, partition: str, extent: Extent) -> int:
    if not (isinstance(extent.start, int) and isinstance(extent.end, int)):
        raise typer.BadParameter(f"the positions of {partition} are no offsets: expected earliest, latest or a time")
    if not extent.start <= offset <= extent.end:
        raise typer.BadParameter(
            f"{offset} is not in {partition}, which holds {extent.start} to {extent.end}: name the partitions that it "
            f"is for by --partition"
        )
    return offset
