"""`KafkaSettings`: how to reach a Kafka, from code, from librdkafka's names, and from the environment."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeAlias

from streamproc.durations import Duration, to_ms
from streamproc.errors import SettingsError

from .redaction import redact_credentials
from .secret import Secret
from .tls import TlsFiles
from .tokens import TokenEndpoint, Tokens
from .vocabulary import FORMS, MECHANISMS, in_code, in_environment, recognized

__all__ = ["KafkaSettings"]

_Path: TypeAlias = "str | os.PathLike[str]"

_PASSWORD = ("sasl_username", "sasl_password")
_CREDENTIALS = {
    **dict.fromkeys(MECHANISMS, (_PASSWORD,)),
    "OAUTHBEARER": (("sasl_oauth_token",), ("sasl_oauth_url", "sasl_oauth_client_id", "sasl_oauth_client_secret")),
}
"""The settings that each mechanism needs; of several such sets, one."""

_COMPANIONS = {
    "sasl_oauth_scope": "sasl_oauth_url",
    "ssl_key": "ssl_certificate",
    "ssl_key_password": "ssl_certificate",
}
"""Settings that mean nothing without another one."""


@dataclass(frozen=True)
class KafkaSettings:
    """How to reach a Kafka.

    The environment overrides the code: ``KAFKA_BOOTSTRAP_SERVERS``, ``KAFKA_SECURITY_PROTOCOL`` and so on, with another
    prefix if ``env_prefix`` says so. A variable that is empty counts as not set.

    Args:
        bootstrap_servers: ``host:port``, several with commas between.
        client_id: What brokers call this client in their logs.
        security_protocol: ``PLAINTEXT``, ``SSL``, ``SASL_PLAINTEXT`` or ``SASL_SSL``.
        sasl_mechanism: ``PLAIN``, ``SCRAM-SHA-256``, ``SCRAM-SHA-512`` or ``OAUTHBEARER``.
        sasl_username: The user.
        sasl_password: The password; it is never printed.
        sasl_oauth_token: For ``OAUTHBEARER``, an ``async def`` function without arguments that returns a token; it is
            called for each connection. It can't come from the environment.
        sasl_oauth_url: Instead of a function, where tokens are got with the client's credentials (OAuth 2.0, RFC 6749
            section 4.4).
        sasl_oauth_client_id: The client's id there.
        sasl_oauth_client_secret: The client's secret there; it is never printed.
        sasl_oauth_scope: The scopes to ask for, with spaces between.
        ssl_ca: A PEM file with the authorities to trust; by default those of the operating system.
        ssl_certificate: A PEM file with the client's own certificate and the chain above it.
        ssl_key: A PEM file with its private key; by default it is in ``ssl_certificate`` too.
        ssl_key_password: The password of that key; it is never printed.
        ssl_check_hostname: Whether a broker's certificate must be for the host that was connected to.
        request_timeout: How long a broker has for an answer.
        allow_plaintext_sasl: Whether credentials may go over a connection that anybody on the way can read.
        env_prefix: What the names of environment variables begin with.

    Raises:
        SettingsError: A value is none of those that are expected. Whether they fit together is seen by `resolved` only:
            the environment may bring what is missing.

    Example:
        >>> from streamproc.connectors.kafka import KafkaSettings
        >>> settings = KafkaSettings.of({"bootstrap.servers": "a:9092", "security.protocol": "ssl"})
        >>> settings.resolved({"KAFKA_BOOTSTRAP_SERVERS": "b:9092"}).bootstrap_servers
        'b:9092'
        >>> KafkaSettings.of({"bootstrap.server": "a:9092"})
        Traceback (most recent call last):
        streamproc.errors.SettingsError: unknown setting 'bootstrap.server' in ...: did you mean 'bootstrap.servers'?
    """

    _: KW_ONLY
    bootstrap_servers: str | None = None
    client_id: str = "streamproc"
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: Secret | str | None = None
    sasl_oauth_token: Callable[[], Awaitable[str]] | None = None
    sasl_oauth_url: str | None = None
    sasl_oauth_client_id: str | None = None
    sasl_oauth_client_secret: Secret | str | None = None
    sasl_oauth_scope: str | None = None
    ssl_ca: _Path | None = None
    ssl_certificate: _Path | None = None
    ssl_key: _Path | None = None
    ssl_key_password: Secret | str | None = None
    ssl_check_hostname: bool = True
    request_timeout: Duration = "30s"
    allow_plaintext_sasl: bool = False
    env_prefix: str = "KAFKA_"

    def __post_init__(self) -> None:
        # In one form each, so that settings that say the same are equal, wherever they come from.
        for name, form in FORMS.items():
            object.__setattr__(self, name, form(name, getattr(self, name)))

    @classmethod
    def of(cls, given: KafkaSettings | Mapping[str, Any] | None) -> KafkaSettings:
        """Return the settings that the user means.

        Args:
            given: Settings; or a dict of them, by their names here or in librdkafka; or None for the environment's.

        Raises:
            SettingsError: A name or a value is unknown, or a setting is given twice.
        """
        if isinstance(given, KafkaSettings):
            return given
        if not isinstance(given, Mapping | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SettingsError(
                f"kafka is of type {type(given).__name__}: expected KafkaSettings(…) or a dict such as "
                f'{{"bootstrap.servers": "host:9092"}}'
            )
        return cls(**recognized(given or {}, in_code(), "the Kafka settings"))

    def resolved(self, environment: Mapping[str, str]) -> KafkaSettings:
        """Return these settings with those of the environment over them, after checking that they fit together.

        Args:
            environment: The environment variables. Unknown ones that begin with ``KAFKA_SASL_``, ``KAFKA_SSL_`` or
                ``KAFKA_SECURITY_`` are mistakes; all others that are no settings are left alone.

        Raises:
            SettingsError: They don't fit together, no broker is named, or a variable is wrong.
        """
        names, variables = in_environment(self.env_prefix, environment)
        settings = dataclasses.replace(self, **recognized(variables, names, "the environment"))
        settings._check()
        return settings

    def client_options(self) -> dict[str, Any]:
        """Return the arguments for aiokafka's client; the files with certificates are read now.

        Raises:
            SettingsError: The settings don't fit together, or a file can't be read.
        """
        self._check()
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id,
            "security_protocol": self.security_protocol,
            "request_timeout_ms": to_ms(self.request_timeout),
        }
        if self.security_protocol.endswith("SSL"):
            files = TlsFiles(self.ssl_ca, self.ssl_certificate, self.ssl_key, _secret(self.ssl_key_password))
            options["ssl_context"] = files.context(check_hostname=self.ssl_check_hostname)
        if self.security_protocol.startswith("SASL"):
            redact_credentials()
            options["sasl_mechanism"] = self.sasl_mechanism
            if self.sasl_mechanism == "OAUTHBEARER":
                options["sasl_oauth_token_provider"] = Tokens(self.sasl_oauth_token or self._token_endpoint())
            else:
                options["sasl_plain_username"] = self.sasl_username
                options["sasl_plain_password"] = (_secret(self.sasl_password) or Secret("")).reveal()
        return options

    def _token_endpoint(self) -> TokenEndpoint:
        return TokenEndpoint(
            self.sasl_oauth_url or "",
            self.sasl_oauth_client_id or "",
            _secret(self.sasl_oauth_client_secret) or Secret(""),
            self.sasl_oauth_scope,
            to_ms(self.request_timeout),
        )

    def _check(self) -> None:
        """Raise an error if the settings don't fit together."""
        if not self.bootstrap_servers:
            raise SettingsError(
                f"no Kafka broker is named: set {self.env_prefix}BOOTSTRAP_SERVERS=host:9092, or give "
                f'kafka={{"bootstrap.servers": "host:9092"}} or kafka=KafkaSettings(bootstrap_servers="host:9092")'
            )
        given = [field.name for field in dataclasses.fields(self) if getattr(self, field.name) != field.default]
        for part, lacks in (("SASL", "does not authenticate by SASL"), ("SSL", "does not encrypt")):
            useless = [name for name in given if name.startswith(f"{part.lower()}_")]
            if useless and part not in self.security_protocol:
                expected = "SSL" if (part, self.security_protocol) == ("SSL", "PLAINTEXT") else "SASL_SSL"
                raise SettingsError(
                    f"{useless[0]} is given, but security_protocol is {self.security_protocol}, which {lacks}: "
                    f"expected security_protocol={expected!r} ({self._variable('security_protocol')}={expected})"
                )
        for name, companion in _COMPANIONS.items():
            if name in given and companion not in given:
                raise SettingsError(f"{name} is given, and needs {self._say(companion)} too")
        if self.security_protocol.startswith("SASL"):
            self._check_sasl({name for name in given if name.startswith("sasl_")} - {"sasl_mechanism"})

    def _check_sasl(self, given: set[str]) -> None:
        if self.security_protocol == "SASL_PLAINTEXT" and not self.allow_plaintext_sasl:
            raise SettingsError(
                "security_protocol is SASL_PLAINTEXT: anybody on the way could read the credentials or act with them. "
                "Use SASL_SSL, or set allow_plaintext_sasl=True where the network is trusted"
            )
        if self.sasl_mechanism is None:
            # PLAIN, the choice of other clients, would show the password to a broker that was never to see it.
            raise SettingsError(
                f"security_protocol is {self.security_protocol}, but no mechanism is named: set "
                f"{self._say('sasl_mechanism')} to {', '.join(MECHANISMS)}"
            )
        ways = _CREDENTIALS[self.sasl_mechanism]
        if useless := sorted(given - {name for way in ways for name in way} - _COMPANIONS.keys()):
            raise SettingsError(f"sasl_mechanism is {self.sasl_mechanism}, which has no use for {', '.join(useless)}")
        begun = [way for way in ways if not given.isdisjoint(way)]
        if len(begun) > 1:
            names = " and ".join(min(given & set(way)) for way in begun)
            raise SettingsError(f"{names} are both given: tokens come from one of them")
        missing = [[name for name in way if name not in given] for way in begun or ways]
        if all(missing):
            needed = ", or ".join(" and ".join(map(self._say, names)) for names in missing)
            raise SettingsError(f"sasl_mechanism {self.sasl_mechanism} needs {needed}")
        if (self.sasl_oauth_url or "").startswith("http:") and not self.allow_plaintext_sasl:
            raise SettingsError(
                f"sasl_oauth_url is {self.sasl_oauth_url!r}: anybody on the way could read the client's secret. Use "
                f"https, or set allow_plaintext_sasl=True where the network is trusted"
            )

    def _variable(self, name: str) -> str:
        return f"{self.env_prefix}{name.upper()}"

    def _say(self, name: str) -> str:
        """Return how a setting is given: in code, and in the environment."""
        return f"{name} (an async function)" if name == "sasl_oauth_token" else f"{name} ({self._variable(name)})"


def _secret(value: Secret | str | None) -> Secret | None:
    return Secret(value) if isinstance(value, str) else value
