"""Secrets are sent to brokers and shown nowhere."""

from __future__ import annotations

import dataclasses
import json
import pprint
from typing import Any

import pytest

from streamproc.connectors.kafka import KafkaSettings, KafkaSink, KafkaSource, Secret

SETTINGS = KafkaSettings(
    bootstrap_servers="a:9092",
    security_protocol="SASL_SSL",
    sasl_mechanism="PLAIN",
    sasl_username="ann",
    sasl_password="hunter2",
    sasl_oauth_client_secret="hunter2",
    ssl_key_password="hunter2",
)


@pytest.mark.parametrize(
    "shown",
    [
        repr(SETTINGS),
        str(SETTINGS),
        f"{SETTINGS} {SETTINGS!r} {SETTINGS.sasl_password} {SETTINGS.sasl_password!r:>20}",
        "%s %r" % (SETTINGS.sasl_password, SETTINGS.sasl_password),  # noqa: UP031 - as logging formats
        repr(dataclasses.asdict(SETTINGS)),
        repr(dataclasses.astuple(SETTINGS)),
        pprint.pformat(dataclasses.asdict(SETTINGS)),
        json.dumps(dataclasses.asdict(SETTINGS), default=repr),
        repr(vars(SETTINGS)),
        repr(KafkaSource[Any]("in", kafka=SETTINGS)),
        repr(KafkaSink[Any]("out", kafka=SETTINGS)),
        repr(dataclasses.replace(SETTINGS, sasl_username="bob")),
    ],
)
def test_a_secret_is_not_shown(shown: str) -> None:
    assert "hunter2" not in shown
    assert "***" in shown


def test_a_secret_is_told_to_who_asks_for_it() -> None:
    assert isinstance(SETTINGS.sasl_password, Secret)
    assert SETTINGS.sasl_password.reveal() == "hunter2"


def test_secrets_are_equal_if_their_texts_are() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert {Secret("a"): 1}[Secret("a")] == 1
    assert (bool(Secret("a")), bool(Secret("")), repr(Secret(""))) == (True, False, "Secret('')")
