"""The pages in a real browser: from a password, or a provider, to a token, with nothing blocked on the way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.dex import CLIENT, SECRET, dex
from tests.support.dex import PASSWORD as THERE
from tests.support.local import PASSWORD, Accounts
from tests.support.postgres import free_port
from tests.support.secrets_used import note
from tests.support.server import Server, serving
from tests.support.webdriver import Chromium, chromium

pytestmark = [pytest.mark.needs("chromium", "chromedriver"), pytest.mark.timeout(120)]


def test_a_browser_gets_a_token_with_a_password_and_with_a_provider(tmp_path: Path) -> None:
    port = free_port()
    with dex(tmp_path / "dex", [f"http://127.0.0.1:{port}/login/oidc/corp/callback"]) as provider:
        corp: dict[str, Any] = {"name": "corp", "issuer": provider.issuer, "clientid": CLIENT, "clientsecret": SECRET}
        corp |= {"title": "Corp", "usernameclaim": ["email"]}
        how: dict[str, Any] = {"config": {"auth": {"local": {"oidc": [corp]}}}, "port": port}
        with serving(tmp_path / "server", **how) as server, chromium(tmp_path / "browser") as browser:
            Accounts(server).user("ada")
            by_password(browser, server)
            by_provider(browser, server)
            assert browser.complaints() == []


def by_password(browser: Chromium, server: Server) -> None:
    browser.go(f"{server.base}/account")
    browser.arrive(f"{server.base}/login")
    sign_in(browser, "ada", "not the password")
    assert browser.text("[role=alert]") == "The user name or password is wrong."
    # The browser writes every answer of 400 and more to its console.
    assert [line for line in browser.complaints() if "status of 401" not in line] == []
    sign_in(browser, "ada", PASSWORD)
    browser.arrive(f"{server.base}/account")
    looks(browser)
    token = make_token(browser, server, "ada")
    browser.press("a[aria-label='Revoke laptop']")
    assert browser.text("#name") == "laptop"
    assert httpx.get(f"{server.base}/v2/", auth=("ada", token), trust_env=False).status_code == 200
    browser.press("main form button")
    browser.arrive(f"{server.base}/account")
    answer = httpx.get(f"{server.base}/v2/", auth=("ada", token), trust_env=False)
    assert answer.status_code == 401
    browser.press("header button")
    browser.arrive(f"{server.base}/login")
    browser.go(f"{server.base}/account")
    browser.arrive(f"{server.base}/login")


def by_provider(browser: Chromium, server: Server) -> None:
    browser.press(".providers a")
    browser.press("a[href*='/auth/local']")
    browser.fill("#login", "ann@example.com")
    browser.fill("#password", THERE)
    browser.press("#submit-login")
    browser.arrive(f"{server.base}/account")
    browser.complaints()  # those of the provider's own pages
    make_token(browser, server, "ann")


def sign_in(browser: Chromium, name: str, password: str) -> None:
    browser.fill("#name", name)
    browser.fill("#password", password)
    browser.press("main form button")


def make_token(browser: Chromium, server: Server, user: str) -> str:
    assert browser.text("#who") == user
    browser.fill("#name", "laptop")
    browser.press("form[action='/account/tokens'] button")
    token = browser.text("#secret")
    note(token)
    assert re.fullmatch(r"mrg_pat_[A-Za-z0-9_-]{43}", token)
    assert browser.text("#command") == f"docker login -u {user} 127.0.0.1:{server.port}"
    assert httpx.get(f"{server.base}/v2/", auth=(user, token), trust_env=False).status_code == 200
    return token


def looks(browser: Chromium) -> None:
    """The style is applied, which the policy has to allow, and follows what the person likes."""
    grounds = []
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        grounds.append(browser.style("body", "background-color"))
    assert len(set(grounds)) == 2
    assert "rgba(0, 0, 0, 0)" not in grounds
