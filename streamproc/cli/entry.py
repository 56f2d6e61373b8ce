"""The entry point of the streamproc command: its subcommands, and how their errors are shown."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from streamproc.cli.doctor import doctor
from streamproc.cli.new import new
from streamproc.cli.offsets import reset_offsets, show_offsets
from streamproc.cli.plan import plan
from streamproc.cli.run import run
from streamproc.cli.state import export_state, get_state, list_state
from streamproc.errors import StreamprocError

__all__ = ["cli", "main"]

# Without markup, help and errors are plain text wherever they go; and a traceback is Python's own.
cli = typer.Typer(
    name="streamproc",
    help="Run streaming applications, and look at their plans and their state.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
state = typer.Typer(help="Look at the state of an app that is stopped; nothing is changed.", no_args_is_help=True)

offsets = typer.Typer(
    help="Where an app that is stopped goes on in its sources; move it elsewhere.", no_args_is_help=True
)

cli.command()(run)
cli.command()(plan)
cli.command()(new)
cli.command()(doctor)
cli.add_typer(state, name="state")
state.command("ls")(list_state)
state.command("get")(get_state)
state.command("export")(export_state)
cli.add_typer(offsets, name="offsets")
offsets.command("show")(show_offsets)
offsets.command("reset")(reset_offsets)


def main() -> None:
    """Run the command with the arguments of this process.

    Raises:
        SystemExit: Always: with 0; with 1 after an error, whose message is on standard error; with 2 if the command
            was used wrongly.
    """
    try:
        cli()
    except StreamprocError as error:
        typer.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"streamproc {version('streamproc')}")
        raise typer.Exit


@cli.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Run streaming applications, and look at their plans and their state."""
