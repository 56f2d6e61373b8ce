"""Keyed state: the store contract, its two implementations, the byte layout and typed tables."""
