"""``streamproc state ls``: what state there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import typer

from streamproc.cli.state.directory import Directory, states_in
from streamproc.eventtime.clock import as_utc
from streamproc.state import StateInspection

__all__ = ["list_state"]


def list_state(directory: Directory) -> None:
    """List apps and shards, and what each of their operators has stored."""
    for number, path in enumerate(states_in(directory)):
        if number:
            typer.echo()
        with StateInspection.open(path) as state:
            for line in _described(path, state):
                typer.echo(line)


def _described(path: Path, state: StateInspection) -> Iterator[str]:
    ledger = state.ledger
    owner = ledger.identity
    yield f"{owner.app}, shard {owner.shard} of {owner.shards}: {path} ({_size(state.size_bytes())} on disk)"
    if ledger.time is None:
        yield "  no batch is committed yet"
        return
    waiting = len({row.batch_id for row in ledger.outbox()})
    yield f"  last batch  {ledger.batch_id} of {as_utc(ledger.time)}"
    if waiting:
        yield f"  outbox      {waiting} {'batch' if waiting == 1 else 'batches'} to be published on the next start"
    for source in ledger.sources:
        for partition, position in sorted(ledger.positions(source).items()):
            yield f"  position    {source}, partition {partition}: {position}"
    rows = [(row.operator, row.variable, f"{row.entries:,}", _size(row.bytes)) for row in state.sizes()] + [
        (operator, f"({kind or 'timers'})", f"{count:,}", "")
        for (operator, kind), count in sorted(state.timers().items())
    ]
    if rows:
        yield ""
        yield from _table(("operator", "variable", "entries", "size"), sorted(rows))


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield rows in columns: the names to the left, the numbers to the right."""
    names, numbers, size = zip(*[(len(a), len(b), len(c)) for a, b, c, _ in [head, *rows]], strict=True)
    for operator, variable, entries, stored in [head, *rows]:
        yield f"  {operator:<{max(names)}}  {variable:<{max(numbers)}}  {entries:>{max(size)}}  {stored:>10}".rstrip()


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
