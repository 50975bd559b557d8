"""The management API's frame from outside: problems, who asks, sessions, other sites, limits of requests."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.support.api import ADMIN, ADMIN_PASSWORD, LOCAL, Api, asking, check_problem
from tests.support.server import Server
from tests.wire.conftest import Serve

SERVER = LOCAL
DATABASES = ("sqlite", "postgresql")


@pytest.fixture
def admin(server: Server) -> Iterator[Api]:
    with asking(server) as made:
        yield made


@pytest.fixture
def nobody(server: Server) -> Iterator[Api]:
    with asking(server, "", "") as made:
        yield made


def test_who_am_i(admin: Api, nobody: Api) -> None:
    me = admin.get("/me")
    assert (me["name"], me["kind"], me["admin"], me["credential"], me["groups"]) == (
        ADMIN,
        "user",
        True,
        "password",
        [],
    )
    assert nobody.get("/me")["kind"] == "anonymous"


def test_nothing_is_cached_and_no_other_site_may_read(admin: Api) -> None:
    answer = admin.ask("GET", "/me", headers={"origin": "https://elsewhere.example"})
    assert answer.headers["cache-control"] == "no-store"
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_without_credentials(nobody: Api) -> None:
    answer = nobody.ask("GET", "/users")
    check_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_a_page_of_ours_gets_no_window_of_the_browser(nobody: Api) -> None:
    answer = nobody.ask("GET", "/users", headers={"sec-fetch-mode": "cors"})
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_wrong_credentials(server: Server) -> None:
    with asking(server, ADMIN, "wrong") as made:
        check_problem(made.ask("GET", "/me"), 401)
    with asking(server, "", "mrg_pat_" + "a" * 40) as made:
        check_problem(made.ask("GET", "/me"), 401)


def test_a_registry_token_is_not_taken(server: Server, nobody: Api) -> None:
    answer = httpx.get(f"{server.base}/token", auth=(ADMIN, ADMIN_PASSWORD), params={"service": "moorage"})
    with asking(server, "", answer.json()["token"]) as made:
        assert "registry token" in check_problem(made.ask("GET", "/me"), 401)["detail"]


def test_an_address_that_is_none(admin: Api) -> None:
    assert "openapi.json" in check_problem(admin.ask("GET", "/nothing"), 404)["detail"]
    check_problem(admin.link.get("/api"), 404)
    check_problem(admin.link.get("/api/v2"), 404)
    check_problem(admin.link.get("/api/v1/users/"), 404)


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/users"), ("POST", "/me"), ("OPTIONS", "/users"), ("BREW", "/me")]
)
def test_a_method_that_is_none(admin: Api, method: str, path: str) -> None:
    answer = admin.ask(method, path)
    check_problem(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == (
        {"GET", "POST", "HEAD"} if path == "/users" else {"GET", "HEAD"}
    )


def test_head(admin: Api) -> None:
    answer = admin.ask("HEAD", "/me")
    assert answer.status_code == 200
    assert answer.content == b""
    assert int(answer.headers["content-length"]) == len(admin.ask("GET", "/me").content)


def test_what_is_wrong_with_a_body_is_told_place_by_place(admin: Api) -> None:
    found = check_problem(admin.ask("POST", "/users", {"name": 7, "admin": "yes", "epoch": 3}), 422)
    assert {each["place"] for each in found["errors"]} >= {"body.name", "body.epoch"}


def test_values_are_not_repeated_in_a_problem(admin: Api) -> None:
    answer = admin.ask("POST", "/login", {"name": "a", "password": ["geheim"]})
    check_problem(answer, 422)
    assert "geheim" not in answer.text


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{", "application/json"),
        (b'{"name": "x"}', "text/plain"),
        (b'{"name": "x"}', "application/x-www-form-urlencoded"),
        (b"", "application/json"),
        (b"null", "application/json"),
        (b'{"name": "\xff"}', "application/json"),
        (b'{"name": "\\ud800"}', "application/json"),
        (b'{"name": "a\\u0000b"}', "application/json"),
        (b"[" * 20000, "application/json"),
        (b'{"name": 1e999}', "application/json"),
    ],
)
def test_bodies_that_are_none(admin: Api, content: bytes, kind: str) -> None:
    answer = admin.link.post("/api/v1/users", content=content, headers={"content-type": kind})
    assert answer.status_code in (400, 422)
    check_problem(answer, answer.status_code)


def test_a_body_that_is_too_large(admin: Api) -> None:
    check_problem(admin.ask("POST", "/users", {"name": "x" * 1_100_000}), 413)

    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 65536

    answer = admin.link.post("/api/v1/users", content=pieces(), headers={"content-type": "application/json"})
    check_problem(answer, 413)


def test_query_parameters_that_are_none(admin: Api) -> None:
    assert "prefx" in check_problem(admin.ask("GET", "/users", params={"prefx": "a"}), 422)["detail"]
    for wrong in ({"n": 0}, {"n": 100000}, {"n": "x"}, {"after": "a\0"}, {"prefix": "x" * 2000}):
        check_problem(admin.ask("GET", "/users", params=wrong), 422)


def test_ids_that_are_none(admin: Api) -> None:
    for wrong in ("0", "-1", "x", "9" * 30, "1.5"):
        assert admin.ask("GET", f"/users/{wrong}").status_code in (404, 422)
    check_problem(admin.ask("GET", f"/users/{2**63 - 1}"), 404)


def test_the_description(nobody: Api) -> None:
    found = nobody.get("/openapi.json")
    assert found["openapi"].startswith("3.1")
    assert set(found["components"]["securitySchemes"]) == {"basic", "bearer", "session"}
    operations = [each for path in found["paths"].values() for each in path.values()]
    assert len({each["operationId"] for each in operations}) == len(operations)
    for each in operations:
        assert each["tags"], each["operationId"]
        assert each["responses"]["401"] == {"$ref": "#/components/responses/401"}
    assert set(found["components"]["responses"]["401"]["content"]) == {"application/problem+json"}


def log_in(server: Server, **headers: str) -> httpx.Response:
    body = {"name": ADMIN, "password": ADMIN_PASSWORD}
    return httpx.post(f"{server.base}/api/v1/login", json=body, headers=headers)


def cookie_of(answer: httpx.Response) -> str:
    assert answer.status_code == 204, answer.text
    return answer.headers["set-cookie"].partition(";")[0]


def test_a_session(server: Server) -> None:
    answer = log_in(server)
    attributes = answer.headers["set-cookie"].lower()
    assert "httponly" in attributes
    assert "samesite=lax" in attributes
    assert "path=/" in attributes
    assert "secure" not in attributes  # the test speaks plain HTTP
    cookie = cookie_of(answer)
    with asking(server, "", "", cookie=cookie) as made:
        assert made.get("/me")["credential"] == "session"
        assert made.ask("POST", "/logout", headers={"origin": server.base}).status_code == 204
        assert made.get("/me")["kind"] == "anonymous"


def test_a_login_ends_the_session_that_the_browser_had(server: Server) -> None:
    first = cookie_of(log_in(server))
    assert log_in(server, cookie=first).status_code == 403, "a browser says where it comes from"
    second = cookie_of(log_in(server, cookie=first, origin=server.base))
    for cookie, kind in ((first, "anonymous"), (second, "user")):
        with asking(server, "", "", cookie=cookie) as made:
            assert made.get("/me")["kind"] == kind


def test_a_session_needs_the_right_password(server: Server, nobody: Api) -> None:
    check_problem(nobody.ask("POST", "/login", {"name": ADMIN, "password": "wrong"}), 401)
    check_problem(nobody.ask("POST", "/login", {"name": "", "password": ""}), 401)
    check_problem(nobody.ask("POST", "/login", {"name": "nobody", "password": "x"}), 401)


def test_a_token_gets_no_session(server: Server, admin: Api, nobody: Api) -> None:
    made = admin.make("/tokens", name="no-session")
    check_problem(nobody.ask("POST", "/login", {"name": ADMIN, "password": made["secret"]}), 401)
    with asking(server, "", made["secret"]) as by_token:
        assert by_token.get("/me")["credential"].startswith("pat:")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 201),
        ({"origin": "OURS"}, 201),
    ],
)
def test_a_change_with_a_cookie_has_to_come_from_here(server: Server, headers: dict[str, str], status: int) -> None:
    cookie = cookie_of(log_in(server))
    given = {name: value.replace("OURS", server.base) for name, value in headers.items()}
    with asking(server, "", "", cookie=cookie) as made:
        answer = made.ask("POST", "/groups", {"name": f"group {json.dumps(headers)}"}, headers=given)
    assert answer.status_code == status, answer.text


def test_credentials_that_a_browser_remembers_are_no_way_around_that(admin: Api) -> None:
    answer = admin.ask("POST", "/groups", {"name": "elsewhere"}, headers={"sec-fetch-site": "cross-site"})
    check_problem(answer, 403)
    check_problem(admin.ask("POST", "/groups", {"name": "x"}, headers={"origin": "https://elsewhere.example"}), 403)


def test_login_from_a_page_of_another_site(server: Server) -> None:
    check_problem(log_in(server, **{"sec-fetch-site": "cross-site"}), 403)


def test_an_open_registry_has_only_admins(serve: Serve) -> None:
    server = serve()
    with asking(server, "", "") as made:
        assert made.get("/me")["admin"] is True
        made.make("/groups", name="of nobody")
        check_problem(made.ask("POST", "/login", {"name": "a", "password": "b"}), 404)
        check_problem(made.ask("POST", "/groups", {"name": "x"}, headers={"origin": "https://elsewhere.example"}), 403)


def test_below_a_prefix(serve: Serve) -> None:
    server = serve(config={"version": "0.1", "http": {"prefix": "/registry/"}}, prefix="/registry")
    with httpx.Client(base_url=f"{server.base}/registry/api/v1") as link:
        for name in ("a", "b", "c"):
            assert link.post("/groups", json={"name": name}).status_code == 201
        answer = link.get("/groups", params={"n": 1})
        following = answer.links["next"]["url"]
        assert following.startswith("/registry/api/v1/groups?")
        assert link.get("/openapi.json").json()["servers"] == [{"url": "/registry"}]
    assert httpx.get(f"{server.base}{following}").json()["items"][0]["name"] == "b"


def test_the_access_log_and_the_metrics_know_the_api(server: Server, admin: Api) -> None:
    admin.get("/me")
    found = httpx.get(f"{server.base}/metrics", auth=(ADMIN, ADMIN_PASSWORD)).text
    assert 'moorage_http_requests_total{method="GET",route="api",status="200"}' in found
