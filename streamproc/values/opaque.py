"""`Opaque`: values of classes that know best how they are written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

__all__ = ["Opaque"]


class Opaque(ABC):
    """A value that makes bytes of itself, and is made of them again: the base of an accumulator of one's own.

    State and outbox hold the name of its class and the bytes. They are read by the class of that name that the program
    has, if it is an `Opaque`. So it must be at the top of its module, and keep its name and read what it has written as
    long as there may be state of it. Don't write a pickle: those bytes can run anything when they are read.

    Example:
        >>> class Bits(Opaque):
        ...     def __init__(self, number: int) -> None: self.number = number
        ...     def to_bytes(self) -> bytes: return self.number.to_bytes(8)
        ...     @classmethod
        ...     def from_bytes(cls, data: bytes) -> Bits: return cls(int.from_bytes(data))
        >>> Bits.from_bytes(Bits(5).to_bytes()).number
        5
    """

    @abstractmethod
    def to_bytes(self) -> bytes:
        """Return what `from_bytes` makes an equal value of. Called when a batch is committed."""

    @classmethod
    @abstractmethod
    def from_bytes(cls, data: bytes, /) -> Self:
        """Return the value that `to_bytes` made bytes of.

        Raises:
            ValueError: The bytes are none of this class.
        """
