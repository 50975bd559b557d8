"""Secrets of every kind go through a server that logs all it can: none of them is in what it keeps or tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.support import direct, secrets_used
from tests.support.api import ADMIN_PASSWORD, LOCAL, asking
from tests.support.local import FORM, basic, bearer
from tests.support.server import Server, serving
from tests.support.wire import Client, wait_until

WRONG = "not the right password"
MADE = "made for this user only"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Server]:
    config = {"version": "0.1", "log": {"level": "debug", "formatter": request.param}, "auth": {"local": {}}}
    with serving(tmp_path_factory.mktemp("server"), config=config, environment=LOCAL["environment"]) as started:
        yield started


def use_everything(server: Server) -> dict[str, str]:
    """Log in in all ways, right and wrong; all the secrets that were on the way, by what they are."""
    used = {"password": ADMIN_PASSWORD, "wrong password": WRONG, "other password": MADE}
    with asking(server) as admin:
        admin.make("/users", name="ada", password=MADE)
        used["pat"] = admin.make("/tokens", name="ci")["secret"]
        robot = admin.ask("POST", "/robots", {"name": "+builder"}).json()
        used["robot secret"] = next(value for value in strings(robot) if value.startswith("mrg_rob_"))
        for name, password in (("ada", MADE), ("ada", WRONG)):
            answer = admin.ask("POST", "/login", {"name": name, "password": password})
            if answer.status_code == 204:
                used["session"] = answer.cookies["moorage_session"]
        # What a careless person sends: a secret where none belongs.
        admin.ask("POST", "/users", {"name": WRONG, "password": 7})
        admin.ask("GET", "/users", params={"password": WRONG, "token": used["pat"]})
    with Client(server) as client:
        query = {"service": "moorage", "scope": "repository:some/name:pull,push"}
        path = f"/token?{urlencode(query)}"
        for user, kind in (("admin", "password"), ("admin", "pat"), ("+builder", "robot secret")):
            token = json.loads(client.get(path, [basic(user, used[kind])]).expect(200).body)["token"]
            used[f"jwt for {kind}"] = token
        client.get(path, [basic("admin", WRONG)]).expect(401)
        form = {"grant_type": "password", "username": "admin", "password": ADMIN_PASSWORD, "access_type": "offline"}
        form |= {"service": "moorage", "client_id": "test", "scope": query["scope"]}
        given = json.loads(client.ask("POST", "/token", [FORM], body=urlencode(form).encode()).expect(200).body)
        used["refresh token"], used["jwt by form"] = given["refresh_token"], given["access_token"]
        again = form | {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
        client.ask("POST", "/token", [FORM], body=urlencode(again).encode()).expect(200)
        wrong = form | {"password": WRONG}
        client.ask("POST", "/token", [FORM], body=urlencode(wrong).encode()).expect(401)
        client.ask("GET", f"/token?{urlencode(form)}")  # a password in the address
        client.get(f"/v2/?token={used['jwt for pat']}&password={quote(WRONG)}")
        client.get("/v2/", [bearer(used["jwt for pat"][:-3] + "AAA")]).expect(401)
        client.get("/v2/", [bearer(used["pat"])])
        client.get("/v2/", [("Authorization", used["pat"])])
    for who in (basic("admin", ADMIN_PASSWORD), basic("admin", used["pat"]), bearer(used["jwt for password"])):
        with Client(server, [who]) as client:
            client.push_image("some/name", "v1", b"a layer")
            client.get("/v2/some/name/manifests/v1").expect(200)
    used |= {f"header with {kind}": basic("admin", used[kind])[1][6:] for kind in ("password", "wrong password", "pat")}
    return used


def strings(value: Any) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from strings(each)


def kept(server: Server) -> dict[str, str]:
    """All that the server keeps, by the names of its tables."""
    url = server.database_url
    return {name: repr(direct.rows(url, f"SELECT * FROM {name}")) for name in (*direct.TABLES, "alembic_version")}


@pytest.mark.parametrize("server", ["text", "json"], indirect=True)
def test_no_secret_is_kept_or_told(server: Server) -> None:
    used = use_everything(server)
    assert len(used) == 14
    wait_until(lambda: "manifest.pull" in kept(server)["audit"] and "None)" not in kept(server)["audit"])
    with Client(server) as client:
        metrics = client.get("/metrics", [basic("admin", ADMIN_PASSWORD)]).expect(200).body.decode()
    places = {"log": server.log(), "metrics": metrics, **kept(server)}
    for place, text in places.items():
        for kind, secret in used.items():
            for written in {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]}:
                assert written not in text, f"{kind} in {place}: {secrets_used.leaked(text)}"
    # The same test would find them: what must be there is there.
    assert "/token" in places["log"]
    assert "login" in places["audit"]
    assert "some/name" in places["events"]
    assert "moorage_http_requests_total" in metrics
    wanted = ("users", "access_tokens", "robot_secrets", "refresh_tokens", "sessions", "signing_keys", "limit_counters")
    assert all(places[table] != "[]" for table in wanted)
