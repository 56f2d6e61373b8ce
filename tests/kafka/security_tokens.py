"""`TokenServer`: an OAuth 2.0 token endpoint on loopback, whose tokens nobody has signed."""

from __future__ import annotations

import base64
import json
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from streamproc.eventtime.clock import SystemClock

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "TokenServer", "unsigned_token"]

CLIENT_ID, CLIENT_SECRET = "client:1", "säcret & more"


def unsigned_token(user: str = "ann", *, lifetime_s: int = 3600) -> str:
    """Return a token as a broker takes it that checks no signatures: RFC 7519 section 6."""
    now = SystemClock().now() // 1000
    return ".".join([_encoded({"alg": "none"}), _encoded({"sub": user, "iat": now, "exp": now + lifetime_s}), ""])


class TokenServer:
    """Gives tokens to one client.

    Attributes:
        url: Where it is.
        scopes: What was asked for, one text a token.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.scopes: list[str] = []

    @classmethod
    @contextmanager
    def running(cls) -> Generator[TokenServer]:
        """Start one; it ends with the block. Its paths ``/broken``, ``/text``, ``/empty``, ``/moved`` give no token."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        endpoint = cls(f"http://127.0.0.1:{server.server_port}/token")
        server.__dict__["endpoint"] = endpoint
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        kind, _, coded = self.headers["Authorization"].partition(" ")
        client, _, secret = base64.b64decode(coded).decode().partition(":")
        known = (kind, unquote_plus(client), unquote_plus(secret)) == ("Basic", CLIENT_ID, CLIENT_SECRET)
        match self.path:
            case "/broken":
                self._answer(503, b"")
            case "/moved":
                self._answer(302, b"", Location="/token")
            case "/text":
                self._answer(200, b"no JSON")
            case "/empty":
                self._answer(200, b"{}")
            case _ if known and form["grant_type"] == ["client_credentials"]:
                endpoint: TokenServer = self.server.__dict__["endpoint"]
                endpoint.scopes += form.get("scope", [""])
                told = {"access_token": unsigned_token(client), "token_type": "Bearer"}
                self._answer(200, json.dumps(told).encode())
            case _:
                self._answer(401, json.dumps({"error": "invalid_client", "error_description": "who is that?"}).encode())

    def _answer(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log."""


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
