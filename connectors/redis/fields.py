"""How a row becomes what Redis has: names of keys, and fields with text or bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from streamproc.errors import EncodeError

from .command import Text

__all__ = ["fields_of", "key_text", "look_up"]

_OWN = frozenset({"_producer", "_batch", "_seq", "_key"})
"""Names of fields that the sinks add."""


def fields_of(value: Any) -> list[Text]:
    """Return names and values, in turn, of a record's or mapping's fields; of anything else, one field ``value``.

    Text and bytes stay as they are, and what JSON writes as text (dates, UUIDs, members of enums) is that text. All
    else is JSON: ``3``, ``true``, ``null``, ``[1,2]``.

    Raises:
        EncodeError: A field has a name that the sinks use themselves.
    """
    if _is_named_tuple(value):
        value = value._asdict()
    plain: Any = msgspec.to_builtins(value, builtin_types=(bytes,), str_keys=True)
    if not isinstance(plain, dict):
        return ["value", _text(plain)]
    fields = cast("dict[str, Any]", plain)
    if own := _OWN & fields.keys():
        raise EncodeError(f"the row has a field {min(own)!r}, a name that sinks to Redis use themselves: rename it")
    return [text for name, field in fields.items() for text in (name, _text(field))]


def _is_named_tuple(value: object) -> bool:
    return isinstance(value, tuple) and hasattr(type(value), "_fields")  # pyright: ignore[reportUnknownArgumentType]


def _text(value: Any) -> Text:
    return value if isinstance(value, str | bytes) else msgspec.json.encode(value)


def look_up(value: Any, name: str) -> object:
    """Return a field of a record or mapping.

    Raises:
        EncodeError: It has no such field.
    """
    try:
        if isinstance(value, Mapping):
            return cast("Mapping[str, object]", value)[name]
        return getattr(value, name)
    except (KeyError, AttributeError):
        raise EncodeError(f"key={name!r}: the row has no field of this name: {value!r:.200}") from None


def key_text(key: object) -> Text:
    """Return what stands for a key in the name of a Redis key.

    Raises:
        EncodeError: It has no spelling that is sure to be the same everywhere.
    """
    if isinstance(key, str | bytes):
        return key
    if type(key) is int:
        return str(key)
    raise EncodeError(
        f"the key {key!r:.80} is of type {type(key).__qualname__}: expected text, bytes or an int; "
        'make one of it with key=, such as key=lambda row: f"{row[0]}"'
    )
