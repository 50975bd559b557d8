"""What the management API does not guess: bodies that two readers read differently, times, grants that are there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.api import ADMIN, ADMIN_PASSWORD, LOCAL, Api, asking, check_problem
from tests.support.server import Server

SERVER = LOCAL
JSON = {"content-type": "application/json"}


@pytest.fixture
def admin(server: Server) -> Iterator[Api]:
    with asking(server) as api:
        yield api


def sent(admin: Api, method: str, path: str, body: bytes) -> httpx.Response:
    return admin.link.request(method, f"/api/v1{path}", content=body, headers=JSON)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/users", b'{"name": "twice", "name": "other"}'),
        ("POST", "/users", b'{"name": "twice", "admin": false, "admin": true}'),
        ("POST", "/users", b'{"name": "twice", "n\\u0061me": "other"}'),
        ("PATCH", "/projects/1", b'{"visibility": "private", "visibility": "public"}'),
        ("PUT", "/projects/1/policy", b'{"document": {"Statement": [], "Statement": [{}]}}'),
        ("PUT", "/projects/1/policy", b'{"document": {"Statement": [{"Effect": "Deny", "Effect": "Allow"}]}}'),
        ("POST", "/login", b'{"name": "admin", "name": "x", "password": "y"}'),
        ("POST", "/robots", b'{"name": "+twice", "permissions": [{"role": "reader", "role": "admin"}]}'),
    ],
)
def test_a_member_that_stands_twice(admin: Api, method: str, path: str, body: bytes) -> None:
    before = admin.get("/projects/1")
    problem = check_problem(sent(admin, method, path, body), 400)
    assert "stands twice" in problem["detail"]
    assert admin.get("/users", name="twice")["items"] == admin.get("/users", name="other")["items"] == []
    assert admin.get("/projects/1") == before
    assert admin.get("/robots", name="+twice")["items"] == []


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"\xff", b"[]", b"null", b"NaN"])
def test_a_body_that_is_no_object_is_refused_as_ever(admin: Api, body: bytes) -> None:
    assert sent(admin, "POST", "/users", body).status_code in (400, 422)


def test_equal_members_of_different_objects_are_fine(admin: Api) -> None:
    body = b'{"name": "+two", "permissions": [{"role": "reader"}, {"role": "writer"}]}'
    assert sent(admin, "POST", "/robots", body).status_code == 201


NO_TIMES = (
    "2020",
    "1577836800",
    "1577836800.5",
    "2020-01-01",
    "2020-01-01T00:00:00",
    "2020-01-01T00:00Z",
    "2020-01-01 00:00:00Z",
    "2020-02-31T00:00:00Z",
    "2020-01-01T00:00:00+99:00",
    "2020-01-01T00:00:00 00:00",
    "yesterday",
    "",
    "\u0662\u0660\u0662\u0660-01-01T00:00:00Z",
)


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time(admin: Api, text: str) -> None:
    for name in ("since", "until"):
        problem = check_problem(admin.ask("GET", "/audit", params={name: text}), 400)
        assert "2030-01-31T12:00:00Z" in problem["detail"]
        assert [each["place"] for each in problem["errors"]] == [f"query.{name}"]
    check_problem(admin.ask("GET", "/audit/export", params={"since": text}), 400)
    robot = admin.ask("POST", "/robots", {"name": "+timely", "expires_at": text})
    assert [each["place"] for each in check_problem(robot, 400)["errors"]] == ["body.expires_at"]


@pytest.mark.parametrize("value", [4_000_000_000, 4e9, True, [], {}])
def test_no_number_is_a_time(admin: Api, value: Any) -> None:
    check_problem(admin.ask("POST", "/robots", {"name": "+timely", "expires_at": value}), 400)
    assert admin.get("/robots", name="+timely")["items"] == []


@pytest.mark.parametrize(
    "text",
    ["2099-01-01T00:00:00Z", "2099-01-01t02:00:00+02:00", "2098-12-31T22:00:00.000-02:00", "2099-01-01T00:00:00z"],
)
def test_times(admin: Api, text: str) -> None:
    assert admin.get("/audit", since=text)["items"] == []
    assert admin.get("/audit", until=text, n=1)["items"] != []
    name = f"+timed{abs(hash(text)):x}"
    made = admin.make("/robots", name=name, expires_at=text)
    assert made["robot"]["expires_at"] == "2099-01-01T00:00:00Z"
    assert admin.make("/robots", name=f"{name}x", expires_at=None)["robot"]["expires_at"] is None


def test_a_grant_that_is_there_is_named(admin: Api) -> None:
    row = admin.make("/projects", name="same")["id"]
    wanted = {"kind": "authenticated", "role": "reader"}
    made = admin.make(f"/projects/{row}/grants", **wanted)["id"]
    again = admin.ask("POST", f"/projects/{row}/grants", {**wanted, "note": "another"})
    problem = check_problem(again, 409)
    assert problem["more"] == {"grant": made}
    assert problem["detail"].startswith(f"Grant {made} says the same already")
    other = admin.make(f"/projects/{row}/grants", kind="authenticated", role="writer")["id"]
    assert check_problem(admin.ask("PATCH", f"/grants/{other}", {"role": "reader"}), 409)["more"] == {"grant": made}
    assert admin.ask("DELETE", f"/grants/{made}").status_code == 204
    assert admin.ask("PATCH", f"/grants/{other}", {"role": "reader"}).status_code == 200


def test_many_that_grant_the_same_at_once(server: Server, admin: Api) -> None:
    row = admin.make("/projects", name="race")["id"]
    body = {"kind": "anonymous", "role": "reader"}

    async def all_at_once() -> list[int]:
        async with httpx.AsyncClient(base_url=server.base, auth=(ADMIN, ADMIN_PASSWORD)) as link:
            asked = [link.post(f"/api/v1/projects/{row}/grants", json=body) for _ in range(10)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert sorted(asyncio.run(all_at_once())) == [201] + [409] * 9
    assert len(admin.get(f"/projects/{row}/grants")["items"]) == 1


def test_a_robot_is_permitted_the_same_once(admin: Api) -> None:
    admin.make("/projects", name="once")
    twice = [{"role": "reader"}, {"project": "once", "role": "reader"}]
    robot = admin.make("/robots", name="once+ci", permissions=twice)["robot"]
    assert len(admin.get("/grants", kind="robot", principal=robot["name"])["items"]) == 1
