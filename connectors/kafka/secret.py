"""`Secret`: a password or the like, which no log and no error shows."""

from __future__ import annotations

__all__ = ["Secret"]


class Secret:
    """Text that is never printed: neither by ``repr`` nor by ``str``, nor in a format string.

    Secrets are equal if their texts are, and may be keys of a dict.

    Args:
        value: The text.

    Example:
        >>> password = Secret("hunter2")
        >>> print(f"the password is {password}")
        the password is ***
        >>> password.reveal()
        'hunter2'
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text, for the one place that has to send it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret('')"

    def __str__(self) -> str:
        return "***" if self._value else ""
