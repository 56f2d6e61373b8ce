"""Where tokens come from: a function, or an endpoint that knows the client."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from streamproc.connectors.kafka import Secret
from streamproc.connectors.kafka.tokens import NoTokenError, TokenEndpoint, Tokens
from tests.kafka.security_tokens import CLIENT_ID, CLIENT_SECRET, TokenServer


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with TokenServer.running() as server:
        yield server


def endpoint(server: TokenServer, path: str = "/token") -> TokenEndpoint:
    return TokenEndpoint(
        server.url.replace("/token", path), CLIENT_ID, Secret(CLIENT_SECRET), scope=None, timeout_ms=5_000
    )


async def test_an_endpoint_gives_a_token_to_a_client_that_it_knows(server: TokenServer) -> None:
    assert (await endpoint(server)()).count(".") == 2
    await replace(endpoint(server), scope="kafka all")()
    assert server.scopes == ["", "kafka all"]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/text", "gives no JSON"),
        ("/empty", "gives no access_token"),
        ("/moved", "answers 302 Found"),  # The credentials would go along.
    ],
)
async def test_an_endpoint_that_gives_none_is_an_error(server: TokenServer, path: str, problem: str) -> None:
    with pytest.raises(NoTokenError, match=rf"no token for Kafka: http://\S+{path} {problem}\. Check sasl_oauth_url"):
        await endpoint(server, path)()


async def test_an_endpoint_that_does_not_know_the_client_says_why(server: TokenServer) -> None:
    with pytest.raises(NoTokenError) as raised:
        await replace(endpoint(server), client_secret=Secret("wrong-and-secret"))()
    assert "answers 401 Unauthorized (invalid_client: who is that?). Check " in str(raised.value)
    assert "wrong-and-secret" not in str(raised.value)


async def test_an_endpoint_that_fails_or_is_away_may_be_asked_again(server: TokenServer) -> None:
    with pytest.raises(OSError, match="/broken answers 503"):
        await endpoint(server, "/broken")()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(OSError, match=r"can't be reached: .*refused"):
        await replace(endpoint(server), url=f"http://127.0.0.1:{port}/token")()


def test_an_endpoint_shows_no_secret(server: TokenServer) -> None:
    assert CLIENT_SECRET not in repr(endpoint(server))


async def test_a_function_gives_a_token() -> None:
    async def token() -> str:
        return "a token"

    assert await Tokens(token).token() == "a token"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (lambda: 1 / 0, "has failed with ZeroDivisionError"),
        (lambda: None, "has returned a value of type NoneType: expected a token as text"),
        (lambda: "", "has returned a value of type str: expected a token as text"),
        (lambda: b"hunter2", "has returned a value of type bytes: expected a token as text"),
    ],
)
async def test_a_function_that_gives_none_is_an_error(given: Any, problem: str) -> None:
    function: Callable[[], Awaitable[str]] = given
    with pytest.raises(NoTokenError, match=f"sasl_oauth_token {problem}"):
        await Tokens(function).token()
