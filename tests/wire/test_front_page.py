"""`/`: where there are accounts, the way to one's own; elsewhere a page that says what this is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.local import PASSWORD, Accounts
from tests.support.pages import Person
from tests.support.server import Server
from tests.support.token_issuer import ISSUER, REALM, SERVICE, Issuer
from tests.support.wire import Client
from tests.wire.conftest import Serve
from tests.wire.test_htpasswd import entry
from tests.wire.test_pages import check_page


def started(serve: Serve, folder: Path, mode: str, **http: Any) -> Server:
    auth: dict[str, Any] = {}
    if mode == "htpasswd":
        (folder / "users").write_text(entry("alice", PASSWORD, 5))
        auth = {"htpasswd": {"realm": "x", "path": str(folder / "users")}}
    if mode == "token":
        bundle = str(Issuer(folder).bundle)
        auth = {"token": {"realm": REALM, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle}}
    if mode == "local":
        auth = {"local": {}}
    prefix = http.get("prefix", "").rstrip("/")
    return serve(config={"version": "0.1", "auth": auth, "http": http}, workers_wanted=1, prefix=prefix)


def get(server: Server, path: str = "/", method: str = "GET", **headers: str) -> httpx.Response:
    return httpx.request(method, f"{server.base}{path}", headers=headers, trust_env=False)


@pytest.mark.parametrize("mode", ["none", "htpasswd", "token"])
def test_without_accounts_it_says_what_this_is_and_how_to_push(serve: Serve, tmp_path: Path, mode: str) -> None:
    server = started(serve, tmp_path, mode)
    answer = get(server)
    assert answer.status_code == 200
    page = check_page(answer)
    described = get(server, "/api/v1/openapi.json")
    version = json.loads(described.content)["info"]["version"] if mode != "token" else ""
    assert (described.status_code == 200) == (mode != "token")
    assert (f"Moorage {version}," if version else "Moorage,") in page.words, "the version where everybody is told it"
    host = f"127.0.0.1:{server.port}"
    lines = page.by_id["push"].split("\n")
    assert [line for line in lines if line] == [
        *([f"docker login {host}"] if mode != "none" else []),
        "docker pull hello-world",
        f"docker tag hello-world {host}/first/hello-world",
        f"docker push {host}/first/hello-world",
    ]
    head = get(server, method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]
    for method in ("POST", "PUT", "DELETE"):
        refused = get(server, method=method)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_it_tells_nothing_of_what_there_is(serve: Serve, tmp_path: Path) -> None:
    server = started(serve, tmp_path, "none")
    before = get(server).text
    with Client(server) as client:
        client.push_image("team/secret", "v1", b"layer")
    assert get(server).text == before


@pytest.mark.parametrize("host", ["<script>alert(1)</script>", "a&quot;\"'><b>", ""])
def test_whatever_host_was_asked_for_is_text(serve: Serve, tmp_path: Path, host: str) -> None:
    server = started(serve, tmp_path, "none", trustedproxies=["127.0.0.1/32"])
    answer = get(server, **{"X-Forwarded-Host": host})
    assert answer.status_code == 200
    check_page(answer)
    assert "<script>" not in answer.text
    refused = get(server, Host=host)
    assert refused.status_code == 400
    assert "<script>" not in refused.text


def test_with_accounts_it_leads_to_the_login_or_the_account(serve: Serve, tmp_path: Path) -> None:
    server = started(serve, tmp_path, "local")
    Accounts(server).user("ada")
    with Person(server.base) as person:
        for method in ("GET", "HEAD"):
            answer = person.http.request(method, f"{server.base}/")
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        person.sign_in("ada", PASSWORD)
        assert person.get("/").headers["location"] == "/account"
        refused = person.http.post(f"{server.base}/")
        assert (refused.status_code, refused.headers["allow"]) == (405, "HEAD, GET")
        check_page(refused)


@pytest.mark.parametrize("mode", ["none", "local"])
def test_below_a_prefix(serve: Serve, tmp_path: Path, mode: str) -> None:
    server = started(serve, tmp_path, mode, prefix="/reg/")
    assert get(server).status_code == 404
    for path in ("/reg/", "/reg"):
        answer = get(server, path)
        if mode == "local":
            assert (answer.status_code, answer.headers["location"]) == (303, "/reg/login")
        else:
            assert answer.status_code == 200
            check_page(answer)
    assert get(server, "/registry").status_code == 404


def test_the_host_is_the_one_that_is_configured(serve: Serve, tmp_path: Path) -> None:
    server = started(serve, tmp_path, "htpasswd", host="https://registry.example.com")
    assert "docker login registry.example.com" in check_page(get(server)).by_id["push"]


@pytest.mark.parametrize(
    ("said", "host"),
    [
        ("registry.example.com", "registry.example.com"),
        ("localhost", "localhost"),
        ("moor", "moor:80"),
        ("[::1]", "[::1]"),
    ],
)
def test_docker_takes_the_host_for_one(serve: Serve, tmp_path: Path, said: str, host: str) -> None:
    """A word without a dot or a port is the name of a repository at Docker Hub to it."""
    server = started(serve, tmp_path, "none")
    assert f"docker push {host}/first/hello-world" in check_page(get(server, host=said)).by_id["push"]


def test_requests_for_it_are_limited(serve: Serve) -> None:
    limits = {"requests": {"anonymous": "3/60s"}, "storage": "memory"}
    server = serve(config={"version": "0.1", "limits": limits}, workers_wanted=1)
    answers = [get(server) for _ in range(5)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
