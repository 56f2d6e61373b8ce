"""Standard input as a source."""

from .source import StdinSource

__all__ = ["StdinSource"]
