"""`KafkaSettings`: where settings come from, what they may be, and what fits together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamproc.connectors.kafka import KafkaSettings, KafkaSink, KafkaSource, Secret
from streamproc.errors import SettingsError

BROKER = {"bootstrap.servers": "a:9092"}
USER = {"sasl.mechanism": "PLAIN", "sasl.username": "ann", "sasl.password": "hunter2"}
ENDPOINT = {
    "sasl.oauthbearer.token.endpoint.url": "https://login/token",
    "sasl.oauthbearer.client.id": "me",
    "sasl.oauthbearer.client.secret": "hunter2",
}


async def token() -> str:
    return "a token"


def resolved(given: dict[str, Any] | None = None, /, **environment: str) -> KafkaSettings:
    return KafkaSettings.of(given).resolved(environment)


def refusal(given: dict[str, Any] | None = None, /, **environment: str) -> str:
    """Return why settings are refused; never with a secret."""
    with pytest.raises(SettingsError) as raised:
        resolved(given, **environment)
    assert "hunter2" not in repr(raised.value)
    return str(raised.value)


def test_names_of_librdkafka_say_the_same_as_keywords() -> None:
    dotted = {
        "bootstrap.servers": "a:9092, b:9093",
        "client.id": "me",
        "security.protocol": "sasl_ssl",
        "sasl.mechanisms": "scram-sha-256",
        "sasl.username": "ann",
        "sasl.password": "hunter2",
        "ssl.ca.location": "ca.pem",
        "ssl.certificate.location": "me.pem",
        "ssl.key.location": "key.pem",
        "ssl.key.password": "hunter2",
        "ssl.endpoint.identification.algorithm": "none",
        "socket.timeout.ms": 1500,
    }
    assert KafkaSettings.of(dotted) == KafkaSettings(
        bootstrap_servers="a:9092,b:9093",
        client_id="me",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_username="ann",
        sasl_password=Secret("hunter2"),
        ssl_ca=Path("ca.pem"),
        ssl_certificate="me.pem",
        ssl_key="key.pem",
        ssl_key_password="hunter2",
        ssl_check_hostname=False,
        request_timeout="1500ms",
    )
    assert KafkaSettings.of(ENDPOINT) == KafkaSettings(
        sasl_oauth_url="https://login/token", sasl_oauth_client_id="me", sasl_oauth_client_secret="hunter2"
    )


def test_each_name_is_a_variable_too() -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": "a:9092",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISMS": "PLAIN",
        "KAFKA_SASL_USERNAME": "ann",
        "KAFKA_SASL_PASSWORD": "hunter2",
        "KAFKA_SSL_CA_LOCATION": "ca.pem",
        "KAFKA_SSL_CHECK_HOSTNAME": "no",
        "KAFKA_SOCKET_TIMEOUT_MS": "1500",
    }
    assert resolved(None, **environment) == KafkaSettings(
        bootstrap_servers="a:9092",
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_username="ann",
        sasl_password="hunter2",
        ssl_ca="ca.pem",
        ssl_check_hostname=False,
        request_timeout="1s500ms",
    )


def test_the_environment_overrides_the_code_one_setting_at_a_time() -> None:
    settings = resolved(
        BROKER | {"client.id": "code", "request_timeout": "7s"},
        KAFKA_BOOTSTRAP_SERVERS="b:9092",
        KAFKA_CLIENT_ID="",  # Empty: not set.
    )
    assert (settings.bootstrap_servers, settings.client_id, settings.request_timeout) == ("b:9092", "code", "7s")


def test_a_second_cluster_has_a_prefix_of_its_own() -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "a:9092", "OTHER_BOOTSTRAP_SERVERS": "b:9092"}
    assert resolved(None, **environment).bootstrap_servers == "a:9092"
    assert resolved({"env_prefix": "OTHER_"}, **environment).bootstrap_servers == "b:9092"
    assert "set OTHER_BOOTSTRAP_SERVERS=host:9092" in refusal({"env_prefix": "OTHER_"})


def test_addresses_are_text_or_a_list() -> None:
    assert resolved({"bootstrap.servers": ["a", "[::1]:9092"]}).bootstrap_servers == "a,[::1]:9092"
    for wrong in ("a:b", "http://a:9092", "a:9092,,b:9092", ["a", ""], "a b"):
        assert 'expected "host:9092", several with commas between' in refusal({"bootstrap.servers": wrong})


def test_an_unknown_name_is_an_error_with_a_suggestion() -> None:
    assert "unknown setting 'sasl.pasword' in the Kafka settings: did you mean 'sasl.password'?" in refusal(
        {"sasl.pasword": "hunter2"}
    )
    assert "expected one of allow_plaintext_sasl, bootstrap.servers, " in refusal({"frobnicate": 1})


def test_an_unknown_variable_of_security_is_an_error_with_a_suggestion() -> None:
    assert refusal(BROKER, KAFKA_SASL_PASWORD="hunter2") == (
        "unknown setting 'KAFKA_SASL_PASWORD' in the environment: did you mean 'KAFKA_SASL_PASSWORD'?"
    )
    assert "KAFKA_SECURITY_PROTOCOL" in refusal(BROKER, KAFKA_SECURITY_PROTOCL="SSL")
    # Others mean something else: Kubernetes, for one, sets variables for each service.
    assert resolved(BROKER, KAFKA_HOME="/opt", KAFKA_PORT="tcp://10.0.0.1:9092", SASL_X="y") == KafkaSettings.of(BROKER)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("group.id", "KafkaSource(group=…)"),
        ("auto.offset.reset", "KafkaSource(start=…)"),
        ("compression.type", "KafkaSink(compression=…)"),
        ("sasl.jaas.config", "sasl.username and sasl.password"),
    ],
)
def test_what_others_keep_with_the_connection_is_told_its_place(name: str, instead: str) -> None:
    assert refusal({name: "hunter2"}) == f"{name!r} is no setting of the connection here: give {instead}"


def test_a_setting_is_given_once_or_twice_the_same() -> None:
    assert resolved(BROKER | {"metadata.broker.list": ["a:9092"]}) == KafkaSettings.of(BROKER)
    assert refusal(BROKER | {"sasl.password": "hunter2", "sasl_password": "hunter22"}) == (
        "'sasl.password' and 'sasl_password' in the Kafka settings are one setting, sasl_password, and differ: give "
        "one of them"
    )


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("security.protocol", "TLS", "'TLS': expected PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        ("security.protocol", "", "security_protocol is empty"),
        ("sasl.mechanism", "GSSAPI", "'GSSAPI': expected PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"),
        ("sasl.password", 7, "sasl_password is of type int: expected text or a Secret"),
        ("sasl_oauth_token", "hunter2", "sasl_oauth_token is of type str: expected an async function"),
        ("sasl_oauth_url", "login", "'login': expected https://host/path"),
        ("sasl_oauth_url", "https://me:hunter2@login/", "sasl_oauth_url has credentials in it"),
        ("ssl.ca.location", b"ca", "ssl_ca is of type bytes: expected text"),
        ("ssl_check_hostname", "perhaps", "'perhaps': expected true or false"),
        ("ssl.endpoint.identification.algorithm", "dns", "'dns': expected true or false"),
        ("request_timeout", "soon", 'expected a timedelta, or text such as "500ms"'),
        ("request.timeout.ms", "30s", "'30s' is no number: expected milliseconds"),
        ("client.id", " ", "client_id is empty"),
        ("env_prefix", "", "env_prefix is empty"),
    ],
)
def test_a_value_is_what_is_expected(name: str, value: Any, problem: str) -> None:
    assert problem in refusal(BROKER | {name: value})


def test_a_wrong_variable_is_named() -> None:
    assert refusal(BROKER, KAFKA_SECURITY_PROTOCOL="TLS").startswith("KAFKA_SECURITY_PROTOCOL in the environment: ")


def test_what_is_no_settings_is_refused_without_being_shown() -> None:
    wrong: Any = [("sasl.password", "hunter2")]
    assert refusal(wrong).startswith("kafka is of type list: expected KafkaSettings(…) or a dict such as {")


def test_a_broker_is_needed() -> None:
    assert "set KAFKA_BOOTSTRAP_SERVERS=host:9092, or give kafka={" in refusal()


def sasl(**changed: Any) -> dict[str, Any]:
    """Return settings for a user with a password over TLS, with some changed; None takes one out."""
    return BROKER | {"security.protocol": "SASL_SSL"} | USER | {k.replace("__", "."): v for k, v in changed.items()}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (BROKER | USER, "which does not authenticate by SASL: expected security_protocol='SASL_SSL' (KAFKA_SECURITY"),
        (sasl(security__protocol="SSL"), "is SSL, which does not authenticate by SASL"),
        (sasl(security__protocol="SASL_PLAINTEXT"), "Use SASL_SSL, or set allow_plaintext_sasl=True where the network"),
        (sasl(sasl__mechanism=None), "no mechanism is named: set sasl_mechanism (KAFKA_SASL_MECHANISM) to PLAIN, "),
        (sasl(sasl__username=None), "sasl_mechanism PLAIN needs sasl_username (KAFKA_SASL_USERNAME)"),
        (sasl(sasl__password=""), "sasl_mechanism PLAIN needs sasl_password (KAFKA_SASL_PASSWORD)"),
        (sasl(sasl_oauth_token=token), "sasl_mechanism is PLAIN, which has no use for sasl_oauth_token"),
        (sasl(sasl__mechanism="OAUTHBEARER"), "OAUTHBEARER, which has no use for sasl_password, sasl_username"),
        (BROKER | {"ssl.ca.location": "ca.pem"}, "which does not encrypt: expected security_protocol='SSL'"),
        (
            sasl(security__protocol="SASL_PLAINTEXT", ssl_ca="ca.pem"),
            "is SASL_PLAINTEXT, which does not encrypt: expected security_protocol='SASL_SSL'",
        ),
        (sasl(ssl_key="key.pem"), "ssl_key is given, and needs ssl_certificate (KAFKA_SSL_CERTIFICATE) too"),
        (sasl(ssl_key_password="hunter2"), "ssl_key_password is given, and needs ssl_certificate"),
    ],
)
def test_settings_fit_together(given: dict[str, Any], problem: str) -> None:
    assert problem in refusal(given)


def oauth(**changed: Any) -> dict[str, Any]:
    return BROKER | {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"} | changed


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (oauth(), "needs sasl_oauth_token (an async function), or sasl_oauth_url (KAFKA_SASL_OAUTH_URL) and "),
        (oauth(**ENDPOINT, sasl_oauth_token=token), "sasl_oauth_token and sasl_oauth_client_id are both given"),
        (oauth(sasl_oauth_client_id="me", sasl_oauth_client_secret="hunter2"), "needs sasl_oauth_url (KAFKA_SASL_OAU"),
        (oauth(sasl_oauth_token=token, sasl_oauth_scope="all"), "sasl_oauth_scope is given, and needs sasl_oauth_url"),
        (oauth(**ENDPOINT) | {next(iter(ENDPOINT)): "http://login"}, "Use https, or set"),
    ],
)
def test_tokens_come_from_one_place(given: dict[str, Any], problem: str) -> None:
    assert problem in refusal(given)


@pytest.mark.parametrize(
    "given",
    [
        BROKER,
        BROKER | {"security.protocol": "SSL"},
        BROKER | {"security.protocol": "SSL", "ssl.certificate.location": "me.pem", "ssl.key.password": "hunter2"},
        sasl(),
        sasl(sasl__mechanism="scram-sha-512"),
        sasl(security__protocol="SASL_PLAINTEXT", allow_plaintext_sasl=True),
        oauth(sasl_oauth_token=token),
        oauth(**ENDPOINT, sasl_oauth_scope="all"),
    ],
)
def test_settings_that_fit_together_are_left_as_they_are(given: dict[str, Any]) -> None:
    assert resolved(given) == KafkaSettings.of(given)


def test_what_the_code_lacks_the_environment_may_bring() -> None:
    given = sasl(sasl__password=None)
    assert resolved(given, KAFKA_SASL_PASSWORD="hunter2") == KafkaSettings.of(sasl())


def test_source_and_sink_take_all_forms_and_refuse_wrong_ones_at_once() -> None:
    settings = KafkaSettings.of(sasl())
    assert KafkaSource("in", kafka=sasl()) == KafkaSource("in", kafka=settings)
    assert KafkaSink[Any]("out", kafka=sasl()) == KafkaSink[Any]("out", kafka=settings)
    for make in (KafkaSource, KafkaSink):
        with pytest.raises(SettingsError, match=r"did you mean 'sasl\.password'"):
            make("topic", kafka={"sasl.passwort": "hunter2"})
