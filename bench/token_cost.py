"""What a registry token costs, asked for with a secret that the server made: CPU time, so the machine may be busy."""

from __future__ import annotations

import base64
import json
from typing import Any

from bench import works
from bench.programs import Running
from bench.wire import Connection, build, expect

LIMIT = 0.003
"""Seconds of CPU for one; only passwords are slow, on purpose."""

_WARM, _TOKENS = 50, 400
_KINDS = {"a personal access token": "/tokens", "a robot's secret": "/robots"}


def measure(running: Running, admin: str, password: str) -> list[dict[str, Any]]:
    """A check for each kind of secret, of a server with accounts. Raises BenchError for any wrong answer."""
    connection = Connection(running.at)
    checks = []
    try:
        for kind, path in _KINDS.items():
            user, name = (admin, "bench") if path == "/tokens" else ("+bench", "+bench")
            made = _make(connection, path, basic(admin, password), name=name)
            if path == "/robots":
                _make(
                    connection,
                    "/projects/1/grants",
                    basic(admin, password),
                    kind="robot",
                    principal=name,
                    role="reader",
                )
            checks.append(_check(running, connection, kind, basic(user, made["secret"])))
    finally:
        connection.close()
    return checks


def basic(user: str, password: str) -> str:
    """The header line of HTTP Basic."""
    return f"Authorization: Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}\r\n"


def _check(running: Running, connection: Connection, kind: str, credentials: str) -> dict[str, Any]:
    path = f"/token?service=moorage&scope=repository:{works.REPOSITORY}:pull"
    request = build("GET", path, running.at, credentials, None)
    before = 0.0
    for number in range(_WARM + _TOKENS):
        if number == _WARM:
            before = running.cpu()
        expect(connection.ask(request), 200, f"a token for {kind}")
    value = (running.cpu() - before) / _TOKENS
    print(f"a token for {kind}: {value * 1e3:.2f} ms of CPU")
    return {"title": f"CPU of a registry token for {kind}", "value": value, "limit": LIMIT, "unit": "s"}


def _make(connection: Connection, path: str, credentials: str, **body: str) -> dict[str, Any]:
    headers = f"{credentials}Content-Type: application/json\r\n"
    request = build("POST", f"/api/v1{path}", connection.at, headers, json.dumps(body).encode())
    made: dict[str, Any] = json.loads(expect(connection.ask(request), 201, f"POST {path}").body)
    return made
