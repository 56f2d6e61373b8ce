"""Classes whose objects the tests write: a class must be at the top of a module to be found again."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, Flag, IntEnum
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


class Outer:
    class Inner(Record):
        value: int
