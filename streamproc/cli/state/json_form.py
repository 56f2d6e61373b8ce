"""State as JSON: for people and for other programs, not to be read back.

Numbers, text, booleans, None, lists and dicts with text keys are what they are. Tuples and sets become arrays, objects
the dict of their fields, members of Enums their name; other dicts become arrays of ``[key, value]``. Dates and times
are ISO 8601, lengths of time ISO 8601 durations, Decimals and UUIDs text, bytes base64.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streamproc.values import PlainObject

__all__ = ["to_json"]


def to_json(value: object, *, indent: bool = False) -> str:
    """Return a value as JSON, over several lines if ``indent``."""
    text = msgspec.json.encode(_plain(value), order="deterministic")
    return (msgspec.json.format(text, indent=2) if indent else text).decode()


def _plain(value: Any) -> object:
    """Return a value of types that msgspec writes as the module says."""
    match value:
        case PlainObject():
            return _plain(value.fields)
        case dict():
            if all(type(key) is str for key in value):  # pyright: ignore[reportUnknownVariableType]
                return {key: _plain(item) for key, item in value.items()}
            return [[_plain(key), _plain(item)] for key, item in value.items()]
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value
