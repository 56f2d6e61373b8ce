"""TLS settings as paths, for those who don't need an `ssl.SSLContext` of their own."""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass
from typing import TypeAlias

from streamproc.errors import SourceError

__all__ = ["ClientTls", "ServerTls", "load_context"]

_Path: TypeAlias = "str | os.PathLike[str]"


@dataclass(frozen=True, slots=True)
class ServerTls:
    """How a server shows who it is.

    Attributes:
        certificate: A PEM file with the certificate and the chain above it.
        key: A PEM file with its private key, not encrypted; None if it is in ``certificate`` too.
        client_ca: A PEM file with the authorities that must have signed a client's certificate; None asks for none.
    """

    certificate: _Path
    key: _Path | None = None
    client_ca: _Path | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files.

        Raises:
            OSError: A file can't be read, or is no PEM file (`ssl.SSLError` is one).
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.client_ca)
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@dataclass(frozen=True, slots=True)
class ClientTls:
    """Whom a client trusts. The server's certificate and host name are always checked.

    Attributes:
        ca: A PEM file with the authorities to trust; None trusts those of the operating system.
        certificate: A PEM file with the client's own certificate, for servers that ask for one.
        key: A PEM file with its private key, not encrypted; None if it is in ``certificate`` too.
    """

    ca: _Path | None = None
    certificate: _Path | None = None
    key: _Path | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files.

        Raises:
            OSError: A file can't be read, or is no PEM file (`ssl.SSLError` is one).
        """
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.ca)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


async def load_context(tls: ServerTls | ClientTls | ssl.SSLContext | None, *, name: str) -> ssl.SSLContext | None:
    """Return the context for what a source was given.

    Args:
        tls: The source's setting; None for none.
        name: The source's operator name, for errors.

    Raises:
        SourceError: A file can't be read, or is not what it should be.
    """
    if tls is None or isinstance(tls, ssl.SSLContext):
        return tls
    try:
        return await asyncio.to_thread(tls.context)
    except OSError as error:
        raise SourceError(
            f"source {name!r}: can't set up TLS from {tls}: {error}; expected readable PEM files, the key fitting the "
            f"certificate"
        ) from error
