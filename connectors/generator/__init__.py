"""A source that makes its records up: seeded, at a rate, and the same again after a restart."""

from __future__ import annotations

from .schedule import Schedule
from .source import GeneratorReader, GeneratorSource

__all__ = ["GeneratorReader", "GeneratorSource", "Schedule"]
