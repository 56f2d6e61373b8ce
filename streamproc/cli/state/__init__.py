"""``streamproc state``: looks at the state of apps that are stopped."""

from streamproc.cli.state.export import export_state
from streamproc.cli.state.get import get_state
from streamproc.cli.state.ls import list_state

__all__ = ["export_state", "get_state", "list_state"]
