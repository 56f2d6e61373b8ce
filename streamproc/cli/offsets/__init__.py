"""``streamproc offsets``: where an app that is stopped goes on in its sources, and moving it elsewhere."""

from streamproc.cli.offsets.reset import reset_offsets
from streamproc.cli.offsets.show import show_offsets

__all__ = ["reset_offsets", "show_offsets"]
