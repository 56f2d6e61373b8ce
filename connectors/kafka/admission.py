"""Why a broker doesn't let this client in, where no further attempt would change it.

aiokafka's client only says that it can't connect. What the broker has said is in its log, or is not said at all: a
broker that expects TLS, or SASL, hangs up on who begins with something else. So after a failure this connects to the
first brokers once more, by itself, and tries what else they could expect.
"""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

from aiokafka.conn import collect_hosts, create_conn  # type: ignore[import-untyped]
from aiokafka.errors import (  # type: ignore[import-untyped]
    IllegalSaslStateError,
    KafkaError,
    NoError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    for_code,
)
from aiokafka.protocol.admin import SaslAuthenticateRequest, SaslHandShakeRequest  # type: ignore[import-untyped]
from aiokafka.protocol.metadata import MetadataRequest  # type: ignore[import-untyped]

from streamproc.errors import SettingsError

from .tokens import NoTokenError

__all__ = ["check_admission"]

_ANSWER_MS = 5_000
"""How long a broker has for an answer here: one that is slow is none that refuses."""


async def check_admission(options: Mapping[str, Any]) -> None:
    """Raise an error if a broker refuses this client, which no further attempt would change.

    Brokers that can't be reached are no reason: they may come back.

    Args:
        options: What `KafkaSettings.client_options` has returned.

    Raises:
        SettingsError: The user, the password, the token, the mechanism, the protocol or a certificate is refused.
    """
    rest = {name: value for name, value in options.items() if name != "bootstrap_servers"}
    rest["request_timeout_ms"] = min(_ANSWER_MS, options["request_timeout_ms"])
    for host, port, _ in collect_hosts(options["bootstrap_servers"], randomize=False):
        try:
            await _enter(host, port, rest)
        except (KafkaError, OSError) as error:
            why = _said(error, rest) or await _unsaid(host, port, rest)
            if why is not None:
                raise SettingsError(f"Kafka at {host}:{port} {why}") from error
        else:
            return


async def _enter(host: str, port: int, options: Mapping[str, Any]) -> None:
    """Connect, authenticate, and ask something that a broker tells to those only that it lets in."""
    connection: Any = await create_conn(host, port, **options)
    try:
        answer = await connection.send(MetadataRequest([]))
    finally:
        await connection.close()
    if not answer.brokers and options.get("sasl_mechanism") == "OAUTHBEARER":
        await _offer_token(host, port, options)


async def _offer_token(host: str, port: int, options: Mapping[str, Any]) -> None:
    """Authenticate by a token, step by step: aiokafka 0.14 takes the refusal of one for its acceptance.

    Raises:
        SaslAuthenticationFailed: It is refused; the broker's reason is in the message.
    """
    connection: Any = await create_conn(host, port, **_without_sasl(options))
    try:
        await connection.send(SaslHandShakeRequest("OAUTHBEARER"))
        token = await options["sasl_oauth_token_provider"].token()
        answer = await connection.send(SaslAuthenticateRequest(f"n,,\x01auth=Bearer {token}\x01\x01".encode()))
    finally:
        await connection.close()
    if answer.error_code or answer.sasl_auth_bytes:
        # RFC 7628 section 3.2.2: the reason is a challenge, not yet an error.
        raise SaslAuthenticationFailed(answer.error_message or answer.sasl_auth_bytes.decode(errors="replace"))


def _without_sasl(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options for a connection on which nobody has authenticated yet."""
    rest = {name: value for name, value in options.items() if not name.startswith("sasl_")}
    return rest | {"security_protocol": options["security_protocol"].removeprefix("SASL_")}


def _said(error: BaseException, options: Mapping[str, Any]) -> str | None:
    """Return how a connection was refused, as far as the broker has said it; None if it has not."""
    mechanism, user = options.get("sasl_mechanism"), options.get("sasl_plain_username")
    match error:
        case NoTokenError():
            return f"was not asked to let this client in: {error.args[0]}"
        case SaslAuthenticationFailed():
            who, check = f"user {user!r}", "sasl_username and sasl_password"
            if mechanism == "OAUTHBEARER":
                who, check = "the token", "what gives the tokens"
            return f"refuses {who} by {mechanism}: {error.args[0] or 'no reason given'}. Check {check}"
        case UnsupportedSaslMechanismError():
            return f"does not let clients in by {mechanism}: set sasl_mechanism to one that it has"
        case IllegalSaslStateError():
            protocol = options["security_protocol"].removeprefix("SASL_")
            return f"has no SASL on this port: connect to another, or set security_protocol to {protocol}"
        case ssl.SSLCertVerificationError():
            return (
                f"shows a certificate that is not trusted: {error.verify_message}. Check that ssl_ca has the authority "
                f"that signed it, and that the certificate is for this host"
            )
        case ssl.SSLError() if "CERTIFICATE" in (error.reason or "") or "UNKNOWN_CA" in (error.reason or ""):
            return f"refuses the client's certificate ({error.reason}). Check ssl_certificate and ssl_key"
        case _:
            return None if error.__cause__ is None else _said(error.__cause__, options)


async def _unsaid(host: str, port: int, options: Mapping[str, Any]) -> str | None:
    """Return what a broker expects that has hung up, or None if it is not that."""
    protocol = options["security_protocol"]
    plain = {"security_protocol": "PLAINTEXT", "request_timeout_ms": options["request_timeout_ms"]}
    if not protocol.endswith("SSL") and await _speaks_tls(host, port, options["request_timeout_ms"]):
        return (
            f"expects TLS on this port, and security_protocol is {protocol}: connect to another, or set "
            f"security_protocol to SSL or SASL_SSL"
        )
    if protocol.endswith("SSL") and await _mechanisms(host, port, plain) is not None:
        return (
            f"does not encrypt on this port, and security_protocol is {protocol}: connect to another; without "
            f"encryption it is {protocol.replace('SASL_SSL', 'SASL_PLAINTEXT').replace('SSL', 'PLAINTEXT')}"
        )
    if not protocol.startswith("SASL") and (mechanisms := await _mechanisms(host, port, options)):
        return (
            f"expects SASL on this port, and security_protocol is {protocol}: connect to another, or set "
            f"security_protocol to SASL_{protocol} and sasl_mechanism to one of {', '.join(mechanisms)}"
        )
    return None


async def _speaks_tls(host: str, port: int, timeout_ms: int) -> bool:
    """Return whether a port answers to TLS, by whatever certificate: nothing is sent to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except OSError:
        return False
    writer.transport.abort()
    return True


async def _mechanisms(host: str, port: int, options: Mapping[str, Any]) -> list[str] | None:
    """Return the mechanisms of SASL that a broker has on a port, none if it has no SASL; None if it does not answer."""
    try:
        connection: Any = await create_conn(host, port, **options)
    except (KafkaError, OSError):
        return None
    try:
        answer = await connection.send(SaslHandShakeRequest("PLAIN"))
    except (KafkaError, OSError):
        return None
    finally:
        await connection.close()
    known = for_code(answer.error_code) in (NoError, UnsupportedSaslMechanismError)
    return sorted(answer.enabled_mechanisms) if known else []
