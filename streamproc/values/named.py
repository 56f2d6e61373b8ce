"""`NamedValues`: objects whose fields are named while a pipeline is built.

Each set of names has a class of its own, made at its first use, so that objects are as small, and as quick to write, as
those of a class that somebody wrote. It can't be looked up by a name, as nobody has put it into a module: so what is
written is the class that it was derived from, which is in one, and the names; whoever reads them makes the class again.
"""

from __future__ import annotations

import keyword
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

__all__ = ["NamedValues", "class_with", "origin_of"]


class NamedValues(msgspec.Struct, frozen=True, gc=False):
    """The base of classes from which `class_with` derives those that have fields."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


T = TypeVar("T", bound=NamedValues)

_origins: dict[type, type] = {}


@cache
def class_with(origin: type[T], names: tuple[str, ...]) -> type[T]:
    """Return the class with fields of some names, in that order: the same one at each call.

    Raises:
        ValueError: A name can't be that of a field.
    """
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise ValueError(f"{name!r} can't be the name of a field")
    made: Any = msgspec.defstruct(
        origin.__name__,
        [(name, Any) for name in names],
        bases=(origin,),
        module=origin.__module__,
        frozen=True,
        gc=False,
    )
    _origins[made] = origin
    return cast("type[T]", made)


def origin_of(kind: type) -> type:
    """Return the class that stands in a module for another: the one that it was derived from, or itself."""
    return _origins.get(kind, kind)
