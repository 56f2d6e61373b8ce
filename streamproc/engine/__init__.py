"""The engine: the driver loop, commit, publishing and recovery."""
