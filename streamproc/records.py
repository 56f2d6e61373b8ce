"""`Record`: the base of typed records."""

from __future__ import annotations

from typing import dataclass_transform

import msgspec

__all__ = ["Record"]


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class RecordType(msgspec.StructMeta):
    """The class of record classes: tells type checkers that a `Record`'s subclasses are frozen as it is."""


class Record(msgspec.Struct, metaclass=RecordType, frozen=True, gc=False):
    """A typed record: fields by annotation, decoded and checked in C.

    Subclass it as one would a dataclass. Records are immutable, because a batch may pass the same object to several
    operators; `msgspec.structs.replace` makes a changed copy. The cyclic garbage collector does not track them
    (``gc=False``), so a record must not refer to itself.

    Example:
        >>> class Click(Record):
        ...     user: str
        ...     at: int = 0
        >>> Click("ann")
        Click(user='ann', at=0)
    """
