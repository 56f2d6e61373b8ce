"""`KafkaSettings`: how to reach a Kafka, from code, from librdkafka's names, and from the environment."""

from __future__ import annotations

import dataclasses
import difflib
import os
import ssl
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from aiokafka.abc import AbstractTokenProvider  # type: ignore[import-untyped]

from streamproc.errors import SettingsError

__all__ = ["KafkaSettings"]

_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
_DOTTED = {
    "bootstrap.servers": "bootstrap_servers",
    "metadata.broker.list": "bootstrap_servers",
    "client.id": "client_id",
    "security.protocol": "security_protocol",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.mechanisms": "sasl_mechanism",
    "sasl.username": "sasl_username",
    "sasl.password": "sasl_password",
    "ssl.ca.location": "ssl_ca",
    "ssl.certificate.location": "ssl_certificate",
    "ssl.key.location": "ssl_key",
    "ssl.key.password": "ssl_key_password",
    "socket.timeout.ms": "request_timeout_ms",
}
"""The names that librdkafka and Kafka's own clients have for the settings."""

_STRICT = ("SASL_", "SSL_", "SECURITY_")
"""Beginnings of variables, behind the prefix, that nobody but a client uses: an unknown one is a mistake. Others, such
as KAFKA_HOME, or KAFKA_PORT that Kubernetes sets, mean something else."""


@dataclass(frozen=True)
class KafkaSettings:
    """How to reach a Kafka.

    The environment overrides the code: ``KAFKA_BOOTSTRAP_SERVERS``, ``KAFKA_SECURITY_PROTOCOL`` and so on, with another
    prefix if ``env_prefix`` says so.

    Args:
        bootstrap_servers: ``host:port``, several with commas between.
        client_id: What brokers call this client in their logs.
        security_protocol: ``PLAINTEXT``, ``SSL``, ``SASL_PLAINTEXT`` or ``SASL_SSL``.
        sasl_mechanism: ``PLAIN``, ``SCRAM-SHA-256``, ``SCRAM-SHA-512`` or ``OAUTHBEARER``.
        sasl_username: The user.
        sasl_password: The password; it is never printed.
        sasl_oauth_token: An ``async def`` function without arguments that returns a token.
        ssl_ca: A PEM file with the authorities to trust; by default those of the operating system.
        ssl_certificate: A PEM file with the client's own certificate.
        ssl_key: A PEM file with its private key.
        ssl_key_password: The password of that file; it is never printed.
        request_timeout_ms: How long a broker has for an answer, in milliseconds.
        allow_plaintext_sasl: Whether a password may go over a connection that anybody on the way can read.
        env_prefix: What the names of environment variables begin with.

    Raises:
        SettingsError: A value is none of those that are expected.
    """

    _: KW_ONLY
    bootstrap_servers: str | None = None
    client_id: str = "streamproc"
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = dataclasses.field(default=None, repr=False)
    sasl_oauth_token: Any = dataclasses.field(default=None, repr=False)
    ssl_ca: str | None = None
    ssl_certificate: str | None = None
    ssl_key: str | None = None
    ssl_key_password: str | None = dataclasses.field(default=None, repr=False)
    request_timeout_ms: int = 30_000
    allow_plaintext_sasl: bool = False
    env_prefix: str = "KAFKA_"

    def __post_init__(self) -> None:
        for name, expected in (("security_protocol", _PROTOCOLS), ("sasl_mechanism", _MECHANISMS)):
            value = getattr(self, name)
            if value not in expected:
                raise SettingsError(f"{name} is {value!r}: expected {', '.join(expected)}")
        if self.request_timeout_ms < 1:
            raise SettingsError(f"request_timeout_ms is {self.request_timeout_ms}: expected at least 1")

    @classmethod
    def of(cls, given: KafkaSettings | Mapping[str, Any] | None) -> KafkaSettings:
        """Return the settings that the user means.

        Args:
            given: Settings; or a dict of them, by their names here or in librdkafka; or None for the environment's.

        Raises:
            SettingsError: A name or a value is unknown.
        """
        if isinstance(given, KafkaSettings):
            return given
        names = [field.name for field in dataclasses.fields(cls)]
        found: dict[str, Any] = {}
        for key, value in (given or {}).items():
            name = _DOTTED.get(key, key)
            if name not in names:
                raise _unknown(key, [*names, *_DOTTED], "the Kafka settings")
            found[name] = _converted(name, value)
        return cls(**found)

    def resolved(self, environment: Mapping[str, str]) -> KafkaSettings:
        """Return these settings with those of the environment over them, after checking that they fit together.

        Raises:
            SettingsError: They don't, or no broker is named.
        """
        names = {field.name.upper(): field.name for field in dataclasses.fields(self)}
        found: dict[str, Any] = {}
        for variable, value in environment.items():
            name = variable.removeprefix(self.env_prefix)
            if name == variable:
                continue
            if name in names:
                found[names[name]] = _converted(names[name], value)
            elif name.startswith(_STRICT):
                raise _unknown(variable, [self.env_prefix + name for name in names], "the environment")
        settings = dataclasses.replace(self, **found)
        settings._check()
        return settings

    def client_options(self) -> dict[str, Any]:
        """Return the arguments for aiokafka's client; the files with certificates are read now.

        Raises:
            SettingsError: A file can't be read.
        """
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id,
            "security_protocol": self.security_protocol,
            "request_timeout_ms": self.request_timeout_ms,
        }
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self._ssl_context()
        if self.security_protocol.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
            if self.sasl_mechanism == "OAUTHBEARER":
                options["sasl_oauth_token_provider"] = _Tokens(self.sasl_oauth_token)
        return options

    def _check(self) -> None:
        if not self.bootstrap_servers:
            raise SettingsError(
                f"no Kafka broker is named: set {self.env_prefix}BOOTSTRAP_SERVERS=host:9092, or give "
                f'kafka={{"bootstrap.servers": "host:9092"}} or kafka=KafkaSettings(bootstrap_servers="host:9092")'
            )
        if not self.security_protocol.startswith("SASL"):
            if self.sasl_username or self.sasl_password or self.sasl_oauth_token:
                raise SettingsError(
                    f"SASL credentials are given, but security_protocol is {self.security_protocol}, which doesn't use "
                    f"them: expected SASL_SSL"
                )
            return
        if self.security_protocol == "SASL_PLAINTEXT" and not self.allow_plaintext_sasl:
            raise SettingsError(
                "security_protocol is SASL_PLAINTEXT: anybody on the way could read the credentials. Use SASL_SSL, or "
                "set allow_plaintext_sasl=True where the network is trusted"
            )
        if self.sasl_mechanism == "OAUTHBEARER":
            if not callable(self.sasl_oauth_token):
                raise SettingsError("sasl_mechanism OAUTHBEARER needs sasl_oauth_token, an async function for tokens")
        elif not (self.sasl_username and self.sasl_password):
            raise SettingsError(f"sasl_mechanism {self.sasl_mechanism} needs sasl_username and sasl_password")

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ssl_ca)
            if self.ssl_certificate is not None:
                context.load_cert_chain(self.ssl_certificate, self.ssl_key, self.ssl_key_password)
        except OSError as error:
            files = [file for file in (self.ssl_ca, self.ssl_certificate, self.ssl_key) if file]
            missing = [file for file in files if not os.path.exists(file)]
            what = f"{missing[0]} does not exist" if missing else f"{error} ({', '.join(files)})"
            raise SettingsError(f"TLS for Kafka can't be set up: {what}; expected readable PEM files") from error
        return context


class _Tokens(AbstractTokenProvider):  # type: ignore[misc]
    """Gives aiokafka the tokens of a function."""

    def __init__(self, function: Any) -> None:
        self._function = function

    async def token(self) -> str:
        """Return a token."""
        token: str = await self._function()
        return token


def _converted(name: str, value: Any) -> Any:
    """Return a value of a setting, which may be text, as its type."""
    if name == "request_timeout_ms" and isinstance(value, str):
        if not value.isdigit():
            raise SettingsError(f"{name} is {value!r}: expected milliseconds")
        return int(value)
    if name == "allow_plaintext_sasl" and isinstance(value, str):
        if value.lower() not in ("true", "false", "1", "0"):
            raise SettingsError(f"{name} is {value!r}: expected true or false")
        return value.lower() in ("true", "1")
    if name in ("security_protocol", "sasl_mechanism") and isinstance(value, str):
        return value.upper()
    return value


def _unknown(name: str, known: list[str], where: str) -> SettingsError:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(sorted(known))}"
    return SettingsError(f"unknown setting {name!r} in {where}: {hint}")
