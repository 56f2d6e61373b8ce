"""A source and a sink in the memory of this process, for tests and for programs that produce records themselves."""

from __future__ import annotations

from .queue import MemoryQueue
from .sink import MemorySink
from .source import MemorySource

__all__ = ["MemoryQueue", "MemorySink", "MemorySource"]
