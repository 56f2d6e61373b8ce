"""What is wrong with a file of certificates or keys is said with the setting that names it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from streamproc.connectors.kafka import KafkaSettings
from streamproc.errors import SettingsError
from tests.kafka.security_certificates import KEY_PASSWORD, Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.made_in(tmp_path_factory.mktemp("certificates"))


def context(**given: Any) -> ssl.SSLContext:
    settings = KafkaSettings(bootstrap_servers="a:9092", security_protocol="SSL", **given)
    found = settings.client_options()["ssl_context"]
    assert isinstance(found, ssl.SSLContext)
    return found


def refusal(**given: Any) -> str:
    with pytest.raises(SettingsError) as raised:
        context(**given)
    assert "hunter2" not in str(raised.value)
    return str(raised.value)


def test_by_default_brokers_are_known_by_the_authorities_of_the_system() -> None:
    made = context()
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert made.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context(ssl_check_hostname=False).verify_mode == ssl.CERT_REQUIRED


def test_an_own_authority_replaces_them(certificates: Certificates) -> None:
    [known] = context(ssl_ca=certificates.authority).get_ca_certs()
    assert known["subject"] == ((("commonName", "authority"),),)


@pytest.mark.parametrize("setting", ["ssl_ca", "ssl_certificate", "ssl_key"])
def test_a_file_that_is_not_there_is_named(certificates: Certificates, setting: str) -> None:
    given: dict[str, Any] = {"ssl_certificate": certificates.client, setting: "/no/such.pem"}
    told = refusal(**given)
    assert told == f"{setting} is /no/such.pem, which can't be read: No such file or directory; expected a PEM file"


def test_a_file_without_a_certificate_is_named(certificates: Certificates, tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("hello")
    expected = f"is {text}, where no certificate is found: expected a PEM file"
    assert refusal(ssl_ca=text) == f"ssl_ca {expected}"
    assert refusal(ssl_certificate=text, ssl_key=certificates.key(certificates.client)) == f"ssl_certificate {expected}"


def test_a_file_without_a_key_is_named(certificates: Certificates) -> None:
    told = refusal(ssl_certificate=certificates.client)
    assert told.startswith(f"ssl_certificate is {certificates.client}, from which no private key can be read: ")


def test_a_key_of_another_certificate_is_named(certificates: Certificates) -> None:
    own, other = certificates.client, certificates.key(certificates.broker)
    told = refusal(ssl_certificate=own, ssl_key=other)
    assert told == f"ssl_key is {other}, whose key does not fit the certificate {own}"


def test_an_encrypted_key_needs_its_password(certificates: Certificates) -> None:
    files = {"ssl_certificate": certificates.client, "ssl_key": certificates.encrypted_key}
    assert refusal(**files).endswith("and its private key is encrypted: give its password in ssl_key_password")
    assert "no private key can be read" in refusal(**files, ssl_key_password="hunter2")
    context(**files, ssl_key_password=KEY_PASSWORD)
