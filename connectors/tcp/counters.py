"""`TcpCounters`: what a TCP reader counts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TcpCounters"]


@dataclass(slots=True)
class TcpCounters:
    """Totals since the reader was started, and the state of now.

    Attributes:
        opened: Connections that were accepted, or made by a client source.
        open: Connections open now.
        refused: Connections closed at once because ``max_connections`` were open.
        too_large: Connections closed because of a frame above ``max_frame_bytes``.
        crowded_out: Connections closed because the incomplete frames of all together passed ``max_buffered_bytes``.
        timed_out: Connections closed by ``first_byte_timeout`` or ``idle_timeout``.
        cut_off: Connections that ended inside a frame, whose beginning was dropped.
        failed_attempts: A client source's attempts to connect that failed.
        received_bytes: Bytes read from sockets (behind TLS: decrypted).
        pauses: How often reading was stopped because ``max_buffered_bytes`` were waiting.
        paused: Whether it is now.
    """

    opened: int = 0
    open: int = 0
    refused: int = 0
    too_large: int = 0
    crowded_out: int = 0
    timed_out: int = 0
    cut_off: int = 0
    failed_attempts: int = 0
    received_bytes: int = 0
    pauses: int = 0
    paused: bool = False
