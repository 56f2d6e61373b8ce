"""The commands that a sink sends, and the contract of what makes them of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from streamproc.batch import Batch
from streamproc.io.sink import OutboxEntry

__all__ = ["Command", "Commands", "Text"]

Text: TypeAlias = str | bytes
"""What Redis stores; it keeps text as UTF-8."""

Command: TypeAlias = tuple[Text | int, ...]
"""A command with its arguments."""


class Commands(Protocol):
    """Makes commands in two steps, between which the outbox keeps the batch."""

    def rows(self, batch: Batch) -> list[list[Text]]:
        """Return what the outbox keeps of each row.

        Raises:
            Exception: A row can't be written.
        """
        ...

    def commands(self, rows: Sequence[Sequence[Text]], entry: OutboxEntry, producer: str) -> list[Command]:
        """Return the commands that publish a batch.

        Args:
            rows: What `rows` returned.
            entry: Which batch it is.
            producer: Names the app, the sink and the shard.
        """
        ...
