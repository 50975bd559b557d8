"""People of a provider (Dex) and of a directory (slapd) at the pages, up to the token that they came for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.dex import CLIENT, MOCK, SECRET, Browser, dex
from tests.support.local import PASSWORD, Accounts
from tests.support.pages import Page, Person, secret_on
from tests.support.postgres import free_port
from tests.support.server import Server, serving
from tests.support.slapd import GROUPS, PEOPLE, SERVICE, SERVICE_PASSWORD, Slapd


@pytest.mark.parametrize("prefix", ["", "/reg"])
def test_from_a_provider_to_a_token(tmp_path: Path, prefix: str) -> None:
    port = free_port()
    with dex(tmp_path / "dex", [f"http://127.0.0.1:{port}{prefix}/login/oidc/corp/callback"]) as provider:
        scopes = ["openid", "profile", "email", "groups"]
        corp: dict[str, Any] = {"name": "corp", "issuer": provider.issuer, "clientid": CLIENT, "clientsecret": SECRET}
        corp |= {"usernameclaim": ["email"], "groupsclaim": ["groups"], "scopes": scopes}
        config: dict[str, Any] = {"auth": {"local": {"oidc": [corp]}}, "http": {"prefix": f"{prefix}/"}}
        how: dict[str, Any] = {"config": config, "port": port, "prefix": prefix, "workers_wanted": 1}
        with serving(tmp_path / "server", **how) as server, Person(f"{server.base}{prefix}") as person:
            link = next(each["href"] for tag, each in person.page("/login").tags if tag == "a")
            with Browser() as browser:
                answer = browser.log_in(f"{server.base}{link}", MOCK)
                assert (answer.status_code, answer.headers["location"]) == (303, f"{prefix}/account")
                person.http.cookies.set("moorage_session", browser.http.cookies.get("moorage_session") or "")
            page = person.page("/account")
            assert page.by_id["who"] == MOCK
            assert "authors" in page.words, "the group of the provider"
            secret = secret_on(person.make_token("laptop"))
            token = f"{server.base}{prefix}/token"
            assert httpx.get(token, auth=(MOCK, secret), trust_env=False).status_code == 200
            made = Accounts(server).audit("token.create")
            assert [row[:3] for row in made] == [("ok", MOCK, "session")]


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    server = Slapd(tmp_path / "slapd").prepare()
    yield server
    if server.process is not None and server.process.poll() is None:
        server.stop()


def directory(slapd: Slapd, folder: Path) -> dict[str, Any]:
    password = folder / "password"
    password.write_text(SERVICE_PASSWORD + "\n")
    return {
        "name": "corp",
        "urls": [slapd.tls_url],
        "ca": str(slapd.ca),
        "binddn": SERVICE,
        "bindpasswordfile": str(password),
        "basedn": PEOPLE,
        "groups": {"basedn": GROUPS},
        "connecttimeout": "1s",
        "timeout": "3s",
    }


def signs_in(server: Server, name: str, password: str) -> httpx.Response:
    with Person(server.base) as person:
        return person.sign_in(name, password)


@pytest.mark.needs("slapd")
def test_people_of_a_directory_and_what_they_are_told_while_it_is_down(slapd: Slapd, tmp_path: Path) -> None:
    config = {"auth": {"local": {"ldap": [directory(slapd, tmp_path)]}}}
    # Not `clean`: an answer with 503 is in the log with its reason.
    with serving(tmp_path / "server", clean=False, config=config, workers_wanted=1) as server:
        Accounts(server).user("local")
        with Person(server.base) as person:
            assert person.sign_in("alice", "alice-password").status_code == 303
            page = person.page("/account")
            assert page.by_id["who"] == "alice"
            assert "You are in no group." not in page.words
            secret_on(person.make_token("laptop"))
        assert signs_in(server, "alice", "wrong words").status_code == 401
        slapd.stop()
        answer = signs_in(server, "user0001", "user0001-password")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        page = Page(answer.text)
        assert page.by_id["wrong"].endswith("."), "a sentence"
        assert page.form("/login").fields["name"] == "user0001"
        assert signs_in(server, "local", PASSWORD).status_code == 303, "its own users do not notice"
        assert "user0001-password" not in server.log()


def test_the_pages_over_postgresql(postgres_url: str, tmp_path: Path) -> None:
    config = {"auth": {"local": {}}, "database": {"url": postgres_url}, "audit": {"enabled": True}}
    with serving(tmp_path / "server", config=config, workers_wanted=1) as server, Person(server.base) as person:
        admin = (server.root / "admin-password").read_text().strip()
        for name in ("a\0b", "<script>", "x" * 3000):
            assert person.sign_in(name, "whatever it is").status_code == 401
        assert person.sign_in("admin", admin).status_code == 303
        secret = secret_on(person.make_token("laptop", "repository:team/**:pull", "3"))
        assert person.make_token("laptop").status_code == 409
        assert person.make_token("a\0b").status_code == 422
        assert httpx.get(f"{server.base}/v2/", auth=("admin", secret), trust_env=False).status_code == 200
        fields = person.ask_to_revoke("laptop").form("/account/tokens/revoke").fields
        for row in ("9" * 18, "2147483648", "0", "\0"):
            assert person.post("/account/tokens/revoke", {**fields, "id": row}).status_code == 404, row
        assert person.post("/account/tokens/revoke", fields).status_code == 303
        assert httpx.get(f"{server.base}/v2/", auth=("admin", secret), trust_env=False).status_code == 401
        assert person.post("/logout", person.fields("/account", "/logout")).status_code == 303
