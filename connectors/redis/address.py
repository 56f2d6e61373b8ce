"""The URL of a Redis: what it may look like, and what of it may be shown.

An error must never repeat the URL, not even the part that it is about: in one that is written wrongly, with a ``/`` or
an ``@`` that isn't percent-encoded, the password can be anywhere.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from streamproc.errors import PipelineError

__all__ = ["shown_address"]

_EXPECTED = (
    "expected redis://[[user]:password@]host[:port][/database], rediss:// of the same form, or "
    "unix://[[user]:password@]/path/of/socket, with each of / ? # @ in a password percent-encoded, such as %2F for /"
)


def shown_address(url: str) -> str:
    """Return a URL without user, password and options.

    Raises:
        PipelineError: It is no URL of a Redis.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise PipelineError(f"the URL of Redis can't be read: {_EXPECTED}") from None
    if "@" in parts.path + parts.query + parts.fragment or parts.fragment:
        raise PipelineError(f"the URL of Redis has an @ or # behind its host: {_EXPECTED}")
    if parts.scheme == "unix":
        return _shown_socket(parts)
    if parts.scheme not in {"redis", "rediss"}:
        raise PipelineError(f"the URL of Redis begins with none of redis://, rediss://, unix://: {_EXPECTED}")
    if not parts.hostname:
        raise PipelineError(f"the URL of Redis names no host: {_EXPECTED}")
    if not re.fullmatch(r"(/\d*)?", parts.path):
        raise PipelineError(f"the URL of Redis has more than the number of a database behind its host: {_EXPECTED}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port or 6379}{parts.path}"


def _shown_socket(parts: SplitResult) -> str:
    if not parts.path or parts.hostname:
        raise PipelineError(f"the URL of Redis names no socket: unix:// goes on with /path: {_EXPECTED}")
    return f"unix://{parts.path}"
