"""``streamproc run``: runs an app in this process."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from streamproc.cli.target import Target, load_app
from streamproc.errors import SettingsError
from streamproc.settings import parse_trigger

__all__ = ["run"]


def _trigger(text: str) -> str:
    """Return a trigger as it was written.

    Raises:
        typer.BadParameter: It is none.
    """
    try:
        parse_trigger(text)
    except SettingsError as error:
        raise typer.BadParameter(str(error)) from None
    return text


def run(
    target: Target,
    *,
    trigger: Annotated[
        str | None,
        typer.Option(metavar="500ms|asap|once", parser=_trigger, help="When micro-batches begin."),
    ] = None,
    state_dir: Annotated[str | None, typer.Option(metavar="DIR", help="Where state is kept.")] = None,
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help="The settings file, by default streamproc.toml.")
    ] = None,
    max_records: Annotated[
        int | None, typer.Option(min=1, help="Records of a batch from each source, at most.")
    ] = None,
    max_bytes: Annotated[int | None, typer.Option(min=1, help="Bytes of a batch from each source, at most.")] = None,
    max_in_flight: Annotated[
        int | None, typer.Option(min=1, help="Committed batches that may wait to be published, at most.")
    ] = None,
    cache_bytes: Annotated[int | None, typer.Option(min=0, help="Memory for decoded state.")] = None,
    stop_timeout: Annotated[
        str | None, typer.Option(metavar="30s", help="How long a graceful stop may take before the app is ended.")
    ] = None,
    shard: Annotated[int | None, typer.Option(min=0, help="Which shard of the job to run, from zero.")] = None,
    shards: Annotated[int | None, typer.Option(min=1, help="How many shards the job has.")] = None,
    log_format: Annotated[
        Literal["auto", "console", "json"] | None, typer.Option(help="auto: json unless the output is a terminal.")
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"] | None,
        typer.Option(case_sensitive=False, help="The least level that is logged."),
    ] = None,
) -> None:
    """Run an app until it ends or is told to: SIGTERM and SIGINT stop it behind the batch under way.

    The options override the environment (STREAMPROC_TRIGGER and so on), which overrides streamproc.toml and the code.
    """
    given: dict[str, object] = {
        "trigger": trigger,
        "state_dir": state_dir,
        "config": config,
        "max_records": max_records,
        "max_bytes": max_bytes,
        "max_in_flight": max_in_flight,
        "cache_bytes": cache_bytes,
        "stop_timeout": stop_timeout,
        "shard": shard,
        "shards": shards,
        "log_format": log_format,
        "log_level": log_level,
    }
    # An app reads its settings when it is made, which is when its module is imported: what is checked while a pipeline
    # is built depends on them.
    os.environ.update({f"STREAMPROC_{name.upper()}": str(value) for name, value in given.items() if value is not None})
    load_app(target).run()
