"""Settings: what an operator may change without touching the code of an app.

They are looked up in this order, the first that has one wins: the options of the command ``streamproc run``,
environment variables ``STREAMPROC_*``, a TOML file (``STREAMPROC_CONFIG``, or ``streamproc.toml`` in the working
directory), what the code says, the defaults.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_type_hints

import msgspec

from streamproc.durations import to_ms
from streamproc.errors import PipelineError, SettingsError
from streamproc.triggers import Asap, Interval, Once, Trigger

__all__ = ["Settings", "load_settings", "parse_trigger"]

PREFIX = "STREAMPROC_"
_ELSEWHERE = {"STREAMPROC_CONFIG"}
"""Variables with the prefix that are no settings."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of an app; each is also an environment variable and a key of the TOML file.

    Attributes:
        trigger: When batches begin: ``"asap"``, ``"once"``, or the interval, such as ``"500ms"``.
        state_dir: Where state is kept: a directory below it for each app and shard.
        max_records: How many records a batch takes from each source at most.
        max_bytes: How many bytes of input a batch takes from each source at most.
        max_in_flight: How many committed batches may wait to be published before processing waits.
        cache_bytes: How much memory decoded state may take.
        stop_timeout: How long a graceful stop may take; then the app ends with an error, and nothing is lost.
        shard: Which shard of the job this process runs, from zero.
        shards: How many shards the job has.
        log_format: ``"json"``, ``"console"``, or ``"auto"``: JSON unless the output is a terminal.
        log_level: The least level that is logged.
    """

    trigger: str = "500ms"
    state_dir: str = ".streamproc"
    max_records: int = 100_000
    max_bytes: int = 64 * 1024 * 1024
    max_in_flight: int = 1
    cache_bytes: int = 64 * 1024 * 1024
    stop_timeout: str = "30s"
    shard: int = 0
    shards: int = 1
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: str = "INFO"

    def __post_init__(self) -> None:
        parse_trigger(self.trigger)
        try:
            to_ms(self.stop_timeout, what="stop_timeout")
        except PipelineError as error:
            raise SettingsError(str(error)) from None
        for name in ("max_records", "max_bytes", "max_in_flight", "shards"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}: expected at least 1")
        if self.cache_bytes < 0:
            raise SettingsError(f"cache_bytes is {self.cache_bytes}: expected zero or more")
        if not 0 <= self.shard < self.shards:
            raise SettingsError(f"shard is {self.shard} of {self.shards}: expected 0 to {self.shards - 1}")


def parse_trigger(text: str) -> Trigger:
    """Return the trigger that a setting names.

    Raises:
        SettingsError: It names none.
    """
    match text.strip().lower():
        case "asap":
            return Asap()
        case "once":
            return Once()
        case _:
            try:
                return Interval(text)
            except PipelineError as error:
                raise SettingsError(f'trigger is {text!r}: expected "asap", "once" or an interval: {error}') from None


def load_settings(code: Settings, environment: Mapping[str, str], directory: Path) -> Settings:
    """Return settings with what the environment and the file say put over those of the code.

    Args:
        code: The settings that the app was made with.
        environment: The environment variables; those with the prefix ``STREAMPROC_`` are settings.
        directory: Where ``streamproc.toml`` is looked for.

    Raises:
        SettingsError: A setting is unknown (the message suggests one) or has a wrong value.
    """
    merged: dict[str, Any] = msgspec.structs.asdict(code)
    named = environment.get("STREAMPROC_CONFIG")
    file = Path(named) if named else directory / "streamproc.toml"
    if named or file.exists():
        merged.update(_checked(_read(file), str(file)))
    found = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name not in _ELSEWHERE and not name.startswith(f"{PREFIX}TEST_")
    }
    merged.update(_checked(found, "the environment"))
    return Settings(**merged)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"the settings file {file} can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {file} is no TOML: {error}") from None


def _checked(found: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return what one place says, each of its type, or raise a `SettingsError` that names the place.

    How settings fit together is seen only when all places are merged.
    """
    types = get_type_hints(Settings)
    checked: dict[str, Any] = {}
    for name, value in found.items():
        if name not in types:
            close = difflib.get_close_matches(name, types, n=1)
            hint = f": did you mean {close[0]!r}?" if close else f": expected one of {', '.join(types)}"
            raise SettingsError(f"unknown setting {name!r} in {where}{hint}")
        try:
            checked[name] = msgspec.convert(value, types[name], strict=False)
        except msgspec.ValidationError as error:
            raise SettingsError(f"{name} in {where} is {value!r}: {error}") from None
    return checked
