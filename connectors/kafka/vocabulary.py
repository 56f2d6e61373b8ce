"""The names that settings have, and the one form in which each value is kept.

A setting is known by its name in `KafkaSettings`, by the dotted names that librdkafka and Kafka's own clients have for
it, and by an environment variable for each of these. Values come as text, or as what Python has for them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from streamproc.durations import format_ms, to_ms
from streamproc.errors import PipelineError, SettingsError

from .secret import Secret

__all__ = ["FORMS", "MECHANISMS", "in_code", "in_environment", "recognized"]

_SERVER = re.compile(r"([^][/:\s]+|\[[0-9a-fA-F:.]+])(:\d{1,5})?")
_SWITCH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

_Form: TypeAlias = "Callable[[str, Any], Any]"
"""Returns the value of a setting in the form that it is kept in; given that form, it changes nothing."""


def _text(name: str, value: Any) -> str | None:
    given: Any = str(value) if isinstance(value, PurePath) else value
    if not isinstance(given, str | None):
        raise SettingsError(f"{name} is of type {type(given).__name__}: expected text")
    return given.strip() or None if given else None


def _necessary_text(name: str, value: Any) -> str:
    text = _text(name, value)
    if text is None:
        raise SettingsError(f"{name} is empty: expected text")
    return text


def _one_of(*expected: str) -> _Form:
    def form(name: str, value: Any) -> str | None:
        text = _text(name, value)
        if text is not None and text.upper() not in expected:
            raise SettingsError(f"{name} is {text!r}: expected {', '.join(expected)}")
        return text and text.upper()

    return form


def _secret(name: str, value: Any) -> Secret | None:
    if not isinstance(value, Secret | str | None):
        raise SettingsError(f"{name} is of type {type(value).__name__}: expected text or a Secret")
    return (Secret(value) if isinstance(value, str) else value) or None


def _switch(name: str, value: Any) -> bool:
    switch = _SWITCH.get(str(value).lower())
    if switch is None:
        raise SettingsError(f"{name} is {value!r}: expected true or false")
    return switch


def _duration(name: str, value: Any) -> str:
    try:
        return format_ms(to_ms(value, what=name))
    except PipelineError as error:
        raise SettingsError(str(error)) from None


def _function(name: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise SettingsError(f"{name} is of type {type(value).__name__}: expected an async function")
    return value


def _servers(name: str, value: Any) -> str | None:
    """Return addresses as one text; other clients take them as a list too."""
    given: list[Any] = [*value] if isinstance(value, list | tuple) else (_text(name, value) or "").split(",")
    servers = [str(server).strip() for server in given]
    if servers in ([], [""]):
        return None
    if not all(map(_SERVER.fullmatch, servers)):
        raise SettingsError(f'{name} is {value!r}: expected "host:9092", several with commas between')
    return ",".join(servers)


def _url(name: str, value: Any) -> str | None:
    text = _text(name, value)
    if text is None:
        return None
    url = urlsplit(text)
    if "@" in url.netloc:
        # Not the URL itself: it holds the secret.
        raise SettingsError(f"{name} has credentials in it: give sasl_oauth_client_id and sasl_oauth_client_secret")
    if url.scheme not in ("https", "http") or not url.netloc:
        raise SettingsError(f"{name} is {text!r}: expected https://host/path")
    return text


MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
"""The ways to authenticate by SASL."""

_PROTOCOL = _one_of("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")

FORMS: Final[Mapping[str, _Form]] = {
    "bootstrap_servers": _servers,
    "client_id": _necessary_text,
    "security_protocol": lambda name, value: _PROTOCOL(name, _necessary_text(name, value)),
    "sasl_mechanism": _one_of(*MECHANISMS),
    "sasl_username": _text,
    "sasl_password": _secret,
    "sasl_oauth_token": _function,
    "sasl_oauth_url": _url,
    "sasl_oauth_client_id": _text,
    "sasl_oauth_client_secret": _secret,
    "sasl_oauth_scope": _text,
    "ssl_ca": _text,
    "ssl_certificate": _text,
    "ssl_key": _text,
    "ssl_key_password": _secret,
    "ssl_check_hostname": _switch,
    "request_timeout": _duration,
    "allow_plaintext_sasl": _switch,
    "env_prefix": _necessary_text,
}
"""All settings, with the form of each."""

_CODE_ONLY = ("sasl_oauth_token", "env_prefix")


class _Name(NamedTuple):
    """What a name stands for: a setting, and what its values are there in terms of that setting."""

    setting: str
    convert: Callable[[Any], Any] = lambda value: value


def _milliseconds(value: Any) -> str:
    if not str(value).isdigit():
        raise SettingsError(f"{value!r} is no number: expected milliseconds")
    return f"{value}ms"


def _algorithm(value: Any) -> Any:
    """Return whether a host's name is checked: ``https`` says yes, ``none`` or nothing says no."""
    return {"https": True, "none": False, "": False}.get(str(value).lower(), value)


_DOTTED: Final[Mapping[str, _Name]] = {
    "bootstrap.servers": _Name("bootstrap_servers"),
    "metadata.broker.list": _Name("bootstrap_servers"),
    "client.id": _Name("client_id"),
    "security.protocol": _Name("security_protocol"),
    "sasl.mechanism": _Name("sasl_mechanism"),
    "sasl.mechanisms": _Name("sasl_mechanism"),
    "sasl.username": _Name("sasl_username"),
    "sasl.password": _Name("sasl_password"),
    "sasl.oauthbearer.token.endpoint.url": _Name("sasl_oauth_url"),
    "sasl.oauthbearer.client.id": _Name("sasl_oauth_client_id"),
    "sasl.oauthbearer.client.secret": _Name("sasl_oauth_client_secret"),
    "sasl.oauthbearer.scope": _Name("sasl_oauth_scope"),
    "ssl.ca.location": _Name("ssl_ca"),
    "ssl.certificate.location": _Name("ssl_certificate"),
    "ssl.key.location": _Name("ssl_key"),
    "ssl.key.password": _Name("ssl_key_password"),
    "ssl.endpoint.identification.algorithm": _Name("ssl_check_hostname", _algorithm),
    "socket.timeout.ms": _Name("request_timeout", _milliseconds),
    "request.timeout.ms": _Name("request_timeout", _milliseconds),
}

_ELSEWHERE: Final[Mapping[str, str]] = {
    "group.id": "KafkaSource(group=…)",
    "auto.offset.reset": "KafkaSource(start=…)",
    "isolation.level": "KafkaSource(isolation=…)",
    "compression.type": "KafkaSink(compression=…)",
    "compression.codec": "KafkaSink(compression=…)",
    "transaction.timeout.ms": "KafkaSink(transaction_timeout=…)",
    "sasl.jaas.config": "sasl.username and sasl.password",
    "ssl.truststore.location": "ssl.ca.location, a PEM file",
    "ssl.keystore.location": "ssl.certificate.location and ssl.key.location, PEM files",
}
"""What other clients keep with the connection or have in another form, and what to give here."""

_STRICT = ("SASL_", "SSL_", "SECURITY_")
"""Beginnings of variables, behind the prefix, that nobody but a client uses: an unknown one is a mistake. Others, such
as KAFKA_HOME, or KAFKA_PORT that Kubernetes sets, mean something else."""


def in_code() -> dict[str, _Name]:
    """Return the names that a dict of settings may have."""
    return {name: _Name(name) for name in FORMS} | dict(_DOTTED)


def in_environment(prefix: str, environment: Mapping[str, str]) -> tuple[dict[str, _Name], dict[str, str]]:
    """Return the variables that settings may have, and those that are set and mean a setting or a mistaken one."""
    names = {prefix + dotted.upper().replace(".", "_"): name for dotted, name in _DOTTED.items()}
    names |= {prefix + name.upper(): _Name(name) for name in FORMS if name not in _CODE_ONLY}
    strict = tuple(prefix + beginning for beginning in _STRICT)
    # One that is empty counts as not set.
    return names, {
        name: text for name, text in environment.items() if text and (name in names or name.startswith(strict))
    }


def recognized(given: Mapping[str, Any], names: Mapping[str, _Name], where: str) -> dict[str, Any]:
    """Return what is given by the settings' own names and in their forms.

    Raises:
        SettingsError: A name or a value is unknown, or a setting is given twice. No value of a secret is told.
    """
    found: dict[str, Any] = {}
    spelt: dict[str, str] = {}
    for key, value in given.items():
        if key not in names:
            raise _unknown(str(key), names, where)
        if value is None:
            continue
        setting, convert = names[key]
        try:
            kept = FORMS[setting](setting, convert(value))
        except SettingsError as error:
            raise error if key == setting else SettingsError(f"{key} in {where}: {error}") from None
        if setting in found and found[setting] != kept:
            raise SettingsError(
                f"{spelt[setting]!r} and {key!r} in {where} are one setting, {setting}, and differ: give one of them"
            )
        found[setting], spelt[setting] = kept, key
    return found


def _unknown(key: str, names: Mapping[str, _Name], where: str) -> SettingsError:
    if key in _ELSEWHERE:
        return SettingsError(f"{key!r} is no setting of the connection here: give {_ELSEWHERE[key]}")
    close = difflib.get_close_matches(key, sorted(names), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(sorted(names))}"
    return SettingsError(f"unknown setting {key!r} in {where}: {hint}")
