"""Rows in columns, on a terminal or anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

__all__ = ["show_table"]

_WIDE = 10_000
"""Where nobody looks at it on a screen, a line is as long as it has to be."""


def show_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, names: int) -> None:
    """Write a table to standard output.

    Args:
        head: The columns' names.
        rows: Their cells.
        names: How many of the first columns are names; the others are numbers, to the right.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(head):
        table.add_column(column, justify="left" if number < names else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    terminal = sys.stdout.isatty()
    Console(width=None if terminal else _WIDE, markup=False, highlight=False).print(table)
