"""TCP sources: a server that clients connect to, and a client that connects to a server."""

from __future__ import annotations

from .backoff import Backoff
from .client import TcpClientSource
from .counters import TcpCounters
from .framing import NDJSON, Framer, Framing, LengthPrefixed, Lines
from .reader import TcpReader
from .server import TcpServerSource
from .tls import ClientTls, ServerTls

__all__ = [
    "NDJSON",
    "Backoff",
    "ClientTls",
    "Framer",
    "Framing",
    "LengthPrefixed",
    "Lines",
    "ServerTls",
    "TcpClientSource",
    "TcpCounters",
    "TcpReader",
    "TcpServerSource",
]
