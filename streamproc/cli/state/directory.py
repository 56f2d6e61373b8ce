"""The directory that a ``state`` command is about: of one shard, of an app, or of several apps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from streamproc.state import find_states

__all__ = ["Directory", "Operator", "Variable", "one_state", "states_in"]

Directory: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        help="A shard's state directory, or one that holds some, such as .streamproc.",
        show_default=False,
    ),
]
"""The argument that says where state is."""

Operator: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="OPERATOR", help="The operator's name, as `streamproc state ls` shows it.", show_default=False
    ),
]
"""The argument that names an operator."""

Variable: TypeAlias = Annotated[
    str, typer.Option(help="Which of the operator's variables; of a KeyedProcess the attribute's name.")
]
"""The option that names a variable."""


def states_in(directory: Path) -> list[Path]:
    """Return the state directories in a directory, which may be one itself.

    Raises:
        typer.BadParameter: There are none.
    """
    found = find_states(directory)
    if not found:
        problem = "holds no state of an app" if directory.exists() else "does not exist"
        raise typer.BadParameter(
            f"{directory} {problem}: expected the --state-dir of an app, by default .streamproc", param_hint="DIR"
        )
    return found


def one_state(directory: Path) -> Path:
    """Return the only state directory in a directory.

    Raises:
        typer.BadParameter: There are none or several.
    """
    found = states_in(directory)
    if len(found) > 1:
        raise typer.BadParameter(
            f"{directory} holds the state of several shards, expected that of one: {', '.join(map(str, found))}",
            param_hint="DIR",
        )
    return found[0]
