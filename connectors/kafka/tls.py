"""`TlsFiles`: the certificates and keys of a client, and the TLS that follows from them."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import TypeAlias

from streamproc.errors import SettingsError

from .secret import Secret

__all__ = ["TlsFiles"]

_Path: TypeAlias = "str | os.PathLike[str]"


@dataclass(frozen=True)
class TlsFiles:
    """The PEM files of a client; see `KafkaSettings`."""

    ca: _Path | None
    certificate: _Path | None
    key: _Path | None
    key_password: Secret | None

    def context(self, *, check_hostname: bool) -> ssl.SSLContext:
        """Read the files.

        Args:
            check_hostname: Whether a broker's certificate must be for the host that was connected to.

        Raises:
            SettingsError: A file can't be read, or is not what it should be; names it.
        """
        for name, file in (("ssl_ca", self.ca), ("ssl_certificate", self.certificate), ("ssl_key", self.key)):
            _check_readable(name, file)
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except ssl.SSLError as error:
            raise SettingsError(f"ssl_ca is {self.ca}, where no certificate is found: expected a PEM file") from error
        context.check_hostname = check_hostname
        if self.certificate is not None:
            self._load_own(context, self.certificate)
        return context

    def _load_own(self, context: ssl.SSLContext, certificate: _Path) -> None:
        key = f"ssl_certificate is {certificate}" if self.key is None else f"ssl_key is {self.key}"
        try:
            # Asked for only where the key is encrypted. Without a function OpenSSL would ask the terminal.
            context.load_cert_chain(certificate, self.key, lambda: self._password(key))
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise SettingsError(f"{key}, whose key does not fit the certificate {certificate}") from error
            if not _has_certificate(certificate):
                raise SettingsError(
                    f"ssl_certificate is {certificate}, where no certificate is found: expected a PEM file"
                ) from error
            raise SettingsError(
                f"{key}, from which no private key can be read: expected a PEM file, and its password in "
                f"ssl_key_password if it is encrypted ({error})"
            ) from error

    def _password(self, key: str) -> str:
        if self.key_password is None:
            raise SettingsError(f"{key}, and its private key is encrypted: give its password in ssl_key_password")
        return self.key_password.reveal()


def _check_readable(name: str, file: _Path | None) -> None:
    if file is None:
        return
    try:
        with open(file, "rb"):
            pass
    except OSError as error:
        raise SettingsError(f"{name} is {file}, which can't be read: {error.strerror}; expected a PEM file") from None


def _has_certificate(file: _Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        return False
    return True
