"""A client certificate counts at every door, by the same rules: what a trusted proxy says, over a socket."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.certificates import DAY, NOW, Authority, Pair
from tests.support.local import PASSWORD, Accounts, ask_token, basic, bearer
from tests.support.server import Server, serving
from tests.support.wire import Client

Header = tuple[str, str]
DOORS = ("/v2/", "/token", "/api/v1/me")


def shown(pair: Pair) -> Header:
    """As a proxy writes it."""
    return "Client-Cert", f":{base64.b64encode(pair.der).decode()}:"


@dataclass
class Setting:
    """A server with users `alice` (admin) and `bob`, who have certificates, and `gone`, whose one is revoked."""

    server: Server
    accounts: Accounts
    authority: Authority
    alice: Pair
    bob: Pair
    gone: Pair


def settle(folder: Path, proxies: list[str]) -> tuple[Setting, dict[str, object]]:
    authority = Authority("Clients")
    alice, bob, gone = (authority.issue(emails=(f"{name}@example.com",)) for name in ("alice", "bob", "gone"))
    (folder / "ca.pem").write_bytes(authority.pem)
    (folder / "ca.crl").write_bytes(authority.revoke(gone))
    rules = [{"email": f"{name}@example.com", "user": name} for name in ("alice", "bob", "gone")]
    certificates = {
        "authorities": str(folder / "ca.pem"),
        "revocations": [str(folder / "ca.crl")],
        "rules": [*rules, {"uri": "spiffe://example.org/ci", "robot": "+ci"}],
    }
    config: dict[str, object] = {
        "storage": {"filesystem": {"rootdirectory": str(folder / "root")}},
        "http": {"trustedproxies": proxies, "host": "https://registry.example.com"},
        "auth": {"local": {"service": "moorage", "certificates": certificates}},
    }
    server = Server(folder)
    return Setting(server, Accounts(server), authority, alice, bob, gone), config


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("certificates")
    made, config = settle(folder, ["127.0.0.1/32"])
    with serving(folder / "server", config=config) as server:
        made.server, made.accounts = server, Accounts(server)
        made.accounts.user("alice")
        made.accounts.user("bob", admin=False)
        made.accounts.user("gone")
        yield made


@pytest.fixture
def client(setting: Setting) -> Iterator[Client]:
    with Client(setting.server) as made:
        yield made


def who(client: Client, *headers: Header) -> dict[str, object]:
    found: dict[str, object] = json.loads(client.ask("GET", "/api/v1/me", list(headers)).expect(200).body)
    return found


def test_token_is_given_for_a_certificate(client: Client, setting: Setting) -> None:
    answer = ask_token(client, shown(setting.alice), "repository:a/b:pull,push", offline_token="true")
    assert answer["scope"] == "repository:a/b:overwrite,pull,push"
    assert "refresh_token" not in answer
    client.ask("POST", "/v2/a/b/blobs/uploads/", [bearer(answer["token"])]).expect(202)
    nobody = ask_token(client, shown(setting.bob), "repository:a/b:pull,push")
    assert nobody["scope"] == ""
    client.ask("GET", "/v2/", [bearer(nobody["token"])]).expect(200)  # nothing is granted, but it says who that is
    issued = setting.accounts.audit("token.issue")
    assert [row[1:3] for row in issued] == [("alice", "certificate"), ("bob", "certificate")]


def test_robot_gets_a_token(client: Client, setting: Setting) -> None:
    robot = setting.authority.issue(uris=("spiffe://example.org/ci",))
    client.ask("GET", "/token", [shown(robot)]).expect(401)  # there is no such robot yet
    setting.accounts.robot("+ci", "writer")
    answer = ask_token(client, shown(robot), "repository:team/app:pull,push,delete")
    assert answer["scope"] == "repository:team/app:overwrite,pull,push"
    assert who(client, shown(robot))["kind"] == "robot"


def test_api_knows_who_shows_a_certificate(client: Client, setting: Setting) -> None:
    found = who(client, shown(setting.alice))
    assert (found["name"], found["credential"], found["admin"]) == ("alice", "certificate", True)
    assert who(client)["kind"] == "anonymous"
    body, kind = json.dumps({"name": "crew"}).encode(), ("Content-Type", "application/json")
    client.ask("POST", "/api/v1/groups", [shown(setting.alice), kind], body).expect(201)
    client.ask("POST", "/api/v1/groups", [shown(setting.bob), kind], b'{"name": "others"}').expect(403)
    client.ask("POST", "/api/v1/groups", [kind], b'{"name": "others"}').expect(401)


@pytest.mark.parametrize("door", DOORS)
def test_certificate_that_is_not_valid_is_refused(door: str, client: Client, setting: Setting) -> None:
    mail = ("alice@example.com",)
    expired = setting.authority.issue(emails=mail, start=NOW - 2 * DAY, end=NOW - DAY)
    foreign = Authority("Clients").issue(emails=mail)
    server = setting.authority.issue(emails=mail, server=True)
    for pair in (expired, foreign, server, setting.gone):
        client.ask("GET", door, [shown(pair)]).expect(401)
    client.ask("GET", door, [("Client-Cert", "garbage")]).expect(401)


def test_certificate_without_a_rule_is_as_none(client: Client, setting: Setting) -> None:
    stranger = shown(setting.authority.issue("nobody"))
    assert who(client, stranger)["kind"] == "anonymous"
    assert ask_token(client, stranger, "repository:a/b:pull")["scope"] == ""
    client.ask("GET", "/v2/", [stranger]).expect(401)
    client.ask("GET", "/v2/", [stranger, basic("alice", PASSWORD)]).expect(200)


@pytest.mark.parametrize("door", DOORS)
def test_authorization_beside_it_wins(door: str, client: Client, setting: Setting) -> None:
    client.ask("GET", door, [shown(setting.alice), basic("alice", "wrong")]).expect(401)
    client.ask("GET", door, [shown(setting.gone), basic("bob", PASSWORD)]).expect(200)


@pytest.mark.parametrize("empty", ["", "::", " :: "])
def test_header_without_a_certificate_is_as_none(empty: str, client: Client) -> None:
    """As Caddy writes it for whoever shows none."""
    assert who(client, ("Client-Cert", empty))["kind"] == "anonymous"
    assert ask_token(client, ("Client-Cert", empty), "repository:a/b:pull")["scope"] == ""
    assert b"UNAUTHORIZED" in client.ask("GET", "/v2/", [("Client-Cert", empty)]).expect(401).body


def test_authorization_beside_it_says_who_that_is(client: Client, setting: Setting) -> None:
    both = (shown(setting.alice), basic("bob", PASSWORD))
    assert who(client, *both)["name"] == "bob"
    assert ask_token(client, None, "repository:a/b:push")["scope"] == ""
    query = "/token?service=moorage&scope=repository:a/b:push"
    assert json.loads(client.ask("GET", query, list(both)).expect(200).body)["scope"] == ""
    client.ask("POST", "/v2/a/b/blobs/uploads/", list(both)).expect(403)


def test_session_beside_it_wins_while_it_lasts(client: Client, setting: Setting) -> None:
    body = json.dumps({"name": "bob", "password": PASSWORD}).encode()
    entered = client.ask("POST", "/api/v1/login", [("Content-Type", "application/json")], body).expect(204)
    cookie = ("Cookie", (entered.header("Set-Cookie") or "").partition(";")[0])
    assert who(client, cookie)["name"] == "bob"
    assert who(client, cookie, shown(setting.alice))["name"] == "bob"
    setting.accounts.run("DELETE FROM sessions")
    assert who(client, cookie)["kind"] == "anonymous"
    assert who(client, cookie, shown(setting.alice))["name"] == "alice"


def test_form_of_the_token_endpoint_says_who_that_is(client: Client, setting: Setting) -> None:
    form = ("Content-Type", "application/x-www-form-urlencoded")
    body = b"grant_type=password&service=moorage&username=alice&password=wrong"
    client.ask("POST", "/token", [form, shown(setting.alice)], body).expect(401)


@pytest.mark.parametrize("door", ["/v2/a/b/blobs/uploads/", "/api/v1/groups"])
@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ([("Sec-Fetch-Site", "cross-site")], True),
        ([("Sec-Fetch-Site", "same-site")], True),
        ([("Origin", "https://evil.example")], True),
        ([("Origin", "null")], True),
        ([("Origin", "https://registry.example.com")], False),
        ([("Sec-Fetch-Site", "same-origin")], False),
        ([], False),
    ],
)
def test_page_of_another_site_changes_nothing_by_a_certificate(
    door: str, headers: list[Header], refused: bool, client: Client, setting: Setting, name: str
) -> None:
    body, kind = json.dumps({"name": name.replace("/", "-")}).encode(), ("Content-Type", "application/json")
    answer = client.ask("POST", door, [shown(setting.alice), kind, *headers], body if "api" in door else b"")
    assert answer.status == 403 if refused else answer.status in (201, 202), answer.body
    if refused and "v2" in door:
        assert b"another site" in answer.body
        token = ask_token(client, shown(setting.alice), "repository:a/b:pull,push")["token"]
        client.ask("POST", door, [bearer(token), *headers]).expect(202)  # no browser adds that by itself


def test_disabled_user_is_out_at_once(client: Client, setting: Setting) -> None:
    shut = setting.authority.issue(emails=("bob@example.com",))
    assert who(client, shown(shut))["name"] == "bob"
    setting.accounts.run("UPDATE users SET disabled=1 WHERE name='bob'")
    try:
        for door in DOORS:
            client.ask("GET", door, [shown(shut)]).expect(401)
    finally:
        setting.accounts.run("UPDATE users SET disabled=0 WHERE name='bob'")


def test_header_of_anybody_else_is_ignored_at_every_door(tmp_path: Path) -> None:
    made, config = settle(tmp_path, ["192.0.2.0/24"])
    with serving(tmp_path / "server", config=config) as server, Client(server) as client:
        Accounts(server).user("alice")
        for more in ((), (("X-Forwarded-For", "192.0.2.7"),), (("Forwarded", "for=192.0.2.7"),)):
            mine = (shown(made.alice), *more)
            assert who(client, *mine)["kind"] == "anonymous"
            assert ask_token(client, shown(made.alice), "repository:a/b:pull")["scope"] == ""
            client.ask("GET", "/v2/", list(mine)).expect(401)
            client.ask("GET", "/api/v1/me", [("Client-Cert", "garbage"), *more]).expect(200)
