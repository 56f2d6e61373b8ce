"""Objects without their classes: what `decode_plain` makes of them, for programs that don't have the user's code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamproc.values.shapes import described_by

__all__ = ["PlainObject", "plain_maker_of"]


@dataclass(frozen=True, eq=False, slots=True)
class PlainObject:
    """An object as it was written; its class was not looked up.

    Attributes:
        class_name: The class, as ``module:qualified.name``.
        fields: The values of its fields. A member of an Enum has one, ``name``, one of a Flag ``value``, an
            `Opaque` ``bytes``.
    """

    class_name: str
    fields: dict[str, Any]


def plain_maker_of(header: bytes) -> Callable[..., PlainObject]:
    """Return what makes a plain object from the values of the fields that a header names, in that order."""
    class_name, fields = described_by(header)
    return lambda *values: PlainObject(class_name, dict(zip(fields, values, strict=True)))
