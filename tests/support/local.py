"""A server with accounts of its own, for tests over a socket: tokens, and secrets put straight into its database."""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import urlencode

from moorage.auth.passwords import hash_password
from moorage.auth.random_secrets import PAT, ROBOT, hash_secret, new_secret
from tests.support import direct
from tests.support.server import Server
from tests.support.wire import Client

PASSWORD = "correct horse battery"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
Header = tuple[str, str]


def basic(user: str, password: str) -> Header:
    """The header of HTTP Basic."""
    return "Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def bearer(token: str) -> Header:
    """The header with a token."""
    return "Authorization", f"Bearer {token}"


class Accounts:
    """The rows of a server's accounts."""

    def __init__(self, server: Server) -> None:
        self._url = server.database_url

    def run(self, statement: str, *values: object) -> int:
        """Change something; the id of the row that was added, where the table has ids."""
        return direct.run(self._url, statement, *values)

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Read something."""
        return direct.rows(self._url, statement, *values)

    def user(self, name: str, password: str = PASSWORD, *, admin: bool = True) -> int:
        """A user of that name."""
        statement = (
            "INSERT INTO users (name, email, password, admin, disabled, source, epoch, created_at, updated_at, version)"
            " VALUES (?, '', ?, ?, FALSE, 'local', 0, 1, 1, 1)"
        )
        return self.run(statement, name, hash_password(password), admin)

    def pat(self, user_id: int, scopes: str = "[]") -> str:
        """A personal access token."""
        secret = new_secret(PAT)
        statement = "INSERT INTO access_tokens (user_id, name, hash, scopes, created_at, version) VALUES (?,?,?,?,1,1)"
        self.run(statement, user_id, secret[-8:], hash_secret(secret), scopes)
        return secret

    def robot(self, name: str, role: str = "") -> str:
        """A robot's secret; the robot is one of the system, with a role everywhere or none."""
        secret = new_secret(ROBOT)
        row = self.run(_ROBOT, name)
        if role:
            self.run(_GRANT, row, role)
        statement = "INSERT INTO robot_secrets (robot_id, hash, created_at) VALUES (?,?,1)"
        self.run(statement, row, hash_secret(secret))
        return secret

    def audit(self, action: str) -> list[tuple[Any, ...]]:
        """Outcome, actor, credential and detail of all entries of an action, once they were written."""
        time.sleep(1.5)
        return self.rows("SELECT outcome, actor, credential, detail FROM audit WHERE action=? ORDER BY id", action)


_ROBOT = """
INSERT INTO robots (name, description, disabled, epoch, created_at, created_by, version) VALUES (?,'',FALSE,0,1,'',1)
"""

_GRANT = """
INSERT INTO grants (project_id, pattern, principal_kind, principal_id, effect, role, actions, note, created_at,
    created_by, version) VALUES (1, '', 'robot', ?, 'allow', ?, '', '', 1, '', 1)
"""


def ask_token(client: Client, who: Header | None, *scopes: str, **more: str) -> dict[str, Any]:
    """GET /token; what was answered with 200."""
    query = urlencode([("service", "moorage"), *(("scope", scope) for scope in scopes), *more.items()])
    answer = client.ask("GET", f"/token?{query}", [who] if who else [])
    assert answer.status == 200, answer.body
    parsed: dict[str, Any] = json.loads(answer.body)
    return parsed
