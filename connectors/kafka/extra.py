"""What this package needs besides streamproc itself; whoever imports it without that is told what to install."""

from __future__ import annotations

from importlib import import_module

from streamproc.errors import MissingExtraError

__all__ = ["PACKAGES"]

PACKAGES = ("aiokafka", "cramjam", "google_crc32c")
"""The packages that the extra ``kafka`` brings."""

for _package in PACKAGES:
    try:
        import_module(_package)
    except ModuleNotFoundError as error:
        if error.name != _package:
            raise
        raise MissingExtraError("streamproc.connectors.kafka", "kafka") from None
