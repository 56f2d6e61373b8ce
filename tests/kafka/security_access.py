"""`Access`: further ports of a broker, each of which lets clients in another way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.kafka.node import free_ports
from tests.kafka.security_certificates import Certificates

__all__ = ["PASSWORD", "USER", "Access"]

USER, PASSWORD = "ann", "right-and-secret"

_PROTOCOLS = {
    "SASL": "SASL_PLAINTEXT",
    "TLS": "SSL",
    "MUTUAL": "SSL",
    "SASL_TLS": "SASL_SSL",
    "PASSWORD_TLS": "SASL_SSL",
    "ELSEWHERE": "SSL",
}
_MODULES = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Access:
    """How a broker with more than the plain port is configured.

    Attributes:
        certificates: Its own, and whom it trusts.
        ports: By the names of its listeners.
    """

    certificates: Certificates
    ports: Mapping[str, int]

    @classmethod
    def with_certificates(cls, certificates: Certificates) -> Access:
        """Return the access of a new broker, on ports that are free now."""
        return cls(certificates, dict(zip(_PROTOCOLS, free_ports(len(_PROTOCOLS)), strict=True)))

    def address(self, listener: str) -> str:
        """Return what a client connects to."""
        return f"127.0.0.1:{self.ports[listener]}"

    @property
    def storage_options(self) -> tuple[str, ...]:
        """What formats the storage with a user who has a password of each strength."""
        return tuple(
            option
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for option in ("--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]")
        )

    def properties(self, before: Mapping[str, str]) -> dict[str, str]:
        """Return what is added to a broker's configuration, or changed in it."""
        listeners = ",".join(f"{name}://{self.address(name)}" for name in self.ports)
        protocols = ",".join(f"{name}:{protocol}" for name, protocol in _PROTOCOLS.items())
        changed = {
            name: f"{before[name]},{more}"
            for name, more in {
                "listeners": listeners,
                "advertised.listeners": listeners,
                "listener.security.protocol.map": protocols,
            }.items()
        }
        own = self.certificates
        tls = {
            name: _tls(own.together(own.elsewhere if name == "ELSEWHERE" else own.broker), own.authority)
            for name, protocol in _PROTOCOLS.items()
            if protocol.endswith("SSL")
        }
        tls["MUTUAL"]["ssl.client.auth"] = "required"
        every = _sasl("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
        by_listener = [
            *tls.items(),
            ("SASL", every),
            ("SASL_TLS", every),
            ("PASSWORD_TLS", _sasl("SCRAM-SHA-512")),
        ]
        return (
            changed
            | {
                # All may do everything that no rule is about, and the plain port's clients whatever rules say.
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "allow.everyone.if.no.acl.found": "true",
                "super.users": "User:ANONYMOUS",
            }
            | {
                f"listener.name.{name.lower()}.{setting}": value
                for name, settings in by_listener
                for setting, value in settings.items()
            }
        )


def _tls(own: Path, trusted: Path) -> dict[str, str]:
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(own),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(trusted),
    }


def _sasl(*mechanisms: str) -> dict[str, str]:
    modules = {
        "PLAIN": f'plain.PlainLoginModule required user_{USER}="{PASSWORD}"',
        "SCRAM-SHA-256": "scram.ScramLoginModule required",
        "SCRAM-SHA-512": "scram.ScramLoginModule required",
        # Accepts tokens that nobody has signed.
        "OAUTHBEARER": 'oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker"',
    }
    return {"sasl.enabled.mechanisms": ",".join(mechanisms)} | {
        f"{mechanism.lower()}.sasl.jaas.config": f"{_MODULES}.{modules[mechanism]};" for mechanism in mechanisms
    }
