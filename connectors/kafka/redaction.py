"""Keeps credentials out of aiokafka's log, which has each request whole at the level DEBUG."""

from __future__ import annotations

import logging

from aiokafka.protocol.admin import SaslAuthenticateRequest  # type: ignore[import-untyped]

__all__ = ["redact_credentials"]

_LOGGER = "aiokafka.conn"


def redact_credentials() -> None:
    """Have aiokafka log of what is said to authenticate only that it was said; may be called again."""
    logging.getLogger(_LOGGER).addFilter(_hide)


def _hide(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple("***" if _authenticates(argument) else argument for argument in record.args)
    return True


def _authenticates(argument: object) -> bool:
    """Return whether it is a request with credentials, of whatever version, or the answer to one."""
    return bool(getattr(argument, "API_KEY", None) == SaslAuthenticateRequest.API_KEY)
