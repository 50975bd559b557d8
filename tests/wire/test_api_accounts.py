"""Users, groups, robots, tokens and trust rules through the management API of a running server."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support import direct
from tests.support.api import LOCAL, Api, asking, check_problem
from tests.support.server import Server

SERVER = LOCAL
DATABASES = ("sqlite", "postgresql")
GOOD = "correct horse battery"
BETTER = "staple correct horse"
ISSUER = "https://token.actions.githubusercontent.com"


@pytest.fixture
def admin(server: Server) -> Iterator[Api]:
    with asking(server) as made:
        yield made


@pytest.fixture
def word() -> str:
    return f"x{secrets.token_hex(6)}"


@pytest.fixture
def alice(admin: Api, word: str) -> dict[str, Any]:
    made: dict[str, Any] = admin.make("/users", name=f"alice-{word}", password=GOOD, email="alice@example.com")
    return made


@pytest.fixture
def alices(server: Server, alice: dict[str, Any]) -> Iterator[Api]:
    with asking(server, alice["name"], GOOD) as made:
        yield made


@pytest.fixture
def robot(admin: Api, word: str) -> dict[str, Any]:
    made: dict[str, Any] = admin.make("/robots", name=f"+{word}")
    return made


@pytest.fixture
def project(server: Server, word: str) -> str:
    """A project, by its row."""
    columns = "name, description, visibility, create_on_push, public, settings, created_at, created_by, version"
    direct.run(
        server.database_url,
        f"INSERT INTO projects ({columns}) VALUES (?, '', 'private', 'inherit', FALSE, '{{}}', 1, '', 1)",
        word,
    )
    return word


def logs_in(server: Server, user: str, password: str) -> bool:
    with asking(server, user, password) as made:
        return made.ask("GET", "/me").status_code == 200


def test_a_user(server: Server, admin: Api, alice: dict[str, Any]) -> None:
    path = f"/users/{alice['id']}"
    answer = admin.ask("GET", path)
    assert answer.json() == alice
    assert answer.headers["etag"] == '"1"'
    assert "password" not in alice
    assert "hash" not in answer.text
    assert datetime.fromisoformat(alice["created_at"]).timestamp() == pytest.approx(time.time(), abs=60)
    assert admin.get("/users", name=alice["name"].upper())["items"] == [alice]
    assert admin.get("/users", name="nobody-of-that-name")["items"] == []
    changed = admin.ask("PATCH", path, {"email": "other@example.com"}, headers={"if-match": '"1"'})
    assert (changed.status_code, changed.json()["email"], changed.headers["etag"]) == (200, "other@example.com", '"2"')
    check_problem(admin.ask("PATCH", path, {"email": ""}, headers={"if-match": '"1"'}), 412)
    check_problem(admin.ask("DELETE", path, headers={"if-match": '"1"'}), 412)
    assert logs_in(server, alice["name"], GOOD)
    assert admin.ask("DELETE", path).status_code == 204
    check_problem(admin.ask("GET", path), 404)
    assert not logs_in(server, alice["name"], GOOD)


def test_made_users_have_an_address(admin: Api, word: str) -> None:
    answer = admin.ask("POST", "/users", {"name": word})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/users/{answer.json()['id']}"
    check_problem(admin.ask("POST", "/users", {"name": word}), 409)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "id": 1},
        {"name": "x", "source": "ldap:main"},
        {"name": "x", "epoch": 7},
        {"name": "x", "password_hash": "x"},
        {"name": "x", "admin": "yes"},
        {"name": "x", "admin": 1},
        {"name": 7},
        {"name": "X Y"},
        {"name": "x", "password": "short"},
        {"name": "x", "email": "nothing"},
        {},
        [],
        None,
    ],
)
def test_users_that_cannot_be(admin: Api, body: Any) -> None:
    problem = check_problem(admin.ask("POST", "/users", body), 422)
    assert "short" not in str(problem.get("errors"))


@pytest.mark.parametrize("member", ["name", "source", "subject", "epoch", "version", "id", "has_password", "groups"])
def test_nothing_else_can_be_set(admin: Api, alice: dict[str, Any], alices: Api, member: str) -> None:
    for api in (admin, alices):
        check_problem(api.ask("PATCH", f"/users/{alice['id']}", {member: 1}), 422)


def test_oneself(server: Server, admin: Api, alice: dict[str, Any], alices: Api) -> None:
    path = f"/users/{alice['id']}"
    assert [user["id"] for user in alices.get("/users")["items"]] == [alice["id"]]
    assert alices.ask("PATCH", path, {"email": "me@example.com"}).status_code == 200
    for body in (
        {"admin": True},
        {"disabled": False},
        {"password": BETTER},
        {"password": BETTER, "old_password": "no"},
    ):
        check_problem(alices.ask("PATCH", path, body), 403)
    check_problem(alices.ask("POST", "/users", {"name": "other"}), 403)
    check_problem(alices.ask("DELETE", path), 403)
    check_problem(alices.ask("GET", "/users/1"), 404)
    assert not admin.get(path)["admin"]
    assert alices.ask("PATCH", path, {"password": BETTER, "old_password": GOOD}).status_code == 200
    assert not logs_in(server, alice["name"], GOOD)
    assert logs_in(server, alice["name"], BETTER)


def test_the_last_admin_stays(admin: Api) -> None:
    me = admin.get("/me")["id"]
    for method, body in (("PATCH", {"disabled": True}), ("PATCH", {"admin": False}), ("DELETE", None)):
        check_problem(admin.ask(method, f"/users/{me}", body), 409)


def test_disabled_is_out_at_once(server: Server, admin: Api, alice: dict[str, Any], alices: Api) -> None:
    token = alices.make("/tokens", name="laptop")["secret"]
    assert logs_in(server, "", token)
    admin.ask("PATCH", f"/users/{alice['id']}", {"disabled": True})
    assert not logs_in(server, "", token)
    assert not logs_in(server, alice["name"], GOOD)
    admin.ask("PATCH", f"/users/{alice['id']}", {"disabled": False})
    assert not logs_in(server, "", token), "what was given out before is gone for good"
    assert logs_in(server, alice["name"], GOOD)


def test_a_new_password_deletes_tokens(server: Server, admin: Api, alice: dict[str, Any], alices: Api) -> None:
    token = alices.make("/tokens", name="laptop")["secret"]
    assert logs_in(server, "", token)
    admin.ask("PATCH", f"/users/{alice['id']}", {"password": BETTER})
    assert not logs_in(server, "", token)


def test_a_group(admin: Api, alice: dict[str, Any], alices: Api, word: str) -> None:
    group = admin.make("/groups", name=f"Team {word} ü", description="some")
    path = f"/groups/{group['id']}"
    assert admin.get("/groups", name=group["name"])["items"] == [group]
    assert admin.ask("PUT", f"{path}/members/{alice['id']}").status_code == 204
    assert admin.get(f"{path}/members")["items"] == [{"id": alice["id"], "name": alice["name"], "source": "local"}]
    assert alices.get("/me")["groups"] == [group["name"]]
    changed = admin.ask("PATCH", path, {"description": "others"}, headers={"if-match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    for method, where in (("GET", path), ("GET", f"{path}/members"), ("DELETE", path)):
        check_problem(alices.ask(method, where), 404)
    assert alices.get("/groups")["items"] == []
    check_problem(admin.ask("PUT", f"{path}/members/987654321"), 422)
    assert admin.ask("DELETE", f"{path}/members/{alice['id']}").status_code == 204
    check_problem(admin.ask("DELETE", f"{path}/members/{alice['id']}"), 404)
    assert admin.ask("DELETE", path).status_code == 204
    check_problem(admin.ask("GET", path), 404)


def test_a_robot(server: Server, admin: Api, word: str) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    answer = admin.ask("POST", "/robots", {"name": f"+{word}", "expires_at": ends.isoformat()})
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    robot, secret = answer.json()["robot"], answer.json()["secret"]
    assert answer.headers["location"] == f"/api/v1/robots/{robot['id']}"
    path = f"/robots/{robot['id']}"
    assert logs_in(server, robot["name"], secret)
    assert logs_in(server, "", secret)
    assert datetime.fromisoformat(admin.get(path)["expires_at"]) == ends
    assert secret not in admin.ask("GET", path).text + admin.ask("GET", "/robots").text
    rotated = admin.ask("POST", f"{path}/rotate", {"overlap": 3600}, headers={"if-match": '"1"'})
    assert (rotated.status_code, rotated.headers["cache-control"]) == (200, "no-store")
    second = rotated.json()["secret"]
    assert [logs_in(server, robot["name"], each) for each in (secret, second)] == [True, True]
    third = admin.ask("POST", f"{path}/rotate", {}).json()["secret"]
    assert [logs_in(server, robot["name"], each) for each in (secret, second, third)] == [False, False, True]
    kept = admin.ask("PATCH", path, {"description": "x"}).json()
    assert (kept["expires_at"] is not None, kept["description"]) == (True, "x")
    assert admin.ask("PATCH", path, {"expires_at": None, "disabled": True}).json()["expires_at"] is None
    assert not logs_in(server, robot["name"], third)
    assert admin.ask("DELETE", path).status_code == 204
    check_problem(admin.ask("GET", path), 404)


def test_a_robot_of_a_project(admin: Api, alices: Api, project: str) -> None:
    permissions = [{"role": "writer"}, {"actions": ["pull"], "pattern": "**"}]
    made = admin.make("/robots", name=f"{project}+ci", permissions=permissions)["robot"]
    assert (made["project"], len(made["secrets"])) == (project, 1)
    assert [robot["name"] for robot in admin.get("/robots", project=project)["items"]] == [made["name"]]
    tries: list[tuple[str, str, Any]] = [
        ("GET", f"/robots/{made['id']}", None),
        ("PATCH", f"/robots/{made['id']}", {"disabled": True}),
        ("POST", f"/robots/{made['id']}/rotate", {}),
        ("DELETE", f"/robots/{made['id']}", None),
        ("GET", f"/robots?project={project}", None),
        ("POST", "/robots", {"name": f"{project}+x"}),
        ("GET", "/robots/987654321", None),
    ]
    for method, path, body in tries:
        check_problem(alices.ask(method, path, body), 404)
    assert alices.get("/robots", name=made["name"])["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"name": "ci"},
        {"name": "+ci", "secret": "mine"},
        {"name": "+ci", "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "+ci", "permissions": [{"role": "owner"}]},
        {"name": "+ci", "permissions": [{}]},
        {"name": "+ci", "permissions": [{"role": "reader", "effect": "deny"}]},
        {"name": "+ci", "permissions": [{"role": "reader", "project": "not-there"}]},
    ],
)
def test_robots_that_cannot_be(admin: Api, body: dict[str, Any]) -> None:
    check_problem(admin.ask("POST", "/robots", body), 422)
    assert admin.get("/robots", name="+ci")["items"] == []


def test_a_token(server: Server, admin: Api, alice: dict[str, Any], alices: Api) -> None:
    body = {"name": "laptop", "scopes": ["repository:team/**:push,pull"], "lifetime": 86400}
    answer = alices.ask("POST", "/tokens", body)
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    token, secret = answer.json()["token"], answer.json()["secret"]
    assert (token["user"], token["scopes"]) == (alice["name"], ["repository:team/**:pull,push"])
    assert logs_in(server, alice["name"], secret)
    assert not logs_in(server, "somebody-else", secret)
    check_problem(alices.ask("POST", "/tokens", body), 409)
    assert secret not in alices.ask("GET", "/tokens").text
    path = f"/tokens/{token['id']}"
    assert [each["id"] for each in admin.get("/tokens", user_id=alice["id"])["items"]] == [token["id"]]
    with asking(server, "", secret) as limited:
        assert limited.get("/me")["scopes"] == ["repository:team/**:pull,push"]
        check_problem(limited.ask("POST", "/tokens", {"name": "more"}), 403)
        check_problem(limited.ask("PATCH", f"/users/{alice['id']}", {"email": ""}), 403)
    assert alices.ask("DELETE", path).status_code == 204
    assert not logs_in(server, alice["name"], secret)
    check_problem(admin.ask("GET", path), 404)


def test_a_limited_token_of_an_admin_is_no_admin(server: Server, admin: Api, word: str) -> None:
    secret = admin.make("/tokens", name=word, scopes=["repository:**:*"])["secret"]
    with asking(server, "", secret) as limited:
        check_problem(limited.ask("POST", "/users", {"name": word}), 403)
        check_problem(limited.ask("POST", "/robots", {"name": f"+{word}"}), 403)
        assert len(limited.get("/users")["items"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": "x", "scopes": ["everything"]},
        {"name": "x", "scopes": "repository:a:pull"},
        {"name": "x", "lifetime": 0},
        {"name": "x", "lifetime": 10**12},
        {"name": "x", "secret": "mine"},
    ],
)
def test_tokens_that_cannot_be(admin: Api, body: dict[str, Any]) -> None:
    check_problem(admin.ask("POST", "/tokens", body), 422)


def test_nobody_makes_tokens_for_others(admin: Api, alice: dict[str, Any]) -> None:
    check_problem(admin.ask("POST", "/tokens", {"name": "x", "user_id": alice["id"]}), 403)


def test_a_trust_rule(admin: Api, alices: Api, robot: dict[str, Any], word: str) -> None:
    conditions: list[dict[str, Any]] = [{"claim": "repository", "equals": "a/b"}, {"claim": "run", "one_of": [1, True]}]
    body = {"name": word, "robot_id": robot["robot"]["id"], "issuer": ISSUER, "audience": "here"}
    rule = admin.make("/trust-rules", **body, conditions=conditions)
    assert (rule["robot"], rule["conditions"], rule["warnings"]) == (robot["robot"]["name"], conditions, [])
    path = f"/trust-rules/{rule['id']}"
    assert admin.get("/trust-rules", robot_id=rule["robot_id"])["items"] == [rule]
    assert admin.get("/trust-rules", name=word)["items"] == [rule]
    changed = admin.ask("PATCH", path, {"disabled": True}, headers={"if-match": '"1"'})
    assert (changed.json()["disabled"], changed.headers["etag"]) == (True, '"2"')
    for method in ("GET", "DELETE"):
        check_problem(alices.ask(method, path), 404)
    check_problem(alices.ask("POST", "/trust-rules", {**body, "conditions": conditions}), 404)
    for wrong in ([], [{"claim": "repository"}], [{"claim": "actor", "equals": "me"}], "x"):
        check_problem(admin.ask("POST", "/trust-rules", {**body, "name": f"{word}2", "conditions": wrong}), 422)
    check_problem(admin.ask("PATCH", path, {"robot_id": 1}), 422)
    assert admin.ask("DELETE", path).status_code == 204
    check_problem(admin.ask("GET", path), 404)


def test_pages(admin: Api, word: str) -> None:
    for number in range(5):
        admin.make("/users", name=f"{word}.{number}")
    seen: list[str] = []
    answer = admin.ask("GET", "/users", params={"prefix": f"{word}.", "n": 2})
    while True:
        seen += [user["name"] for user in answer.json()["items"]]
        following = answer.links.get("next", {}).get("url")
        if following is None:
            break
        answer = admin.link.get(following)
    assert seen == [f"{word}.{number}" for number in range(5)]
    check_problem(admin.ask("GET", "/tokens", params={"after": "x"}), 422)
    check_problem(admin.ask("GET", "/users", params={"order": "email"}), 422)


def test_nothing_of_this_is_in_the_log(server: Server, admin: Api, word: str) -> None:
    made = admin.make("/users", name=word, password=f"{GOOD} {word}")
    check_problem(admin.ask("PATCH", f"/users/{made['id']}", {"password": f"bad\t{GOOD}"}), 422)
    secret = admin.make("/tokens", name=word)["secret"]
    log = server.log()
    assert GOOD not in log
    assert secret not in log
