"""What the definitions of TCP sources have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from streamproc.codecs import Decoder
from streamproc.durations import Duration, to_ms
from streamproc.errors import PipelineError
from streamproc.io.source import Source

from .framing import Framing, Lines

__all__ = ["TcpSource"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TcpSource(Source[T], Generic[T]):
    """The settings of connections, whoever opened them.

    Attributes:
        decode: How a frame becomes a value: `text_decoder`, `json_decoder`, `bytes_decoder`, or one's own.
        framing: Where a frame ends: `Lines`, `NDJSON`, `LengthPrefixed`.
        max_frame_bytes: A longer frame closes its connection.
        max_buffered_bytes: When more than this waits to be taken, reading stops until half of it is left. The
            incomplete frames of all connections together may take as much again.
        idle_timeout: A connection on which nothing arrives for so long is closed; None waits for ever.
        first_byte_timeout: The same for a connection on which nothing has arrived yet; None: as ``idle_timeout``.
    """

    decode: Decoder[T]
    framing: Framing = field(default=Lines())
    max_frame_bytes: int = 1 << 20
    max_buffered_bytes: int = 32 << 20
    idle_timeout: Duration | None = None
    first_byte_timeout: Duration | None = None

    def __post_init__(self) -> None:
        self.check("max_frame_bytes", self.max_frame_bytes)
        self.check("max_buffered_bytes", self.max_buffered_bytes)
        # Read once now, so that a wrong duration fails where it was written.
        _ = self.idle_timeout_ms, self.first_byte_timeout_ms

    @property
    def decoder(self) -> Decoder[T]:
        """How to turn a frame into a value."""
        return self.decode

    @property
    def idle_timeout_ms(self) -> int | None:
        """``idle_timeout`` in milliseconds."""
        return None if self.idle_timeout is None else to_ms(self.idle_timeout, what="idle_timeout")

    @property
    def first_byte_timeout_ms(self) -> int | None:
        """``first_byte_timeout`` in milliseconds."""
        return None if self.first_byte_timeout is None else to_ms(self.first_byte_timeout, what="first_byte_timeout")

    def check(self, setting: str, value: int, least: int = 1, most: int | None = None) -> None:
        """Check that a setting is in its range.

        Raises:
            PipelineError: It is not.
        """
        if value < least or (most is not None and value > most):
            expected = f"{least} or more" if most is None else f"{least} to {most}"
            raise PipelineError(f"{type(self).__name__}: {setting} is {value}, expected {expected}")
