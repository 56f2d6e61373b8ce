"""A sink that calls a function with each batch; what `foreach_batch` uses."""

from __future__ import annotations

from .sink import BatchInfo, CallableSink

__all__ = ["BatchInfo", "CallableSink"]
