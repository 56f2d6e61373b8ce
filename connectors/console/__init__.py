"""A sink that prints."""

from __future__ import annotations

from .sink import ConsoleSink

__all__ = ["ConsoleSink"]
