"""The pages over a socket: sign in, make and revoke a token, sign out; and whatever strangers send to them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from tests.support.local import PASSWORD, Accounts, basic
from tests.support.pages import Page, Person, secret_on
from tests.support.server import Server, serving

OIDC = [
    {"name": "corp", "title": "Corp <b>&\"'", "issuer": "http://127.0.0.1:1/dex", "clientid": "x", "clientsecret": "y"},
    {"name": "plain", "issuer": "http://127.0.0.1:1/dex", "clientid": "x", "clientsecret": "y"},
]
EVIL = "<script>alert(1)</script>\"'>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config: dict[str, Any] = {
        "auth": {"local": {"oidc": OIDC, "personaltokenlife": "720h"}},
        "audit": {"enabled": True},
        "log": {"formatter": "json"},
    }
    with serving(tmp_path_factory.mktemp("pages"), config=config) as started:
        yield started
        log = started.log()
    assert PASSWORD not in log
    assert "mrg_" not in log


@pytest.fixture(scope="module")
def accounts(server: Server) -> Accounts:
    found = Accounts(server)
    for name in ("ada", "bob", "cleo", "dora", "eve", "fay"):
        found.user(name, admin=False)
    found.user("root2")
    return found


@pytest.fixture
def person(server: Server, accounts: Accounts) -> Iterator[Person]:
    with Person(server.base) as made:
        yield made


def check_page(answer: httpx.Response) -> Page:
    """What every page is: HTML that runs nothing, loads nothing, is not kept and not framed."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8", answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert answer.headers["content-security-policy"].split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    page = Page(answer.text)
    names = [tag for tag, _ in page.tags]
    assert not {"script", "img", "link", "base", "iframe", "b"} & set(names)
    assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]
    assert not [attributes for _, attributes in page.tags if "style" in attributes]
    check_accessible(page)
    return page


def check_accessible(page: Page) -> None:
    """A language, one heading above all, no id twice, and a label for whatever is filled in."""
    assert page.tags[0] == ("html", {"lang": "en"})
    names = [tag for tag, _ in page.tags]
    assert (names.count("h1"), names.count("main"), names.count("title")) == (1, 1, 1)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    labelled = {attributes.get("for") for tag, attributes in page.tags if tag == "label"}
    for tag, attributes in page.tags:
        if tag == "textarea" or (tag == "input" and attributes.get("type") != "hidden"):
            assert attributes["id"] in labelled
        for word in (attributes.get("aria-describedby") or "").split():
            assert word in ids
    levels = [int(name[1]) for name in names if re.fullmatch("h[1-6]", name)]
    assert levels[0] in (1, 2)


def test_the_way_from_a_password_to_docker_login_and_out(person: Person, server: Server, accounts: Accounts) -> None:
    answer = person.get("/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    check_page(person.get("/login"))
    answer = person.sign_in("Ada", PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("moorage_session="))
    assert {part.strip().lower() for part in cookie.split(";")[1:]} >= {"httponly", "samesite=lax", "path=/"}
    assert "secure" not in cookie.lower(), "this registry has no TLS"
    row = accounts.rows("SELECT id FROM users WHERE name='ada'")[0][0]
    group = accounts.run(
        "INSERT INTO groups (name, description, source, created_at, version) VALUES (?,'','local',1,1)", "crew"
    )
    accounts.run("INSERT INTO group_members (group_id, user_id, source) VALUES (?,?,'local')", group, row)
    page = check_page(person.get("/account"))
    assert page.by_id["who"] == "ada"
    assert "crew" in page.words
    assert "You have none." in page.words

    made = person.make_token("laptop", "repository:team/**:pull\nregistry:catalog:*", "7")
    assert made.status_code == 200
    page = check_page(made)
    secret = secret_on(made)
    assert page.by_id["command"] == f"docker login -u ada 127.0.0.1:{server.port}"
    assert httpx.get(f"{server.base}/v2/", auth=("ada", secret), trust_env=False).status_code == 200
    ends = accounts.rows("SELECT expires_at FROM access_tokens WHERE name='laptop'")[0][0]
    assert abs(ends - time.time() - 7 * 86400) < 300
    again = person.get("/account")
    assert secret not in again.text, "shown once"
    for words in ("laptop", "repository:team/**:pull", "registry:catalog:*"):
        assert words in check_page(again).words

    assert [form.action for form in Page(again.text).forms] == ["/logout", "/account/tokens"]
    asked = person.ask_to_revoke("laptop")
    assert asked.by_id["name"] == "laptop"
    assert httpx.get(f"{server.base}/v2/", auth=("ada", secret), trust_env=False).status_code == 200, "only asked"
    fields = asked.form("/account/tokens/revoke").fields
    answer = person.post("/account/tokens/revoke", fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert httpx.get(f"{server.base}/v2/", auth=("ada", secret), trust_env=False).status_code == 401
    assert check_page(person.post("/account/tokens/revoke", fields)).words.count("You have no such token") == 1

    session = person.session()
    answer = person.post("/logout", person.fields("/account", "/logout"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert person.session() is None
    stolen = httpx.get(f"{server.base}/account", headers={"cookie": f"moorage_session={session}"}, trust_env=False)
    assert stolen.status_code == 303
    for action, target in (("token.create", "ada/laptop"), ("token.revoke", "ada/laptop"), ("logout", "ada")):
        assert audited(accounts, action, "ada", "ok", "session", target)
    assert audited(accounts, "login", "ada", "ok", "password", "ada")


def test_a_login_ends_the_session_that_the_browser_had(server: Server, person: Person, accounts: Accounts) -> None:
    """Of whoever it was; not before the new one is there."""
    fields = person.fields("/login", "/login")
    person.post("/login", {**fields, "name": "cleo", "password": PASSWORD})
    first = person.session()
    assert person.post("/login", {**fields, "name": "dora", "password": "wrong"}).status_code == 401
    assert check_page(person.get("/account")).by_id["who"] == "cleo"
    assert person.post("/login", {**fields, "name": "dora", "password": PASSWORD}).status_code == 303
    assert check_page(person.get("/account")).by_id["who"] == "dora"
    stolen = httpx.get(f"{server.base}/account", headers={"cookie": f"moorage_session={first}"}, trust_env=False)
    assert (stolen.status_code, stolen.headers["location"]) == (303, "/login")
    assert audited(accounts, "logout", "cleo", "ok", "session", "cleo")


def audited(accounts: Accounts, *wanted: str) -> bool:
    """Whether the audit log gets an entry of that action, actor, outcome, credential and target."""
    statement = "SELECT action, actor, outcome, credential, target FROM audit"
    deadline = time.monotonic() + 20
    while wanted not in accounts.rows(statement):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_a_wrong_password_is_401_with_the_form_again(person: Person, accounts: Accounts) -> None:
    answer = person.sign_in("bob", "not the password")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="moorage"', "no window of the browser's own"
    page = check_page(answer)
    assert page.by_id["wrong"] == "The user name or password is wrong."
    assert page.form("/login").fields["name"] == "bob"
    assert page.form("/login").fields["password"] == ""
    assert person.session() is None
    again = person.post("/login", {**page.form("/login").fields, "password": PASSWORD})
    assert again.status_code == 303, "the form of the refusal works"
    assert audited(accounts, "login", "bob", "refused", "", "bob")


@pytest.mark.parametrize("kind", ["pat", "robot"])
def test_a_token_is_no_password_here(person: Person, accounts: Accounts, kind: str) -> None:
    row = accounts.rows("SELECT id FROM users WHERE name='bob'")[0][0]
    secret = accounts.pat(row) if kind == "pat" else accounts.robot("ci")
    assert person.sign_in("bob" if kind == "pat" else "ci", secret).status_code == 401
    assert person.session() is None


def test_failures_make_one_wait(server: Server, person: Person, accounts: Accounts) -> None:
    for _ in range(12):
        answer = person.sign_in("fay", f"wrong {_} and more")
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "wrong" in check_page(answer).by_id
    assert person.sign_in("fay", PASSWORD).status_code == 429, "the right one has to wait, too"
    elsewhere = httpx.get(f"{server.base}/token", headers=[basic("fay", PASSWORD)], trust_env=False)
    assert elsewhere.status_code == 429, "all doors count together"


def test_providers_are_links_and_their_names_are_text(person: Person) -> None:
    page = check_page(person.get(f"/login?next={quote('/account?x=1&y=<2>', safe='')}"))
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert len(links) == 2
    assert all(str(link).startswith(("/login/oidc/corp?next=/account", "/login/oidc/plain?next=/")) for link in links)
    assert "Sign in with Corp <b>&\"'" in page.words
    assert page.form("/login").fields["next"] == "/account?x=1&y=<2>"


def test_after_the_login_one_goes_where_one_wanted(person: Person) -> None:
    answer = person.sign_in("bob", PASSWORD, "/login?next=/api/v1/me")
    assert (answer.status_code, answer.headers["location"]) == (303, "/api/v1/me")
    assert person.get("/api/v1/me").json()["name"] == "bob"
    answer = person.get("/login?next=/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account"), "signed in already"


@pytest.mark.parametrize(
    "where", ["//evil", "/\\evil", "https://evil/", "/%2f%2fevil", "/\t/evil", "javascript:alert(1)", "/a/../../b", "x"]
)
def test_nobody_is_sent_elsewhere(person: Person, where: str) -> None:
    answer = person.get(f"/login?next={quote(where, safe='')}")
    page = check_page(answer)
    assert "next" not in page.form("/login").fields
    assert "evil" not in answer.text
    fields = {**page.form("/login").fields, "name": "bob", "password": PASSWORD, "next": where}
    assert person.post("/login", fields).headers["location"] == "/account"
    assert person.get(f"/login?next={quote(where, safe='')}").headers["location"] == "/account"


FOREIGN: list[dict[str, str]] = [
    {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    {"origin": "https://evil.example", "sec-fetch-site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_forms_of_other_sites_do_nothing(person: Person, accounts: Accounts, headers: dict[str, str]) -> None:
    fields = {**person.fields("/login", "/login"), "name": "cleo", "password": PASSWORD}
    answer = person.post("/login", fields, **headers)
    assert answer.status_code == 403, "login CSRF"
    assert "another site" in check_page(answer).words
    assert person.session() is None
    person.sign_in("cleo", PASSWORD)
    fields = {**person.fields("/account", "/account/tokens"), "name": "planted"}
    assert person.post("/account/tokens", fields, **headers).status_code == 403
    assert person.post("/account/tokens/revoke", {**fields, "id": "1"}, **headers).status_code == 403
    assert person.post("/logout", fields, **headers).status_code == 403
    assert accounts.rows("SELECT count(*) FROM access_tokens WHERE name='planted'") == [(0,)]
    assert check_page(person.get("/account")).by_id["who"] == "cleo"
    assert audited(accounts, "access", "cleo", "refused", "session", "/account/tokens")


def test_old_browsers_are_known_by_their_origin(server: Server, person: Person) -> None:
    fields = {**person.fields("/login", "/login"), "name": "cleo", "password": PASSWORD}
    for origin in ("null", "https://evil.example", f"{server.base}.evil.example"):
        answer = person.http.post(f"{server.base}/login", data=fields, headers={"origin": origin})
        assert answer.status_code == 403, origin
    assert person.http.post(f"{server.base}/login", data=fields).status_code == 403, "it does not say"
    good = person.http.post(f"{server.base}/login", data=fields, headers={"origin": server.base})
    assert good.status_code == 303


@pytest.mark.parametrize("token", [None, "", "0" * 64, "\0", "ä", "x" * 5000])
def test_a_form_without_its_word_does_nothing(person: Person, accounts: Accounts, token: str | None) -> None:
    def spoilt(fields: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in fields.items() if name != "form_token"}
        return kept if token is None else {**kept, "form_token": token}

    fields = spoilt({**person.fields("/login", "/login"), "name": "dora", "password": PASSWORD})
    assert person.post("/login", fields).status_code == 403
    person.sign_in("dora", PASSWORD)
    fields = spoilt({"name": "planted"})
    assert person.post("/account/tokens", fields).status_code == 403
    assert person.post("/account/tokens/revoke", spoilt({"id": "1"})).status_code == 403
    assert person.post("/logout", spoilt({"more": "words"})).status_code == 403
    assert accounts.rows("SELECT count(*) FROM access_tokens WHERE name='planted'") == [(0,)]


def test_a_form_is_for_one_session(server: Server, person: Person) -> None:
    person.sign_in("dora", PASSWORD)
    with Person(server.base) as thief:
        thief.sign_in("eve", PASSWORD)
        fields = {**thief.fields("/account", "/account/tokens"), "name": "planted"}
        assert person.post("/account/tokens", fields).status_code == 403
        login = thief.http.cookies.get("moorage_form", path="/login")
        assert login
    person.http.cookies.clear()
    with Person(server.base) as other:
        fields = {**other.fields("/login", "/login"), "name": "eve", "password": PASSWORD}
    assert person.post("/login", fields).status_code == 403, "the form of another browser"


def test_a_disabled_user_is_out_at_once(person: Person, accounts: Accounts) -> None:
    accounts.user("gone", admin=False)
    person.sign_in("gone", PASSWORD)
    fields = {**person.fields("/account", "/account/tokens"), "name": "late"}
    accounts.run("UPDATE users SET disabled=1 WHERE name='gone'")
    answer = person.post("/account/tokens", fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert person.session() is None, "the cookie is taken away"
    assert accounts.rows("SELECT count(*) FROM access_tokens WHERE name='late'") == [(0,)]
    assert person.sign_in("gone", PASSWORD).status_code == 401


@pytest.mark.parametrize(
    ("name", "scopes", "days", "status", "words"),
    [
        (EVIL, "", "31", 422, "1 to 30 days"),
        (EVIL, "", "0", 422, "1 to 30 days"),
        (EVIL, "", "1e3", 422, "1 to 30 days"),
        (EVIL, "", "-5", 422, "1 to 30 days"),
        (EVIL, EVIL, "3", 422, "is no scope"),
        ("", "", "3", 422, "printable"),
        ("a\0b", "", "3", 422, "printable"),
        ("a\nb", "", "3", 422, "printable"),
        ("a\u202eb", "", "3", 422, "printable"),
        ("a" * 129, "", "3", 422, "printable"),
        ("a", "repository:\0:pull", "3", 422, "is no scope"),
        ("a", "repository:x:pull " * 51, "3", 422, "at most 50"),
    ],
)
def test_what_no_token_can_be_is_said_and_kept_in_the_form(
    person: Person, accounts: Accounts, name: str, scopes: str, days: str, status: int, words: str
) -> None:
    person.sign_in("eve", PASSWORD)
    answer = person.make_token(name, scopes, days)
    assert answer.status_code == status
    page = check_page(answer)
    assert words in page.by_id["wrong"]
    assert "mrg_pat_" not in answer.text
    assert accounts.rows("SELECT count(*) FROM access_tokens t JOIN users u ON u.id=t.user_id WHERE u.name='eve'") == [
        (0,)
    ]


def test_names_of_tokens_and_groups_are_text(person: Person, accounts: Accounts) -> None:
    row = accounts.user("hal", admin=False)
    group = accounts.run(
        "INSERT INTO groups (name, description, source, created_at, version) VALUES (?,'','local',1,1)", EVIL
    )
    accounts.run("INSERT INTO group_members (group_id, user_id, source) VALUES (?,?,'local')", group, row)
    person.sign_in("hal", PASSWORD)
    page = check_page(person.make_token(EVIL))
    assert page.words.count(EVIL) == 3, "the new token, the group, the list"
    assert check_page(person.make_token(EVIL)).by_id["wrong"].startswith(f"You have a token {EVIL} already")
    accounts.run("UPDATE users SET name=? WHERE name='hal'", EVIL)
    assert check_page(person.get("/account")).by_id["who"] == EVIL


def test_wrong_user_names_are_text(person: Person) -> None:
    for name in (EVIL, "a\0b", "x" * 3000, "ä\u202e", " "):
        answer = person.sign_in(name, "whatever it is")
        assert answer.status_code in (401, 429), name
        check_page(answer)


def test_only_ones_own_tokens_are_revoked(person: Person, accounts: Accounts) -> None:
    victim = accounts.rows("SELECT id FROM users WHERE name='bob'")[0][0]
    accounts.pat(victim)
    row = accounts.rows("SELECT max(id) FROM access_tokens WHERE user_id=?", victim)[0][0]
    for name in ("eve", "root2"):
        person.http.cookies.clear()
        person.sign_in(name, PASSWORD)
        fields = person.fields("/account", "/logout")
        for number in (str(row), "0", "-1", "x", "9" * 30, "1\0", ""):
            asked = person.get(f"/account/tokens/revoke?id={quote(number)}")
            assert (asked.status_code, "You have no such token" in check_page(asked).words) == (404, True), number
            assert person.post("/account/tokens/revoke", {**fields, "id": number}).status_code == 404, number
    assert accounts.rows("SELECT count(*) FROM access_tokens WHERE id=?", row) == [(1,)]


def test_to_revoke_takes_two_steps_of_somebody_signed_in(person: Person, accounts: Accounts) -> None:
    """The name on the page is text; who is not signed in is sent to do so, and a query that says two things is 400."""
    accounts.user("hal", admin=False)
    assert person.get("/account/tokens/revoke?id=1").headers["location"] == "/login"
    person.sign_in("hal", PASSWORD)
    person.make_token(EVIL)
    asked = person.ask_to_revoke(EVIL)
    assert asked.by_id["name"] == EVIL
    row = asked.form("/account/tokens/revoke").fields["id"]
    check_page(person.get(f"/account/tokens/revoke?id={row}"))
    assert person.http.head(f"{person.base}/account/tokens/revoke?id={row}").content == b""
    assert person.get(f"/account/tokens/revoke?id={row}&id=2").status_code == 400
    assert person.post(f"/account/tokens/revoke?id={row}", {"id": row}).status_code == 403, "the word of the form"
    assert accounts.rows("SELECT count(*) FROM access_tokens WHERE id=?", row) == [(1,)]
    assert person.post("/account/tokens/revoke", asked.form("/account/tokens/revoke").fields).status_code == 303
    assert accounts.rows("SELECT count(*) FROM access_tokens WHERE id=?", row) == [(0,)]


@pytest.mark.parametrize("path", ["/login", "/account/tokens", "/account/tokens/revoke", "/logout"])
def test_bodies_that_are_no_form(server: Server, person: Person, path: str) -> None:
    person.sign_in("eve", PASSWORD)
    token = person.fields("/account", "/logout")["form_token"]
    form = {"content-type": "application/x-www-form-urlencoded"}
    bodies: list[tuple[dict[str, str], bytes, int]] = [
        ({"content-type": "application/json"}, json.dumps({"form_token": token}).encode(), 400),
        ({"content-type": "text/plain"}, f"form_token={token}".encode(), 400),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x--", 400),
        ({}, f"form_token={token}".encode(), 400),
        (form, b"name=%zz", 400),
        (form, b"name=%ff", 400),
        (form, f"form_token={token}&form_token={token}".encode(), 400),
        (form, b"&".join([b"a=b"] * 300), 400),
        (form, b"name=" + b"a" * 70_000, 413),
    ]
    for headers, body, status in bodies:
        sent = {"origin": server.base, **headers}
        answer = person.http.post(f"{server.base}{path}", content=body, headers=sent)
        assert answer.status_code == status, (path, body[:40], answer.text)
        check_page(answer)


def test_a_field_that_is_there_twice_is_refused(server: Server, person: Person) -> None:
    token = person.fields("/login", "/login")["form_token"]
    headers = {"origin": server.base, "content-type": "application/x-www-form-urlencoded"}
    body = f"form_token={token}&name=eve&name=bob&password={quote(PASSWORD)}"
    answer = person.http.post(f"{server.base}/login", content=body.encode(), headers=headers)
    assert answer.status_code == 400
    assert "several times" in check_page(answer).words
    assert person.session() is None


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/logout", 405, "POST"),
        ("PUT", "/login", 405, "HEAD, GET, POST"),
        ("DELETE", "/account", 405, "HEAD, GET"),
        ("OPTIONS", "/account", 405, "HEAD, GET"),
        ("POST", "/login/oidc/corp", 405, "GET"),
        ("GET", "/login/", 404, None),
        ("GET", "/login/x", 404, None),
        ("GET", "/account/x", 404, None),
        ("GET", "/account/%3Cscript%3E", 404, None),
        ("GET", "/login?next=a&next=b", 400, None),
        ("GET", "/login?next=%ff", 400, None),
        ("GET", "/login/oidc/nobody", 404, None),
        ("GET", "/login/oidc/corp", 503, None),
    ],
)
def test_errors_are_pages(person: Person, method: str, path: str, status: int, allow: str | None) -> None:
    answer = person.http.request(method, f"{person.base}{path}")
    assert answer.status_code == status
    assert answer.headers.get("allow") == allow
    check_page(answer)


def test_head_and_forms_are_no_places_to_be(person: Person) -> None:
    answer = person.http.head(f"{person.base}/login")
    assert (answer.status_code, answer.content) == (200, b"")
    for path in ("/account/tokens", "/account/tokens/revoke"):
        assert person.get(path).headers["location"] == "/account"


def test_metrics_and_the_access_log_know_the_pages(server: Server, person: Person) -> None:
    person.sign_in("bob", PASSWORD)
    person.get("/account")
    person.get("/account/not-there")
    deadline = time.monotonic() + 10
    while '"/account/not-there"' not in server.log() and time.monotonic() < deadline:
        time.sleep(0.1)
    log = server.log()
    assert '"/account/not-there"' in log
    assert '"bob"' in log
    seen = (("POST", "login", 303), ("GET", "account", 200), ("GET", "account", 404))
    lines = [f'requests_total{{method="{method}",route="{route}",status="{status}"}}' for method, route, status in seen]
    metrics = ""
    while not all(line in metrics for line in lines) and time.monotonic() < deadline:
        metrics = httpx.get(f"{server.base}/metrics", auth=("root2", PASSWORD), trust_env=False).text
        time.sleep(0.2)
    assert [line for line in lines if line not in metrics] == []
    assert "not-there" not in metrics


def test_everything_is_below_a_prefix(tmp_path_factory: pytest.TempPathFactory) -> None:
    config = {"auth": {"local": {"oidc": OIDC}}, "http": {"prefix": "/reg/"}}
    how: dict[str, Any] = {"config": config, "prefix": "/reg", "workers_wanted": 1}
    with serving(tmp_path_factory.mktemp("prefix"), **how) as server, Person(f"{server.base}/reg") as person:
        Accounts(server).user("ada")
        assert person.http.get(f"{server.base}/login").status_code == 404
        assert person.get("/account").headers["location"] == "/reg/login"
        assert person.sign_in("ada", PASSWORD, "/login?next=/elsewhere").headers["location"] == "/reg/account"
        page = check_page(person.get("/account"))
        assert {form.action for form in page.forms} == {"/reg/logout", "/reg/account/tokens"}
        assert person.make_token("laptop").status_code == 200
        assert person.post("/logout", person.fields("/account", "/logout")).headers["location"] == "/reg/login"
        addresses = [attributes.get("href") for tag, attributes in person.page("/login").tags if tag == "a"]
        assert addresses == ["/reg/login/oidc/corp", "/reg/login/oidc/plain"]


def test_behind_a_proxy_with_tls_cookies_are_secure(tmp_path_factory: pytest.TempPathFactory) -> None:
    config = {"auth": {"local": {}}, "http": {"host": "https://registry.example.com"}}
    how: dict[str, Any] = {"config": config, "workers_wanted": 1}
    with serving(tmp_path_factory.mktemp("proxy"), **how) as server, Person(server.base) as person:
        Accounts(server).user("ada")
        answer = person.get("/login")
        assert "Secure" in answer.headers["set-cookie"]
        cookie = answer.headers["set-cookie"].partition(";")[0]
        fields = {**Page(answer.text).form("/login").fields, "name": "ada", "password": PASSWORD}
        headers = {"cookie": cookie, "origin": "https://registry.example.com"}
        answer = httpx.post(f"{server.base}/login", data=fields, headers=headers, trust_env=False)
        assert answer.status_code == 303
        assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("mode", ["none", "htpasswd"])
def test_without_accounts_there_are_no_pages(tmp_path_factory: pytest.TempPathFactory, mode: str) -> None:
    folder = tmp_path_factory.mktemp("off")
    auth: dict[str, Any] = {"htpasswd": {"realm": "x", "path": str(folder / "users")}}
    config: dict[str, Any] = {"auth": auth} if mode == "htpasswd" else {}
    with serving(folder, config=config, workers_wanted=1) as server, Person(server.base) as person:
        unknown = person.get("/nothing-here")
        for path in ("/login", "/account", "/account/tokens", "/login/oidc/x"):
            answer = person.get(path)
            assert answer.status_code == 404
            assert answer.headers["content-type"] == unknown.headers["content-type"]
        assert person.http.post(f"{server.base}/logout").status_code == 404


def test_requests_for_pages_are_limited(tmp_path_factory: pytest.TempPathFactory) -> None:
    limits = {"requests": {"anonymous": "5/60s"}, "storage": "memory"}
    config: dict[str, Any] = {"auth": {"local": {}}, "limits": limits}
    how: dict[str, Any] = {"config": config, "workers_wanted": 1}
    with serving(tmp_path_factory.mktemp("limits"), **how) as server, Person(server.base) as person:
        answers = [person.get("/login") for _ in range(7)]
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) > 0
        check_page(answers[-1])
        assert urlsplit(str(answers[0].url)).path == "/login"
