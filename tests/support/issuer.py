"""An issuer of tokens that a test controls: it signs whatever it is told to, and publishes what it is told to."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

WELL_KNOWN = "/.well-known/openid-configuration"
AUDIENCE = "https://registry.example.com"


def encode(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public(key: Key, kid: str | None, **more: Any) -> dict[str, Any]:
    """The public half as a JWK."""
    return {**key.as_dict(private=False), **({"kid": kid} if kid else {}), **more}


def sign(header: dict[str, Any], claims: Any, key: Key, algorithm: str | None = None) -> str:
    """A token with exactly this header; signed by `algorithm` whatever the header says."""
    data = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"
    signature = JWSRegistry.algorithms[algorithm or header["alg"]].sign(data.encode(), key)
    return f"{data}.{encode(signature)}"


def sign_shared(header: dict[str, Any], claims: Any, secret: bytes) -> str:
    """A token with exactly this header, and an HMAC for its signature."""
    data = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"
    return f"{data}.{encode(hmac.digest(secret, data.encode(), 'sha' + header['alg'][-3:]))}"


class Issuer:
    """An issuer on a port of this machine.

    Attributes:
        url: its identifier.
        key, kid: what it signs with.
        document, keys: what it publishes.
        answer: status, headers and body for every request instead; None for the usual.
        asked: paths of the requests that came.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.key = RSAKey.generate_key(2048)
        self.kid = "first"
        self.document: dict[str, Any] = {"issuer": url, "jwks_uri": f"{url}/keys"}
        self.keys: list[dict[str, Any]] = [public(self.key, self.kid, use="sig", alg="RS256")]
        self.answer: tuple[int, dict[str, str], bytes] | None = None
        self.asked: list[str] = []

    def rotate(self, kid: str) -> None:
        """Sign with another key from now on, and publish that one only."""
        self.key, self.kid = RSAKey.generate_key(2048), kid
        self.keys = [public(self.key, kid, use="sig", alg="RS256")]

    def claims(self, **more: Any) -> dict[str, Any]:
        """Claims that are good now; None takes one away."""
        now = int(time.time())
        base = {"iss": self.url, "aud": AUDIENCE, "sub": "job:1", "iat": now, "nbf": now - 5, "exp": now + 300}
        return {name: value for name, value in {**base, **more}.items() if value is not None}

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token of its own."""
        return sign({"alg": "RS256", "typ": "JWT", "kid": self.kid, **(header or {})}, self.claims(**claims), self.key)


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer for the length of a `with`."""
    made: list[Issuer] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            issuer = made[0]
            issuer.asked.append(self.path)
            if issuer.answer is not None:
                self._send(*issuer.answer)
            elif self.path == WELL_KNOWN:
                self._send(200, {}, json.dumps(issuer.document).encode())
            elif self.path == "/keys":
                self._send(200, {}, json.dumps({"keys": issuer.keys}).encode())
            else:
                self._send(404, {}, b"{}")

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it that
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.append(Issuer(f"http://127.0.0.1:{server.server_address[1]}"))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield made[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def other_keys() -> dict[str, Key]:
    """A key for each algorithm that is not RSA's."""
    return {
        "ES256": ECKey.generate_key("P-256"),
        "ES384": ECKey.generate_key("P-384"),
        "ES512": ECKey.generate_key("P-521"),
        "EdDSA": OKPKey.generate_key("Ed25519"),
    }
