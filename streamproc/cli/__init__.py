"""The streamproc command."""
