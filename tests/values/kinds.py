"""Classes that write themselves."""

from __future__ import annotations

from streamproc import Record
from streamproc.values import NamedValues, Opaque


class Bits(Opaque):
    """A set of small numbers, as the bits of one."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bits) and self.number == other.number

    __hash__ = None  # type: ignore[assignment]

    def to_bytes(self) -> bytes:
        return self.number.to_bytes(8, "big")

    @classmethod
    def from_bytes(cls, data: bytes, /) -> Bits:
        if len(data) != 8:
            raise ValueError(f"expected 8 bytes, got {len(data)}")
        return cls(int.from_bytes(data, "big"))


class Both(Record):
    bits: Bits
    name: str


class Found(NamedValues, frozen=True, gc=False):
    """Values that have names."""
