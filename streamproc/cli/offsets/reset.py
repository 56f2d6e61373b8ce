"""``streamproc offsets reset``: has an app that is stopped go on elsewhere in a source."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Annotated

import typer

from streamproc.app import App
from streamproc.cli.offsets.goal import Goal, parse_goal, positions_of
from streamproc.cli.offsets.sources import Shard, Shards, StateDir, app_of, finding
from streamproc.cli.offsets.table import show_table
from streamproc.cli.target import Target
from streamproc.dataflow.nodes import Read
from streamproc.errors import SourceError, StateError
from streamproc.io.source import Extent, Position
from streamproc.state import Changes, Identity, Ledger, RocksStore, StateStore, find_states

__all__ = ["reset_offsets"]

_MEANING = """\
Only the position moves; the app's state, and what it has written, stay as they are. Records that are read again are
processed again on top of that state; records that are passed over are never processed. Where event time has closed
windows already, records of these windows are late."""


def reset_offsets(
    target: Target,
    *,
    to: Annotated[
        str,
        typer.Option(
            metavar="WHERE",
            help="earliest, latest, the first record of a time such as 2026-01-01T00:00:00Z, or an offset.",
            show_default=False,
        ),
    ],
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="The source; not needed where the app has only one.")
    ] = None,
    partition: Annotated[
        list[str] | None,
        typer.Option(metavar="P", help="Only this partition: its name or its number. May be given several times."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    state_dir: StateDir = None,
    shard: Shard = None,
    shards: Shards = None,
) -> None:
    """Have an app that is stopped go on elsewhere in a source: read records again, or pass over some."""
    goal = parse_goal(to)
    app = app_of(target, state_dir, shard, shards)
    node = _source(app, source)
    if app.state_path not in find_states(app.state_path):
        raise StateError(
            f"app {app.name!r} has no state in {app.state_path}, so it has read nothing yet: where it begins is said "
            f"by its source, as in KafkaSource(start=…)"
        )
    # Open from here on: an app that was started meanwhile could not be moved.
    with closing(RocksStore.open(app.state_path)) as store:
        settings = app.settings
        ledger = Ledger.open(store, Identity(app.name, settings.shard, settings.shards))
        _check_movable(ledger, node.name)
        asyncio.run(_reset(app, node, goal, partition or [], store, ledger, yes=yes, dry_run=dry_run))


def _source(app: App, name: str | None) -> Read:
    """Return a source by its name, or the only one."""
    nodes = {node.name: node for node in app.plan().sources}
    if name is None and len(nodes) == 1:
        return next(iter(nodes.values()))
    if name not in nodes:
        what = "the app has several sources" if name is None else f"there is no source {name!r}"
        raise typer.BadParameter(f"{what}: expected {' or '.join(nodes)}", param_hint="--source")
    return nodes[name]


def _check_movable(ledger: Ledger, source: str) -> None:
    waiting = {row.batch_id for row in ledger.outbox()}
    if waiting:
        raise StateError(
            f"{len(waiting)} {'batch waits' if len(waiting) == 1 else 'batches wait'} in the outbox to be published, "
            f"since the app was not stopped gracefully: run it once more (streamproc run … --trigger once), then reset"
        )
    if not ledger.positions(source):
        raise StateError(
            f"the app has read nothing of source {source!r} yet: where it begins is said by the source, as in "
            f"KafkaSource(start=…)"
        )


async def _reset(
    app: App,
    node: Read,
    goal: Goal,
    partitions: Sequence[str],
    store: StateStore,
    ledger: Ledger,
    *,
    yes: bool,
    dry_run: bool,
) -> None:
    async with finding(app, node) as finder:
        if finder is None:
            raise SourceError(
                f"source {node.name!r} can't be moved: a {type(node.source).__name__} does not find its records by "
                f"time or offset"
            )
        extents = _selected(await finder.extents(), partitions)
        committed = ledger.positions(node.name)
        goals = await positions_of(goal, finder, extents)
        moves: dict[str, Position | None] = {
            name: position for name, position in goals.items() if committed.get(name) != position
        }
        # Those who move some partitions only, leave the others where they were, whatever they are now.
        now: Mapping[str, Position] = {} if partitions else await finder.identities()
        identities = {name: identity for name, identity in now.items() if committed.get(name) != identity}
        # What was made anew may have fewer partitions, and the app would look for those it has offsets of.
        moves |= {name: None for name in committed if _parent(name) in identities and name not in extents}
        if not (moves or identities):
            typer.echo(f"{node.name} is there already: nothing to do.")
            return
        _show(node.name, committed, moves)
        if dry_run:
            return
        if not yes:
            typer.confirm(f"Move {node.name}?", abort=True)
        changes = Changes()
        ledger.move(changes, node.name, {**moves, **identities})
        await store.commit(changes)
        typer.echo(f"{node.name} has moved.")
        try:
            await finder.moved({name: position for name, position in moves.items() if position is not None})
        except SourceError as error:
            typer.echo(f"Warning: {error}. Who watches sees them with the next batch.", err=True)


def _selected(extents: Mapping[str, Extent], wanted: Sequence[str]) -> dict[str, Extent]:
    """Return the partitions that are named, by their whole names or their numbers; all if none is."""
    selected: dict[str, Extent] = {}
    for name in wanted:
        found = [partition for partition in extents if name in (partition, partition.rpartition("/")[2])]
        if len(found) != 1:
            what = f"several partitions have the number {name}" if found else f"there is no partition {name!r}"
            raise typer.BadParameter(f"{what}: expected {', '.join(found or extents)}", param_hint="--partition")
        selected[found[0]] = extents[found[0]]
    return selected or dict(extents)


def _parent(partition: str) -> str:
    """Return what a partition is one of, such as its topic."""
    return partition.rpartition("/")[0]


def _show(source: str, committed: Mapping[str, Position], moves: Mapping[str, Position | None]) -> None:
    show_table(
        ("source", "partition", "from", "to", ""),
        [
            (
                source,
                partition,
                str(committed.get(partition, "-")),
                "-" if to is None else str(to),
                _distance(committed.get(partition), to),
            )
            for partition, to in moves.items()
        ],
        names=2,
    )
    typer.echo(f"\n{_MEANING}\n")


def _distance(before: Position | None, after: Position | None) -> str:
    """Return what a move means for records; offsets may have gaps, so it is an upper bound."""
    if after is None:
        return "gone, and forgotten"
    if not (isinstance(before, int) and isinstance(after, int)):
        return ""
    return f"up to {before - after} again" if after < before else f"up to {after - before} passed over"
