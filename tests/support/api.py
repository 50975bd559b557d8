"""The management API of a server, as tests ask it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.secrets_used import note
from tests.support.server import Server

ADMIN = "admin"
ADMIN_PASSWORD = "a password of tests"
LOCAL: Mapping[str, Any] = {
    "arguments": ["--auth", "local"],
    "environment": {"MOORAGE_ADMIN_PASSWORD": ADMIN_PASSWORD},
}
"""How a server with accounts of its own is started: `SERVER = LOCAL` in a module of tests/wire."""

PROBLEM = "application/problem+json"


class Api:
    """One who asks.

    Args:
        server: whom.
        user, password: Basic; without a user the password goes as a Bearer token; without both nothing goes.
    """

    def __init__(self, server: Server, user: str = "", password: str = "", **headers: str) -> None:
        note(password)
        auth = httpx.BasicAuth(user, password) if user else None
        if password and not user:
            headers["authorization"] = f"Bearer {password}"
        self.link = httpx.Client(base_url=server.base, auth=auth, headers=headers, timeout=30)

    def ask(self, method: str, path: str, body: Any = None, **how: Any) -> httpx.Response:
        """The answer; `path` is below `/api/v1`."""
        return self.link.request(method, f"/api/v1{path}", json=body, **how)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of an answer with 200."""
        answer = self.ask("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def make(self, path: str, **body: Any) -> Any:
        """The JSON of an answer with 201."""
        answer = self.ask("POST", path, body)
        assert answer.status_code == 201, answer.text
        return answer.json()


@contextmanager
def asking(server: Server, user: str = ADMIN, password: str = ADMIN_PASSWORD, **headers: str) -> Iterator[Api]:
    """A client for the length of a `with`; the admin's by default."""
    api = Api(server, user, password, **headers)
    try:
        yield api
    finally:
        api.link.close()


def check_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of an answer (RFC 9457), which must be complete."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["type"] == "about:blank"
    assert found["title"]
    assert found["detail"]
    assert found["code"]
    assert found["instance"] == answer.headers["x-request-id"]
    return found
