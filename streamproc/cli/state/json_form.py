"""State as JSON: for people and for other programs, not to be read back.

Numbers, text, booleans, None, lists and dicts with text keys are what they are. Tuples and sets become arrays, objects
of all kinds the dict of their fields, other dicts arrays of ``[key, value]``. Dates and times are ISO 8601, lengths of
time ISO 8601 durations, Decimals and UUIDs text, bytes base64; NaN and infinities, which JSON lacks, null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from streamproc.values import PlainObject

__all__ = ["to_json"]


def to_json(value: object, *, indent: bool = False) -> str:
    """Return a value as JSON, over several lines if ``indent``."""
    text = msgspec.json.encode(_plain(value))
    return (msgspec.json.format(text, indent=2) if indent else text).decode()


def _plain(value: Any) -> object:
    """Return a value of types that msgspec writes as the module says."""
    convert = _CONVERSIONS.get(value.__class__)
    return value if convert is None else convert(value)


def _dict(value: dict[Any, Any]) -> object:
    if all(type(key) is str for key in value):
        return {key: _plain(item) for key, item in value.items()}
    return [(_plain(key), _plain(item)) for key, item in value.items()]


def _list(value: Iterable[Any]) -> list[object]:
    return list(map(_plain, value))


def _set(value: Iterable[Any]) -> list[object]:
    # The order of a set differs from process to process; the output must not.
    return sorted(map(_plain, value), key=msgspec.json.encode)


_CONVERSIONS: Final[dict[type, Callable[[Any], object]]] = {
    PlainObject: lambda value: _plain(value.fields),
    dict: _dict,
    list: _list,
    tuple: _list,
    set: _set,
    frozenset: _set,
}
