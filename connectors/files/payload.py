"""What a sink of files keeps in the outbox: the length of the header in 4 bytes, the header, the rows."""

from __future__ import annotations

from .format import Rows

__all__ = ["pack_rows", "unpack_rows"]


def pack_rows(rows: Rows) -> bytes:
    """Return rows as a payload."""
    return b"".join((len(rows.header).to_bytes(4, "big"), rows.header, rows.body))


def unpack_rows(payload: bytes) -> Rows:
    """Return the rows of a payload."""
    end = 4 + int.from_bytes(payload[:4], "big")
    return Rows(payload[4:end], payload[end:])
