"""Tokens for ``OAUTHBEARER``: from a function of the user's, or from an endpoint by the client's own credentials."""

# aiokafka has no type information for what it takes.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiokafka.abc import AbstractTokenProvider  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from .secret import Secret

__all__ = ["NoTokenError", "TokenEndpoint", "Tokens"]


class NoTokenError(KafkaError):  # type: ignore[misc]
    """There is no token, and a further attempt would give none; the message says why.

    A `KafkaError`: aiokafka's tasks that connect in the background live through no other.
    """


class Tokens(AbstractTokenProvider):  # type: ignore[misc]
    """Gives aiokafka the tokens of a function.

    Args:
        function: Called for each connection, without arguments.
    """

    def __init__(self, function: Callable[[], Awaitable[str]]) -> None:
        self._function = function

    async def token(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return a token.

        Raises:
            NoTokenError: The function failed, or returned none.
            OSError: It could not reach what it needs: worth a further attempt.
        """
        try:
            answer: Any = self._function()
            token: Any = (await answer) if inspect.isawaitable(answer) else answer
        except (KafkaError, OSError):
            raise
        except Exception as error:
            # Not its message, which may hold what it has sent.
            raise NoTokenError(f"sasl_oauth_token has failed with {type(error).__name__}") from error
        if not isinstance(token, str) or not token:
            # Not what it is: it could be half a token.
            raise NoTokenError(
                f"sasl_oauth_token has returned a value of type {type(token).__name__}: expected a token as text"
            )
        return token


@dataclass(frozen=True)
class TokenEndpoint:
    """Where a client gets tokens with its own credentials: OAuth 2.0, RFC 6749 section 4.4.

    Attributes:
        url: The endpoint.
        client_id: Who asks.
        client_secret: How that is proved.
        scope: What is asked for.
        timeout_ms: How long the endpoint has for an answer.
    """

    url: str
    client_id: str
    client_secret: Secret
    scope: str | None
    timeout_ms: int

    async def __call__(self) -> str:
        """Get a token.

        Raises:
            NoTokenError: The endpoint refuses the client, or gives something else.
            OSError: It can't be reached, or fails: worth a further attempt.
        """
        return await asyncio.to_thread(self._fetch)

    def _fetch(self) -> str:
        quote = urllib.parse.quote_plus  # RFC 6749 section 2.3.1
        credentials = f"{quote(self.client_id)}:{quote(self.client_secret.reveal())}".encode()
        form = {"grant_type": "client_credentials"} | ({"scope": self.scope} if self.scope else {})
        request = urllib.request.Request(  # noqa: S310 - settings have checked it
            self.url,
            urllib.parse.urlencode(form).encode(),
            {"Authorization": f"Basic {base64.b64encode(credentials).decode()}", "Accept": "application/json"},
        )
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=self.timeout_ms / 1000) as answer:
                told: Any = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code >= 500 or error.code == 429:
                    raise OSError(f"the token endpoint {self.url} answers {error.code} {error.reason}") from None
                raise self._refused(f"answers {error.code} {error.reason}{_reason(error.read(10_000))}") from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                # Not by ssl_ca, which is about brokers.
                raise self._refused(
                    "shows a certificate that no authority of the operating system has signed"
                ) from None
            raise OSError(f"the token endpoint {self.url} can't be reached: {error.reason}") from None
        except ValueError:
            raise self._refused("gives no JSON") from None
        match told:
            case {"access_token": str(token)} if token:
                return token
            case _:
                raise self._refused("gives no access_token")

    def _refused(self, what: str) -> NoTokenError:
        return NoTokenError(
            f"no token for Kafka: {self.url} {what}. Check sasl_oauth_url, sasl_oauth_client_id "
            f"({self.client_id!r}), sasl_oauth_client_secret and sasl_oauth_scope"
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the credentials would go along, to whatever host it names."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        return None


def _reason(body: bytes) -> str:
    """Return what an endpoint says of an error: RFC 6749 section 5.2."""
    try:
        told: Any = json.loads(body)
    except ValueError:
        return ""
    match told:
        case {"error": str(code), "error_description": str(text)}:
            return f" ({code:.200}: {text:.200})"
        case {"error": str(code)}:
            return f" ({code:.200})"
        case _:
            return ""
