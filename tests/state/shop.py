"""Classes whose objects the tests write: a class must be at the top of a module to be found again."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, Flag, IntEnum, StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from streamproc import Record

T = TypeVar("T")


class Click(Record):
    user: str
    at: int = 0
    weight: float = 1.0


class Pair(Record, Generic[T]):
    first: T
    second: Any


class Strict(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    page_name: str
    hit_count: int = 0


class Empty(Record):
    pass


@dataclass
class Basket:
    owner: str
    items: list[str] = field(default_factory=list[str])
    total: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.total = len(self.items)


@dataclass(frozen=True, slots=True)
class Place:
    x: int


class Point(NamedTuple):
    x: int
    y: int = 0


class Color(Enum):
    RED = "r"
    BLUE = ("b", 2)


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Access(Flag):
    READ = 1
    WRITE = 2


class Country(StrEnum):
    SPAIN = "es"
    CHILE = "cl"


class Unit(str, Enum):  # noqa: UP042 - written before there was StrEnum
    METRE = "m"
    FOOT = "ft"

    @property
    def name(self) -> str:
        return self._value_


class Visit(Record):
    page: str
    views: int = 0

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "views", self.views + 1)


class Span(Point):
    def __new__(cls, x: int, y: int) -> Span:
        return super().__new__(cls, min(x, y), x + y)


@dataclass
class Draft:
    title: str
    pages: int = field(init=False)


class Outer:
    class Inner(Record):
        value: int
