"""``streamproc plan``: what an app will run."""

from __future__ import annotations

from typing import Annotated

import typer

from streamproc.cli.target import Target, load_app

__all__ = ["plan"]


def plan(
    target: Target,
    *,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="As a Mermaid flowchart, for documents.")] = False,
) -> None:
    """Show what an app will run: its stages, what is fused, what has state. Nothing is opened or written."""
    physical = load_app(target).plan()
    typer.echo(physical.mermaid() if mermaid else physical.explain())
