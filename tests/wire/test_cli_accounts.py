"""`moorage user`, `group`, `robot`, `token`, `trust` and `k8s` as a user runs them: on a root, and against a server."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from moorage.cli import app
from moorage.metadata.migrate import migrate
from tests.support.api import ADMIN, ADMIN_PASSWORD, LOCAL, asking
from tests.support.nursery import nursery
from tests.support.server import Server

SERVER = LOCAL
DATABASES = ("sqlite", "postgresql")
GOOD = "correct horse battery"
BETTER = "staple correct horse"
ROBOT_SECRET = re.compile(r"mrg_rob_[A-Za-z0-9_-]{43}\n")


@dataclass
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Shell:
    """Runs `moorage` with some options at the end: as a process of its own, or inside of this one, which is quicker."""

    options: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    inside: bool = False
    first: str = ""
    """What stands before everything else on standard input."""

    def run(self, *words: str, given: str = "", status: int = 0) -> Done:
        """A command with its standard input; it must end with that status."""
        command, given = [*words, *self.options], self.first + given
        ended = self._inside(command, given) if self.inside else self._process(command, given)
        assert ended.status == status, (command, ended.out, ended.err)
        assert "Traceback" not in ended.err
        return ended

    def _inside(self, command: list[str], given: str) -> Done:
        result = CliRunner().invoke(app, command, input=given, env=self.environment, catch_exceptions=False)
        return Done(result.exit_code, result.stdout, result.stderr)

    def _process(self, command: list[str], given: str) -> Done:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "MOORAGE_"))}
        ended = nursery().run(command, {**clean, **self.environment}, given)
        return Done(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def on_root(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Commands on a root, without a server."""
    root = tmp_path_factory.mktemp("root")
    migrate(f"sqlite:///{root / 'moorage.db'}")
    return Shell(("--root", str(root)), inside=True)


@pytest.fixture(scope="module")
def on_root_outside(on_root: Shell) -> Shell:
    """The same as processes of their own."""
    return Shell(on_root.options)


@pytest.fixture
def by_admin(server: Server) -> Shell:
    """Commands that ask the server, as the admin."""
    who = {"MOORAGE_USER": ADMIN}
    return Shell(("--server", server.base, "--password-stdin"), who, first=f"{ADMIN_PASSWORD}\n")


def test_users_on_a_root(on_root: Shell) -> None:
    made = on_root.run("user", "create", "Alice", "--email", "a@example.com", "--new-password-stdin", given=f"{GOOD}\n")
    assert "alice" in made.out
    shown = on_root.run("user", "show", "alice", "--json").json()
    assert (shown["name"], shown["email"], shown["has_password"]) == ("alice", "a@example.com", True)
    on_root.run("user", "create", "bob", "--no-password")
    assert [user["name"] for user in on_root.run("user", "list", "--json").json()] == ["alice", "bob"]
    listed = on_root.run("user", "list", "--prefix", "b").out
    assert "bob" in listed
    assert "alice" not in listed
    changed = on_root.run("user", "change", "bob", "--disable", "--json").json()
    assert changed["disabled"]
    on_root.run("user", "password", "alice", "--new-password-stdin", given=f"{BETTER}\n")
    on_root.run("group", "create", "Team Blue", "--description", "those in blue")
    on_root.run("group", "add", "Team Blue", "alice", "bob")
    on_root.run("group", "remove", "Team Blue", "bob")
    assert [one["name"] for one in on_root.run("group", "members", "Team Blue", "--json").json()] == ["alice"]
    on_root.run("group", "change", "Team Blue", "--description", "others")
    assert on_root.run("group", "show", "Team Blue", "--json").json()["description"] == "others"
    on_root.run("group", "delete", "Team Blue")
    assert on_root.run("group", "list", "--json").json() == []
    on_root.run("user", "delete", "bob")
    assert "no user bob" in on_root.run("user", "show", "bob", status=1).err


def test_what_makes_no_sense(on_root: Shell) -> None:
    assert "8 characters" in on_root.run("user", "create", "x", "--new-password-stdin", given="short\n", status=1).err
    assert "standard input" in on_root.run("user", "create", "x", status=2).err
    assert "Nothing is to be changed" in on_root.run("robot", "change", "+x", status=2).err
    assert "PATTERN:ACTIONS" in on_root.run("robot", "create", "+x", "--allow", "pull", status=2).err
    on_root.run("robot", "create", "+sense")
    rule = ("trust", "create", "x", "--robot", "+sense", "--issuer", "https://i.example", "--audience", "a")
    assert "CLAIM=VALUE" in on_root.run(*rule, "--equals", "b", status=2).err
    assert "no JSON" in on_root.run(*rule, "--condition", "{", status=2).err
    on_root.run("robot", "delete", "+sense")


def test_robots_tokens_and_rules_on_a_root(on_root: Shell) -> None:
    made = on_root.run("robot", "create", "+ci", "--role", "reader", "--allow", "team/*:pull,push", "--days", "3")
    assert ROBOT_SECRET.fullmatch(made.out)
    assert made.out.strip() not in made.err
    rotated = on_root.run("robot", "rotate", "+ci", "--overlap", "60", "--json").json()
    assert len(rotated["robot"]["secrets"]) == 2
    kept = on_root.run("robot", "change", "+ci", "--days", "0", "--description", "builds", "--json").json()
    assert (kept["expires_at"], kept["description"]) == (None, "builds")
    assert [robot["name"] for robot in on_root.run("robot", "list", "--system", "--json").json()] == ["+ci"]
    on_root.run("user", "create", "carol", "--no-password")
    scope = "repository:team/**:pull"
    token = on_root.run("token", "create", "laptop", "--owner", "carol", "--scope", scope, "--days", "5")
    assert re.fullmatch(r"mrg_pat_[A-Za-z0-9_-]{43}\n", token.out)
    assert on_root.run("token", "list", "--owner", "carol", "--json").json()[0]["scopes"] == [scope]
    on_root.run("token", "revoke", "laptop", "--owner", "carol")
    assert "no token" in on_root.run("token", "show", "laptop", "--owner", "carol", status=1).err
    issuer = "https://token.actions.githubusercontent.com"
    more = ("--equals", "repository=a/b", "--condition", '{"claim": ["x", "y"], "one_of": [1, 2]}')
    on_root.run("trust", "create", "web", "--robot", "+ci", "--issuer", issuer, "--audience", "here", *more)
    rule = on_root.run("trust", "show", "web", "--json").json()
    assert rule["conditions"] == [
        {"claim": "repository", "equals": "a/b"},
        {"claim": ["x", "y"], "one_of": [1, 2]},
    ]
    assert on_root.run("trust", "change", "web", "--disable", "--json").json()["disabled"]
    assert len(on_root.run("trust", "list", "--robot", "+ci", "--json").json()) == 1
    on_root.run("robot", "create", "+cd")
    on_root.run("trust", "create", "web", "--robot", "+cd", "--issuer", issuer, "--audience", "here", *more)
    assert "--robot" in on_root.run("trust", "show", "web", status=1).err
    on_root.run("trust", "delete", "web", "--robot", "+cd")
    on_root.run("robot", "delete", "+cd")
    on_root.run("trust", "delete", "web")
    on_root.run("robot", "delete", "+ci")
    assert on_root.run("robot", "list", "--json").json() == []


def test_against_a_server(server: Server, by_admin: Shell) -> None:
    by_admin.run("user", "create", "dave", "--new-password-stdin", given=f"{GOOD}\n")
    own = Shell(("--server", server.base, "--user", "dave", "--password-stdin"))
    secret = own.run("token", "create", "laptop", given=f"{GOOD}\n").out.strip()
    with asking(server, "dave", secret) as api:
        assert api.get("/me")["name"] == "dave"
    assert "Only an admin" in own.run("user", "create", "erin", "--no-password", given=f"{GOOD}\n", status=1).err
    both = f"{GOOD}\n{GOOD}\n{BETTER}\n"  # who asks, the old one, the new one
    own.run("user", "password", "dave", "--new-password-stdin", given=both)
    assert own.run("token", "list", "--json", given=f"{BETTER}\n").json() == []
    wrong = own.run("user", "list", given="wrong\n", status=1)
    assert "wrong" in wrong.err
    nobody = Shell(("--server", server.base))
    assert "--user" in nobody.run("user", "list", status=1).err
    for text in (GOOD, BETTER, ADMIN_PASSWORD, secret):
        assert text not in server.log()


def test_a_pull_secret(server: Server, by_admin: Shell) -> None:
    first = by_admin.run("robot", "create", "+cluster").out.strip()
    made = by_admin.run("k8s", "pull-secret", "+cluster", "--namespace", "apps", "--name", "registry.pull")
    manifest = yaml.safe_load(made.out)
    assert {key: manifest[key] for key in ("apiVersion", "kind", "type")} == {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/dockerconfigjson",
    }
    assert manifest["metadata"] == {"name": "registry.pull", "namespace": "apps"}
    assert set(manifest) == {"apiVersion", "kind", "type", "metadata", "data"}
    config = json.loads(base64.b64decode(manifest["data"][".dockerconfigjson"], validate=True))
    entry = config["auths"][f"127.0.0.1:{server.port}"]
    assert base64.b64decode(entry["auth"]).decode() == f"{entry['username']}:{entry['password']}"
    assert entry["username"] == "+cluster"
    for secret in (first, entry["password"]):
        with asking(server, "+cluster", secret) as api:
            assert api.get("/me")["kind"] == "robot"


def test_a_pull_secret_of_a_secret_that_is_there(on_root: Shell, on_root_outside: Shell) -> None:
    secret = on_root_outside.run("robot", "create", "+node").out
    assert ROBOT_SECRET.fullmatch(secret)
    words = ("k8s", "pull-secret", "+node", "--registry", "registry.example.com", "--secret-stdin")
    manifest = on_root_outside.run(*words, "--json", given=secret).json()
    config = json.loads(base64.b64decode(manifest["data"][".dockerconfigjson"]))
    assert config["auths"]["registry.example.com"]["password"] == secret.strip()
    assert len(on_root.run("robot", "show", "+node", "--json").json()["secrets"]) == 1


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--registry", "https://registry.example.com"),
        ("--registry", "registry.example.com/team"),
        ("--registry", "r", "--name", "Upper"),
        ("--registry", "r", "--name", "a\nb: c"),
        ("--registry", "r", "--namespace", "a.b"),
    ],
)
def test_pull_secrets_that_cannot_be(on_root: Shell, words: tuple[str, ...]) -> None:
    assert on_root.run("k8s", "pull-secret", "+node", *words, status=2).out == ""
