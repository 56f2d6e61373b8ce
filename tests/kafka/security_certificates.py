"""`Certificates`: authorities, certificates and keys that are made for a test run and are valid for a day."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["KEY_PASSWORD", "Certificates"]

KEY_PASSWORD = "of-the-key"


# Python 3.13 wants to see what a key is for.
_AUTHORITY = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
_MEMBER = ("basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature")


@dataclass(frozen=True)
class Certificates:
    """PEM files in a folder.

    Attributes:
        folder: Where they are.
    """

    folder: Path

    @classmethod
    def made_in(cls, folder: Path) -> Certificates:
        """Make an authority, what it signs for a broker on 127.0.0.1 and for a client, and another authority."""
        made = cls(folder)
        for authority in (made.authority, made.stranger):
            made._make(authority, f"/CN={authority.stem}", *_AUTHORITY)
        for own, host in ((made.broker, "IP:127.0.0.1"), (made.elsewhere, "DNS:elsewhere"), (made.client, "DNS:ann")):
            made._make(own, f"/CN={own.stem}", *_MEMBER, f"subjectAltName={host}", signed_by=made.authority)
            # A broker wants both in one file.
            made.together(own).write_text(made.key(own).read_text() + own.read_text())
        made._make(made.unknown_client, "/CN=unknown", *_MEMBER, signed_by=made.stranger)
        key = made.key(made.client)
        _openssl(
            *("pkcs8", "-topk8", "-in", key, "-out", made.encrypted_key, "-passout", f"pass:{KEY_PASSWORD}"),
        )
        return made

    @property
    def authority(self) -> Path:
        """Who signs for the broker and for the client."""
        return self.folder / "authority.pem"

    @property
    def stranger(self) -> Path:
        """Another authority."""
        return self.folder / "stranger.pem"

    @property
    def broker(self) -> Path:
        """A broker's certificate."""
        return self.folder / "broker.pem"

    @property
    def elsewhere(self) -> Path:
        """A broker's certificate for another host."""
        return self.folder / "elsewhere.pem"

    @property
    def client(self) -> Path:
        """A client's certificate."""
        return self.folder / "client.pem"

    @property
    def unknown_client(self) -> Path:
        """A client's certificate of the other authority."""
        return self.folder / "unknown.pem"

    @property
    def encrypted_key(self) -> Path:
        """The client's key, encrypted by `KEY_PASSWORD`."""
        return self.folder / "client-encrypted.key"

    def key(self, certificate: Path) -> Path:
        """Return the file with the key of a certificate."""
        return certificate.with_suffix(".key")

    def together(self, certificate: Path) -> Path:
        """Return the file with a certificate and its key."""
        return certificate.with_suffix(".both")

    def _make(self, certificate: Path, subject: str, *extensions: str, signed_by: Path | None = None) -> None:
        added = [argument for extension in extensions for argument in ("-addext", extension)]
        signed = () if signed_by is None else ("-CA", signed_by, "-CAkey", self.key(signed_by))
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"),
            *("-subj", subject, *added, "-out", certificate, "-keyout", self.key(certificate), *signed),
        )


def _openssl(*arguments: str | Path) -> None:
    command = shutil.which("openssl")
    assert command is not None, (
        "this test makes certificates by openssl 3: install it (Debian: apt-get install openssl)"
    )
    done = subprocess.run([command, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
