"""``streamproc state get``: the state of one key."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from streamproc.cli.state.directory import Directory, Operator, Variable, one_state
from streamproc.cli.state.json_form import to_json
from streamproc.state import StateInspection

__all__ = ["get_state"]


def get_state(
    directory: Directory,
    operator: Operator,
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            help="The key: JSON, an array for a tuple; what is no JSON is text. Text that looks like JSON needs quotes "
            "of its own: '\"42\"'.",
            show_default=False,
        ),
    ],
    *,
    variable: Variable = "state",
) -> None:
    """Show the state of one key as JSON.

    Where there are several entries under the key, as in the lists and maps of a KeyedProcess, they are shown as an
    array of [number or map key, value].
    """
    place = one_state(directory)
    wanted = _key(key)
    with StateInspection.open(place) as state:
        entry = state.entry(operator, variable, wanted)
        if entry is not None:
            typer.echo(to_json(entry.value, indent=True))
            return
        below = list(state.entries_below(operator, variable, wanted))
        if not below:
            typer.echo(f"Error: {_nothing(state, operator, variable, wanted)}", err=True)
            raise typer.Exit(1)
        rows = [(*entry.key[1:], entry.value) for entry in below if len(entry.key) > 1]
        typer.echo(to_json(rows, indent=True))


def _key(text: str) -> Any:
    """Return the key that the user means.

    Raises:
        typer.BadParameter: It is a JSON object.
    """
    try:
        key = _as_key(msgspec.json.decode(text))
    except msgspec.DecodeError:
        return text
    if isinstance(key, dict):
        raise typer.BadParameter("a JSON object can't be a key: expected a scalar or an array", param_hint="KEY")
    return key


def _as_key(value: Any) -> Any:
    return tuple(map(_as_key, value)) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _nothing(state: StateInspection, operator: str, variable: str, key: Any) -> str:
    """Return why there is nothing: the message says what there is instead."""
    variables = {(row.operator, row.variable) for row in state.sizes()}
    if (operator, variable) in variables:
        other = str(key) if isinstance(key, int | float) else None
        if other is not None and state.entry(operator, variable, other) is not None:
            return f"{operator} has no key {key!r} of type {type(key).__name__}, but it has text: '\"{other}\"'"
        return f"{operator} has nothing under the key {key!r} of type {type(key).__name__}"
    if of_operator := sorted(name for owner, name in variables if owner == operator):
        return f"{operator} has no variable {variable!r}: expected --variable {' or '.join(of_operator)}"
    operators = sorted({owner for owner, _ in variables})
    return f"no operator {operator!r} has state here; those that have: {', '.join(operators) or 'none'}"
