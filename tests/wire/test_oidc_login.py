"""Login of people with a real OIDC provider (Dex), by a client that does what a browser does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from tests.support.dex import CLIENT, MOCK, PASSWORD, SECRET, Browser, Dex, dex
from tests.support.local import Accounts
from tests.support.postgres import free_port
from tests.support.server import Server, serving

COMMON: dict[str, Any] = {"clientid": CLIENT, "clientsecret": SECRET, "usernameclaim": ["email"]}
SCOPES = ["openid", "profile", "email", "groups"]


@dataclass
class Place:
    """A registry and its provider."""

    server: Server
    provider: Dex

    def login(self, name: str, **query: str) -> str:
        """Where a login begins."""
        return f"{self.server.base}/login/oidc/{name}" + (f"?{urlencode(query)}" if query else "")


def config(issuer: str) -> dict[str, Any]:
    """Five ways to log in with one provider."""
    ways: dict[str, dict[str, Any]] = {
        "corp": {"groupsclaim": ["groups"], "scopes": SCOPES, "title": "Corp <b>"},
        "admins": {"groupsclaim": ["groups"], "scopes": SCOPES, "admingroup": "authors", "create": True},
        "closed": {"create": False},
        "members": {"groupsclaim": ["groups"], "scopes": SCOPES, "requiredgroup": "readers"},
        "wrong": {"clientsecret": "another"},
    }
    oidc = [{"name": name, "issuer": issuer, **COMMON, **more} for name, more in ways.items()]
    return {"auth": {"local": {"oidc": oidc}}, "log": {"formatter": "json"}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("oidc")
    port = free_port()
    names = ("corp", "admins", "closed", "members", "wrong")
    callbacks = [f"http://127.0.0.1:{port}/login/oidc/{name}/callback" for name in names]
    with dex(folder / "dex", callbacks) as provider:
        how: dict[str, Any] = {"config": config(provider.issuer), "port": port}
        with serving(folder / "server", **how) as server:
            yield Place(server, provider)
            log = server.log()
    for secret in (SECRET, PASSWORD, "mrg_ses_"):
        assert secret not in log, secret
    assert re.search(r"code=(?!\[redacted\])", log) is None


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser() as made:
        yield made


def session_of(browser: Browser) -> str | None:
    return browser.http.cookies.get("moorage_session")


def whoami(place: Place, browser: Browser) -> str:
    text = browser.go(f"{place.server.base}/account").text
    found = re.search(r'You are <strong id="who">([^<]*)</strong>', text)
    return found[1] if found else ""


def test_first_login_makes_the_user_and_a_session(place: Place, browser: Browser) -> None:
    answer = browser.log_in(place.login("corp", next="/somewhere?x=1"), "ann")
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == "/somewhere?x=1"
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("moorage_session="))
    assert {part.strip().lower() for part in cookie.split(";")[1:]} >= {"httponly", "samesite=lax", "path=/"}
    assert whoami(place, browser) == "ann"
    accounts = Accounts(place.server)
    assert accounts.rows("SELECT source, admin, password FROM users WHERE name='ann'") == [("oidc:corp", 0, None)]
    again = browser.log_in(place.login("corp"), "ann")
    assert again.headers["location"] == "/account"
    assert accounts.rows("SELECT count(*) FROM users WHERE name='ann'") == [(1,)]
    entries = [(outcome, actor, credential) for outcome, actor, credential, _ in accounts.audit("login")]
    assert ("ok", "ann", "oidc:corp") in entries


def test_a_login_ends_the_session_that_the_browser_had(place: Place, browser: Browser) -> None:
    browser.log_in(place.login("corp"), "ann")
    first = session_of(browser)
    browser.log_in(place.login("corp"), "bob")
    assert whoami(place, browser) == "bob"
    answer = httpx.get(f"{place.server.base}/api/v1/me", headers={"cookie": f"moorage_session={first}"})
    assert answer.json()["kind"] == "anonymous"


def test_groups_of_the_provider_become_groups_here(place: Place, browser: Browser) -> None:
    assert browser.log_in(place.login("corp"), MOCK).status_code == 303
    statement = (
        "SELECT g.name, m.source FROM group_members m JOIN groups g ON g.id=m.group_id"
        " JOIN users u ON u.id=m.user_id WHERE u.name=?"
    )
    assert Accounts(place.server).rows(statement, MOCK) == [("authors", "oidc:corp")]


def test_a_session_is_good_for_the_api_and_ends_with_logout(place: Place, browser: Browser) -> None:
    browser.log_in(place.login("corp"), "bob")
    api = f"{place.server.base}/api/v1/me"
    assert browser.go(api).json()["name"] == "bob"
    logout = f"{place.server.base}/logout"
    assert browser.http.post(logout).status_code == 403
    assert browser.http.post(logout, headers={"origin": "https://evil.example"}).status_code == 403
    assert browser.http.post(logout, headers={"sec-fetch-site": "same-site"}).status_code == 403
    assert browser.go(logout).status_code == 405
    secret = session_of(browser)
    assert browser.http.post(logout, headers={"origin": place.server.base}).status_code == 400, "it is no form"
    found = re.search(r'name="form_token" value="([^"]*)"', browser.go(f"{place.server.base}/account").text)
    assert found is not None
    answer = browser.http.post(logout, headers={"origin": place.server.base}, data={"form_token": found[1]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert session_of(browser) is None
    again = browser.http.get(api, headers={"cookie": f"moorage_session={secret}"})
    assert again.json().get("name") != "bob"
    ended = [row[:2] for row in Accounts(place.server).audit("logout") if row[1] == "bob"]
    assert ended == [("ok", "bob")]


def test_disabling_a_user_ends_the_session_and_keeps_it_out(place: Place, browser: Browser) -> None:
    browser.log_in(place.login("corp"), "cleo")
    assert whoami(place, browser) == "cleo"
    accounts = Accounts(place.server)
    accounts.run("UPDATE users SET epoch=epoch+1 WHERE name='cleo'")
    assert whoami(place, browser) == ""
    accounts.run("UPDATE users SET disabled=TRUE WHERE name='cleo'")
    answer = browser.log_in(place.login("corp"), "cleo")
    assert answer.status_code == 403
    assert "disabled" in answer.text
    accounts.run("UPDATE users SET disabled=FALSE WHERE name='cleo'")


@pytest.mark.parametrize(("way", "words"), [("closed", "no account"), ("members", "group"), ("admins", "belongs to")])
def test_who_may_not_come_in_is_told_why(place: Place, browser: Browser, way: str, words: str) -> None:
    browser.log_in(place.login("corp"), "ann")
    with Browser() as other:
        answer = other.log_in(place.login(way), "ann")
        assert answer.status_code == 403
        assert words in answer.text
        assert session_of(other) is None


def test_the_admin_group_makes_admins(place: Place, browser: Browser) -> None:
    accounts = Accounts(place.server)
    accounts.run("DELETE FROM users WHERE name=?", MOCK)
    assert browser.log_in(place.login("admins"), MOCK).status_code == 303
    assert accounts.rows("SELECT admin FROM users WHERE name=?", MOCK) == [(1,)]
    accounts.run("DELETE FROM users WHERE name=?", MOCK)


def test_what_goes_to_the_provider(place: Place, browser: Browser) -> None:
    sent = []
    for _ in range(2):
        answer = browser.go(place.login("corp"))
        query = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
        assert query["code_challenge_method"] == "S256"
        assert query["response_type"] == "code"
        assert SECRET not in answer.headers["location"]
        sent.append(query)
    for name in ("state", "nonce", "code_challenge"):
        assert sent[0][name] != sent[1][name]
        assert len(sent[0][name]) >= 43


def test_a_replayed_code_and_a_replayed_answer_are_refused(place: Place, browser: Browser) -> None:
    back = browser.way_back(place.login("corp"), "ann")
    cookies = dict(browser.http.cookies.items())
    assert browser.go(back).status_code == 303
    assert browser.go(back).status_code == 401, "the cookie is gone"
    kept = "; ".join(f"{name}={value}" for name, value in cookies.items() if name.startswith("moorage_login_"))
    with Browser() as thief:
        answer = thief.http.get(back, headers={"cookie": kept})
        assert answer.status_code == 401, "the provider takes a code once"
        assert session_of(thief) is None


def test_an_answer_counts_only_in_the_browser_that_asked(place: Place, browser: Browser) -> None:
    back = browser.way_back(place.login("corp"), "ann")
    with Browser() as victim:
        assert victim.go(back).status_code == 401
        victim.go(place.login("corp"))
        assert victim.go(back).status_code == 401
        assert session_of(victim) is None
    assert browser.go(back).status_code == 303


def test_another_nonce_or_verifier_is_refused(place: Place) -> None:
    """The code of one login with the cookie of another: nonce and PKCE verifier do not fit."""
    with Browser() as one, Browser() as two:
        first = one.way_back(place.login("corp"), "ann")
        second = two.way_back(place.login("corp"), "bob")
        code = parse_qs(urlsplit(first).query)["code"][0]
        mixed = re.sub(r"code=[^&]*", f"code={code}", second)
        assert two.go(mixed).status_code == 401
        assert session_of(two) is None


def test_pkce_cannot_be_taken_away(place: Place) -> None:
    """An attacker who strips the challenge on the way gets a code for which the provider refuses our verifier."""
    with Browser() as browser:
        asked = browser.go(place.login("corp")).headers["location"]
        stripped = re.sub(r"&code_challenge(_method)?=[^&]*", "", asked)
        assert stripped != asked
        back = browser.authorize(stripped, "ann")
        answer = browser.go(back)
        assert answer.status_code == 401
        assert session_of(browser) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda name, value: (name, value[:-2] + ("AA" if value[-2:] != "AA" else "BB")),
        lambda name, value: (name, "A" + value[1:] if value[0] != "A" else "B" + value[1:]),
        lambda name, value: (name, ""),
        lambda name, value: (name, "A" * 5000),
        lambda name, value: (f"moorage_login_{'0' * 16}", value),
    ],
)
def test_a_changed_cookie_is_refused(place: Place, browser: Browser, change: Any) -> None:
    back = browser.way_back(place.login("corp"), "ann")
    name, value = next(pair for pair in browser.http.cookies.items() if pair[0].startswith("moorage_login_"))
    other_name, other_value = change(name, value)
    with Browser() as other:
        answer = other.http.get(back, headers={"cookie": f"{other_name}={other_value}"})
        assert answer.status_code == 401
        assert session_of(other) is None


def test_a_cookie_of_one_provider_is_none_of_another(place: Place, browser: Browser) -> None:
    back = browser.way_back(place.login("corp"), "ann")
    name, value = next(pair for pair in browser.http.cookies.items() if pair[0].startswith("moorage_login_"))
    answer = browser.http.get(back.replace("/corp/", "/closed/"), headers={"cookie": f"{name}={value}"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "query",
    ["", "?state=x", "?code=x", "?code=x&state=y", "?code=x&state=%00", "?error=access_denied&state=<script>"],
)
def test_answers_that_nobody_asked_for(place: Place, browser: Browser, query: str) -> None:
    answer = browser.go(f"{place.server.base}/login/oidc/corp/callback{query}")
    assert answer.status_code == 401
    assert "<script>" not in answer.text


def test_a_refusal_of_the_provider_is_a_page_without_its_words(place: Place, browser: Browser) -> None:
    state = parse_qs(urlsplit(browser.go(place.login("corp")).headers["location"]).query)["state"][0]
    query = urlencode({"error": "access_denied", "error_description": "<script>alert(1)</script>", "state": state})
    answer = browser.go(f"{place.server.base}/login/oidc/corp/callback?{query}")
    assert answer.status_code == 403
    assert "script" not in answer.text
    assert "Corp &lt;b&gt;" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "where",
    [
        "//evil.example",
        "/\\evil.example",
        "https:evil.example",
        "https://evil.example/",
        "%2f%2fevil.example",
        "/%2f%2fevil.example",
        "/%5cevil.example",
        "/\t/evil.example",
        "/x\r\nset-cookie: a=b",
        "javascript:alert(1)",
        "/" + "a" * 2000,
        "evil",
    ],
)
def test_after_a_login_nobody_is_sent_elsewhere(place: Place, browser: Browser, where: str) -> None:
    answer = browser.log_in(place.login("corp", next=where), "ann")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/account"
    assert "a=b" not in str(answer.headers)


def test_cookies_of_logins_that_were_given_up_do_not_pile_up(place: Place, browser: Browser) -> None:
    for _ in range(12):
        browser.go(place.login("corp"))
    begun = [name for name in browser.http.cookies if name.startswith("moorage_login_")]
    assert len(begun) <= 6


@pytest.mark.parametrize("path", ["/login/oidc/nobody", "/login/oidc/", "/login/oidc/corp/other", "/login/oidc/CORP"])
def test_unknown_addresses(place: Place, browser: Browser, path: str) -> None:
    assert browser.go(f"{place.server.base}{path}").status_code == 404


def test_a_wrong_client_secret_is_the_operators_affair(place: Place, browser: Browser) -> None:
    answer = browser.log_in(place.login("wrong"), "ann")
    assert answer.status_code == 503
    assert "another" not in answer.text


def test_a_provider_that_is_down_stops_its_own_users_only(tmp_path: Path, browser: Browser) -> None:
    port = free_port()
    with dex(tmp_path / "dex", [f"http://127.0.0.1:{port}/login/oidc/corp/callback"]) as provider:
        oidc = [{"name": "corp", "issuer": provider.issuer, **COMMON}]
        how: dict[str, Any] = {"config": {"auth": {"local": {"oidc": oidc}}}, "port": port, "workers_wanted": 1}
        with serving(tmp_path / "server", **how) as server:
            start = f"{server.base}/login/oidc/corp"
            provider.stop()
            answer = browser.go(start)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            admin = (server.root / "admin-password").read_text().strip()
            assert httpx.get(f"{server.base}/token", auth=("admin", admin), trust_env=False).status_code == 200
            assert httpx.get(f"{server.base}/v2/", auth=("admin", admin), trust_env=False).status_code == 200
