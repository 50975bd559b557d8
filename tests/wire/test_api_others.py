"""Objects of others: whoever asks for an id that is not theirs gets what an id gives that nobody has.

The operations come from the API's description, so that a new one cannot be forgotten: one that is not known here fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from moorage.http.api.openapi import METHODS, document
from tests.support.api import LOCAL, Api, asking, check_problem
from tests.support.server import Server

SERVER = LOCAL
DATABASES = ("sqlite", "postgresql")
PASSWORD = "a password of a member"
ABSENT = 2**40

DESCRIPTION = document()
OPERATIONS = sorted(
    (path.removeprefix("/api/v1"), method.upper())
    for path, operations in DESCRIPTION["paths"].items()
    for method in METHODS
    if method in operations
)
WITH_IDS = [(path, method) for path, method in OPERATIONS if "{" in path]

# A body that would be carried out, were the object the caller's own.
BODIES: dict[tuple[str, str], Any] = {
    ("/projects/{project_id}", "PATCH"): {"visibility": "public"},
    ("/projects/{project_id}/grants", "POST"): {"kind": "user", "principal": "mallory", "role": "admin"},
    ("/projects/{project_id}/policy", "PUT"): {
        "document": {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": "user:mallory", "Action": "ecr:*"}],
        },
        "partial": True,
    },
    ("/grants/{grant_id}", "PATCH"): {"role": "admin"},
    ("/users/{user_id}", "PATCH"): {"email": "mallory@example.com"},
    ("/groups/{group_id}", "PATCH"): {"description": "ours"},
    ("/robots/{robot_id}", "PATCH"): {"description": "ours"},
    ("/robots/{robot_id}/rotate", "POST"): {},
    ("/trust-rules/{rule_id}", "PATCH"): {"disabled": True},
}

# What an operation that makes or lists things answers to somebody who may not.
REFUSED = {
    ("/users", "POST"): {"name": "evil", "admin": True},
    ("/groups", "POST"): {"name": "evil"},
    ("/robots", "POST"): {"name": "+evil"},
    ("/keys/rotate", "POST"): {},
    ("/keys", "GET"): None,
    ("/projects", "POST"): {"name": "evil"},
    ("/audit", "GET"): None,
    ("/audit/export", "GET"): None,
    ("/audit/verify", "GET"): None,
    ("/robots", "GET"): None,
    ("/trust-rules", "GET"): None,
}

FREE = {
    ("/me", "GET"),
    ("/login", "POST"),
    ("/logout", "POST"),
    ("/projects", "GET"),
    ("/grants", "GET"),
    ("/access/explain", "GET"),
    ("/search", "GET"),
    ("/users", "GET"),
    ("/groups", "GET"),
    ("/tokens", "GET"),
    ("/tokens", "POST"),
    ("/trust-rules", "POST"),
}
"""Everybody may ask these; what they are answered is tested below or beside."""


@dataclass
class World:
    """A project with everything in it, its admin `alice`, and `mallory`, who is an admin of another one."""

    ids: dict[str, int]
    admin: Api
    mallory: Api
    project: str


@pytest.fixture(scope="module")
def world(server: Server) -> Iterator[World]:
    with asking(server) as admin:
        for name in ("alice", "mallory"):
            admin.make("/users", name=name, password=PASSWORD)
        ids: dict[str, int] = {}
        ids["user_id"] = admin.get("/users", name="alice")["items"][0]["id"]
        ids["project_id"] = admin.make("/projects", name="secret/home")["id"]
        theirs = admin.make("/projects", name="theirs")["id"]
        grant = {"kind": "user", "principal": "alice", "role": "admin"}
        ids["grant_id"] = admin.make(f"/projects/{ids['project_id']}/grants", **grant)["id"]
        admin.make(f"/projects/{theirs}/grants", kind="user", principal="mallory", role="admin")
        ids["group_id"] = admin.make("/groups", name="Secret People")["id"]
        assert admin.ask("PUT", f"/groups/{ids['group_id']}/members/{ids['user_id']}").status_code < 300
        ids["robot_id"] = admin.make("/robots", name="secret/home+ci")["robot"]["id"]
        with asking(server, "alice", PASSWORD) as alice:
            ids["token_id"] = alice.make("/tokens", name="of alice")["token"]["id"]
        ids["rule_id"] = admin.make(
            "/trust-rules",
            name="rule",
            robot_id=ids["robot_id"],
            issuer="https://issuer.example",
            audience="moorage",
            conditions=[{"claim": "repository", "equals": "a/b"}],
        )["id"]
        with asking(server, "mallory", PASSWORD) as mallory:
            yield World(ids, admin, mallory, "secret/home")


def filled(path: str, ids: dict[str, int]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: str(ids[found[1]]), path)


def without_id(answer: httpx.Response) -> dict[str, Any]:
    """The document without what differs from request to request."""
    return {name: value for name, value in answer.json().items() if name != "instance"}


def test_every_operation_is_known_here() -> None:
    known = set(WITH_IDS) | set(REFUSED) | FREE
    assert set(OPERATIONS) == known, "say what a stranger gets there"
    assert {key for key in WITH_IDS if key[1] in ("PATCH", "POST")} <= set(BODIES)


@pytest.mark.parametrize(("path", "method"), WITH_IDS)
def test_the_id_of_somebody_else(world: World, path: str, method: str) -> None:
    body = BODIES.get((path, method))
    theirs = world.mallory.ask(method, filled(path, world.ids), body)
    absent = world.mallory.ask(method, filled(path, dict.fromkeys(world.ids, ABSENT)), body)
    check_problem(theirs, 404)
    assert without_id(theirs) == without_id(absent)
    assert set(theirs.headers) == set(absent.headers)


@pytest.mark.parametrize(("path", "method"), WITH_IDS)
def test_the_id_of_somebody_without_credentials(server: Server, world: World, path: str, method: str) -> None:
    with asking(server, "", "") as nobody:
        theirs = nobody.ask(method, filled(path, world.ids), BODIES.get((path, method)))
        absent = nobody.ask(method, filled(path, dict.fromkeys(world.ids, ABSENT)), BODIES.get((path, method)))
    assert theirs.status_code == absent.status_code
    check_problem(theirs, 404 if (path, method) == ("/projects/{project_id}", "GET") else 401)
    assert without_id(theirs) == without_id(absent)


@pytest.mark.parametrize(("path", "method"), list(REFUSED))
def test_what_only_admins_may(world: World, path: str, method: str) -> None:
    check_problem(world.mallory.ask(method, path, REFUSED[path, method]), 403)


def test_nothing_of_it_happened(world: World) -> None:
    assert world.admin.get(f"/projects/{world.ids['project_id']}")["visibility"] == "inherit"
    assert len(world.admin.get(f"/projects/{world.ids['project_id']}/grants")["items"]) == 1
    assert world.admin.get(f"/grants/{world.ids['grant_id']}")["role"] == "admin"
    assert world.admin.get(f"/users/{world.ids['user_id']}")["email"] == ""
    assert world.admin.get(f"/groups/{world.ids['group_id']}")["description"] == ""
    assert world.admin.get(f"/robots/{world.ids['robot_id']}")["description"] == ""
    assert world.admin.get(f"/trust-rules/{world.ids['rule_id']}")["disabled"] is False


def test_lists_hold_nothing_of_others(world: World) -> None:
    assert [each["name"] for each in world.mallory.get("/projects")["items"]] == ["theirs"]
    assert world.mallory.get("/projects", name=world.project)["items"] == []
    assert [each["name"] for each in world.mallory.get("/users")["items"]] == ["mallory"]
    assert world.mallory.get("/tokens")["items"] == []
    assert world.mallory.get("/groups")["items"] == []
    assert world.mallory.get("/robots", project="theirs")["items"] == []


def test_what_lies_behind_a_name_is_not_told(world: World) -> None:
    for principal in ("alice", "nobody"):
        query = {"kind": "user", "principal": principal, "repository": f"{world.project}/app", "action": "pull"}
        check_problem(world.mallory.ask("GET", "/access/explain", params=query), 404)
        check_problem(world.mallory.ask("GET", "/grants", params={"kind": "user", "principal": principal}), 404)
    for project in (world.ids["project_id"], ABSENT):
        check_problem(world.mallory.ask("GET", "/audit", params={"project": project}), 404)
    query = {"kind": "user", "principal": "mallory", "repository": f"{world.project}/app", "action": "pull"}
    assert world.mallory.get("/access/explain", **query)["rules"] == []


def test_members_that_are_not_for_clients_are_refused(world: World) -> None:
    makes = {"/users": {"name": "mass"}, "/groups": {"name": "mass"}, "/projects": {"name": "mass"}}
    for path, body in makes.items():
        for member in (
            "id",
            "epoch",
            "version",
            "source",
            "password_hash",
            "hash",
            "created_at",
            "created_by",
            "public",
        ):
            found = check_problem(world.admin.ask("POST", path, {**body, member: 1}), 422)
            assert [each["place"] for each in found["errors"]] == [f"body.{member}"]
    own = world.mallory.get("/users")["items"][0]["id"]
    check_problem(world.mallory.ask("PATCH", f"/users/{own}", {"admin": True}), 403)
    for member in ("id", "epoch", "source", "subject", "name", "password_hash", "last_login_at"):
        check_problem(world.mallory.ask("PATCH", f"/users/{own}", {member: 1}), 422)


def test_no_answer_holds_what_is_secret(world: World) -> None:
    for path, method in OPERATIONS:
        if method != "GET" or (path, method) in FREE - {("/users", "GET"), ("/tokens", "GET")}:
            continue
        text = world.admin.ask("GET", filled(path, world.ids)).text
        assert "argon2" not in text, path
        assert "mrg_" not in text, path
        for member in ("password", "epoch"):
            assert f'"{member}":' not in text, path
