"""Accounts of our own over a socket: the first start, the challenge, the token endpoint, what ends a login."""

from __future__ import annotations

import json
import re
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.guesses import among_guesses, check_overtaking
from tests.support.local import FORM, PASSWORD, Accounts, ask_token, basic, bearer
from tests.support.nursery import nursery
from tests.support.server import Server, serving
from tests.support.wire import Client
from tests.wire.conftest import Serve

ADMIN = "the first password"
DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Server]:
    """A server with accounts of its own; at its end no secret is in the log."""
    folder = tmp_path_factory.mktemp("server")
    # Failures are many here, and limited elsewhere.
    environment = {"MOORAGE_ADMIN_PASSWORD": ADMIN, "REGISTRY_LIMITS_LOGINS_ENABLED": "false"}
    how: dict[str, Any] = {"environment": environment, "database": database_url}
    with serving(folder, arguments=("--auth", "local"), **how) as started:
        yield started
        log = started.log()
    for secret in (ADMIN, PASSWORD, "mrg_pat_", "mrg_rob_", "mrg_ref_", "eyJ", basic("admin", ADMIN)[1]):
        assert secret not in log


@pytest.fixture(scope="module")
def accounts(server: Server) -> Accounts:
    """Its rows; the user alice is an admin with PASSWORD."""
    made = Accounts(server)
    made.user("alice")
    return made


ALICE = basic("alice", PASSWORD)


def post(client: Client, **form: str) -> dict[str, object]:
    """POST /token; what was answered with 200."""
    answer = client.ask("POST", "/token", [FORM], urlencode(form).encode()).expect(200)
    parsed: dict[str, object] = json.loads(answer.body)
    return parsed


# C1 to C3


def test_the_challenge_names_the_address_that_was_used(client: Client) -> None:
    for path in ("/v2/", "/v2"):
        answer = client.get(path).expect(401)
        realm = "http://registry.test/token"
        assert answer.values("WWW-Authenticate") == [f'Bearer realm="{realm}",service="moorage"']
        assert answer.codes() == ["UNAUTHORIZED"]


def test_the_challenge_has_the_scope_that_would_do(client: Client) -> None:
    for method, actions in (("GET", "pull"), ("PUT", "pull,push"), ("DELETE", "delete")):
        challenge = client.ask(method, "/v2/a/b/manifests/1").expect(401).need("WWW-Authenticate")
        assert f'scope="repository:a/b:{actions}"' in challenge
        assert "error=" not in challenge


def test_the_challenge_of_a_mount_has_both_scopes(client: Client) -> None:
    begin = f"/v2/a/b/blobs/uploads/?mount=sha256:{'0' * 64}"
    for source, scopes in (("c/d", "repository:a/b:pull,push repository:c/d:pull"), ("C", "repository:a/b:pull,push")):
        challenge = client.ask("POST", f"{begin}&from={source}").expect(401).need("WWW-Authenticate")
        assert f'scope="{scopes}"' in challenge


@pytest.mark.parametrize("who", [None, basic("", "")])
def test_an_anonymous_token_opens_the_base_only(client: Client, who: tuple[str, str] | None) -> None:
    given = ask_token(client, who, "repository:a/b:pull,push", "registry:catalog:*")
    assert given["scope"] == ""
    assert "refresh_token" not in given
    client.get("/v2/", [bearer(given["token"])]).expect(200)
    client.get("/v2/a/b/tags/list", [bearer(given["token"])]).expect(401)
    client.get("/v2/_catalog", [bearer(given["token"])]).expect(401)


@pytest.mark.parametrize(
    "who", [basic("alice", "wrong"), basic("nobody", PASSWORD), basic("", PASSWORD), ("Authorization", "x")]
)
def test_wrong_credentials_are_never_anonymous(client: Client, accounts: Accounts, who: tuple[str, str]) -> None:
    for path in ("/token", "/v2/"):
        answer = client.get(path, [who]).expect(401)
        assert answer.codes() == ["UNAUTHORIZED"]
        assert answer.header("WWW-Authenticate")


# C4 to C6


def test_what_a_token_answer_holds(client: Client, accounts: Accounts) -> None:
    given = ask_token(client, ALICE, "repository:a/b:pull,push", account="alice", client_id="docker")
    assert given["token"] == given["access_token"]
    assert given["expires_in"] == 300
    issued = datetime.strptime(given["issued_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(issued.timestamp() - time.time()) < 5
    assert "refresh_token" not in given
    assert re.fullmatch(r"repository:a/b:(overwrite,)?pull,push", given["scope"])
    client.get("/v2/", [bearer(given["token"])]).expect(200)


def test_scopes_in_both_spellings(client: Client, accounts: Accounts) -> None:
    one = ask_token(client, ALICE, "repository:a:pull", "repository:b:pull", "registry:catalog:*", "nonsense", "x:y:z")
    assert one["scope"].split() == ["repository:a:pull", "repository:b:pull", "registry:catalog:*"]
    other = ask_token(client, ALICE, "repository:a:pull repository:b:pull registry:catalog:* nonsense")
    assert other["scope"] == one["scope"]
    client.get("/v2/_catalog", [bearer(one["token"])]).expect(200)


def test_a_star_is_all_that_there_is(client: Client, accounts: Accounts) -> None:
    given = ask_token(client, ALICE, "repository:a/b:*")
    assert {"pull", "push", "delete"} <= set(given["scope"].rpartition(":")[2].split(","))


def test_no_scope_opens_the_base(client: Client, accounts: Accounts) -> None:
    given = ask_token(client, ALICE)
    assert given["scope"] == ""
    client.get("/v2/", [bearer(given["token"])]).expect(200)
    refused = client.get("/v2/a/b/tags/list", [bearer(given["token"])]).expect(401)
    challenge = refused.need("WWW-Authenticate")
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="repository:a/b:pull"' in challenge
    assert refused.codes() == ["DENIED"]


def test_a_form_with_a_password(client: Client, accounts: Accounts) -> None:
    form = {
        "grant_type": "password",
        "username": "alice",
        "service": "moorage",
        "scope": "repository:a:pull repository:b:pull",
    }
    given = post(client, **form, password=PASSWORD, client_id="containerd-client")
    assert given["scope"] == "repository:a:pull repository:b:pull"
    assert given["token"] == given["access_token"]
    assert "refresh_token" not in given
    wrong = urlencode({**form, "password": "wrong"}).encode()
    assert client.ask("POST", "/token", [FORM], wrong).expect(401).codes() == ["UNAUTHORIZED"]


def test_a_refresh_token(client: Client, accounts: Accounts) -> None:
    by_get = ask_token(client, ALICE, offline_token="true")["refresh_token"]
    by_post = post(client, grant_type="password", username="alice", password=PASSWORD, access_type="offline")
    for secret in (by_get, str(by_post["refresh_token"])):
        again = post(
            client, grant_type="refresh_token", refresh_token=secret, scope="repository:a:pull", service="moorage"
        )
        assert again["refresh_token"] == secret
        assert again["scope"] == "repository:a:pull"
        client.get("/v2/", [bearer(str(again["access_token"]))]).expect(200)
        for user in ("alice", "<token>"):
            client.get("/token", [basic(user, secret)]).expect(401)
            client.get("/v2/", [basic(user, secret)]).expect(401)
        client.get("/v2/", [bearer(secret)]).expect(401)


def test_a_token_is_not_good_for_another_one(client: Client, accounts: Accounts) -> None:
    token = ask_token(client, ALICE, "repository:a:pull")["token"]
    client.get("/token?scope=repository:a:push", [bearer(token)]).expect(401)
    client.get("/token", [basic("alice", token)]).expect(401)
    form = urlencode({"grant_type": "refresh_token", "refresh_token": token}).encode()
    client.ask("POST", "/token", [FORM], form).expect(401)


BAD_FORMS = [
    b"",
    b"grant_type=authorization_code",
    b"grant_type=password&grant_type=password&username=a&password=b",
    b"grant_type=password&username=a&username=b&password=c",
    b"grant_type=refresh_token&refresh_token=a&refresh_token=b",
    b"grant_type=password&username=%zz&password=c",
    b"grant_type=password&username=%ff&password=c",
    b"grant_type=password&service=another&username=a&password=b",
    b"&".join([b"a=b"] * 300),
]


@pytest.mark.parametrize("body", BAD_FORMS, ids=range(len(BAD_FORMS)))
def test_a_bad_form_is_a_json_error(client: Client, body: bytes) -> None:
    assert client.ask("POST", "/token", [FORM], body).expect(400).codes() == ["UNSUPPORTED"]


def test_other_bad_requests(client: Client) -> None:
    body = b'{"grant_type": "password"}'
    client.ask("POST", "/token", [("Content-Type", "application/json")], body).expect(400)
    client.ask("POST", "/token", [FORM], b"a=" + b"b" * 70_000).expect(413)
    client.ask("POST", "/token", [FORM], b"a=" + b"b" * 70_000, chunked=True).expect(413)
    client.get("/token?service=another").expect(400)
    client.get("/token?service=%zz").expect(400)
    client.get("/token?service=moorage&service=moorage").expect(400)
    assert client.ask("PUT", "/token").expect(405).need("Allow") == "GET, HEAD, POST"
    client.ask("POST", "/token/jwks").expect(405)
    client.get("/token/other").expect(404)


# What a token is good for, and what ends it


def test_push_and_pull_with_a_token(client: Client, accounts: Accounts, name: str) -> None:
    with Client(client.server, [bearer(ask_token(client, ALICE, f"repository:{name}:pull,push")["token"])]) as pushing:
        digest = pushing.push_blob(name, b"some bytes")
    with Client(client.server, [bearer(ask_token(client, ALICE, f"repository:{name}:pull")["token"])]) as pulling:
        assert pulling.get(f"/v2/{name}/blobs/{digest}").expect(200).body == b"some bytes"
        pulling.ask("POST", f"/v2/{name}/blobs/uploads/").expect(401)
    client.get(f"/v2/{name}/blobs/{digest}", [ALICE]).expect(200)
    client.get(f"/v2/{name}/blobs/{digest}").expect(401)


def test_a_robot_and_a_personal_access_token(client: Client, accounts: Accounts) -> None:
    robot, pat = accounts.robot("+builder"), accounts.pat(accounts.user("bob"))
    for who in (basic("+builder", robot), basic("bob", pat), basic("<token>", pat)):
        client.get("/v2/", [who]).expect(200)
        client.get("/v2/", [bearer(ask_token(client, who)["token"])]).expect(200)
    for secret in (robot, pat):
        client.get("/v2/", [bearer(secret)]).expect(200)
        client.get("/v2/", [basic("alice", secret)]).expect(401)
    assert "refresh_token" not in ask_token(client, basic("+builder", robot), offline_token="true")
    assert "refresh_token" in ask_token(client, basic("bob", pat), offline_token="true")


@pytest.mark.parametrize("end", ["epoch=epoch+1", "disabled=TRUE", None])
def test_what_ends_everything_at_once(client: Client, accounts: Accounts, end: str | None) -> None:
    name = f"carol{abs(hash(end)) % 1000}"
    row = accounts.user(name)
    pat, who = accounts.pat(row), basic(name, PASSWORD)
    secrets = [ask_token(client, each, offline_token="true")["refresh_token"] for each in (who, basic(name, pat))]
    client.get("/v2/", [who]).expect(200)
    accounts.run(f"UPDATE users SET {end} WHERE id=?" if end else "DELETE FROM users WHERE id=?", row)
    for secret in secrets:
        form = urlencode({"grant_type": "refresh_token", "refresh_token": secret}).encode()
        client.ask("POST", "/token", [FORM], form).expect(401)
    if end != "epoch=epoch+1":
        for path in ("/token", "/v2/"):
            client.get(path, [who]).expect(401)
            client.get(path, [basic(name, pat)]).expect(401)


def test_logins_tokens_and_refusals_are_in_the_audit_log(client: Client, accounts: Accounts) -> None:
    accounts.user("dora")
    who = basic("dora", PASSWORD)
    for _ in range(3):
        client.get("/v2/", [who]).expect(200)
    ask_token(client, who, "repository:a:pull", client_id="docker")
    client.get("/v2/", [basic("dora", "wrong")]).expect(401)
    logins = [entry[:3] for entry in accounts.audit("login") if entry[1] == "dora"]
    assert logins.count(("refused", "dora", "")) == 1
    assert 1 <= logins.count(("ok", "dora", "password")) <= 2, "once for each worker"
    (issued,) = [entry for entry in accounts.audit("token.issue") if entry[1] == "dora"]
    assert json.loads(issued[3]) == {"scopes": ["repository:a:pull"], "client": "docker"}


def test_a_token_waits_for_nobody_who_guesses_passwords(client: Client, accounts: Accounts) -> None:
    token = ask_token(client, ALICE)["token"]
    check_overtaking(
        among_guesses(partial(_guess, client.server), lambda _: client.get("/v2/", [bearer(token)]).expect(200))
    )


def _guess(server: Server, number: int) -> int:
    with Client(server) as client:
        return client.get("/v2/", [basic(f"nobody{number}", f"wrong{number}")]).status


def test_the_keys_are_public(client: Client) -> None:
    answer = client.get("/token/jwks").expect(200)
    (key,) = json.loads(answer.body)["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert answer.need("Content-Type") == "application/jwk-set+json"


def test_a_rotation_from_the_command_line(tmp_path: Path) -> None:
    environment = {"MOORAGE_ADMIN_PASSWORD": ADMIN}
    with (
        serving(tmp_path, arguments=("--auth", "local"), environment=environment) as server,
        Client(server) as client,
    ):
        old = ask_token(client, basic("admin", ADMIN))["token"]
        there = {"REGISTRY_DATABASE_URL": server.database_url}
        for option in ((), ("--at-once",)):
            done = nursery().run(["key", "rotate", "--root", str(server.root), *option], there)
            assert done.returncode == 0, done.stderr
            assert re.search(r"kid\s+[\w-]{43}", done.stdout)
            new = ask_token(client, basic("admin", ADMIN))["token"]
            client.get("/v2/", [bearer(new)]).expect(200)
            if not option:
                client.get("/v2/", [bearer(old)]).expect(200)


# The first start


def test_the_first_start_makes_an_admin_with_the_given_password(client: Client, server: Server) -> None:
    client.get("/v2/", [basic("admin", ADMIN)]).expect(200)
    assert not (server.root / "admin-password").exists()
    assert stat.S_IMODE((server.root / "secret.key").stat().st_mode) == 0o600


def test_the_first_start_makes_up_a_password_and_a_restart_keeps_everything(tmp_path: Path) -> None:
    with serving(tmp_path / "one", arguments=("--auth", "local")) as server:
        file = server.root / "admin-password"
        password = file.read_text().strip()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert len(password) >= 20
        assert server.log().count(password) == 1
        with Client(server) as client:
            token = ask_token(client, basic("admin", password))["token"]
        server.stop()
        server.start()
        assert server.log().count(password) == 1, "shown once"
        with Client(server) as client:
            client.get("/v2/", [bearer(token)]).expect(200)
            client.get("/v2/", [basic("admin", password)]).expect(200)


def test_realm_service_and_prefix_as_configured(serve: Serve) -> None:
    config = {
        "version": "0.1",
        "auth": {"local": {"tokenlife": "60s", "algorithm": "EdDSA"}},
        "http": {"host": "https://registry.example.com", "prefix": "/r"},
    }
    server = serve(config=config, prefix="/r", environment={"MOORAGE_ADMIN_PASSWORD": ADMIN})
    with Client(server) as client:
        challenge = client.get("/r/v2/").expect(401).need("WWW-Authenticate")
        realm, service = "https://registry.example.com/r/token", "registry.example.com"
        assert challenge == f'Bearer realm="{realm}",service="{service}"'
        answer = client.get(f"/r/token?service={service}", [basic("admin", ADMIN)]).expect(200)
        given = json.loads(answer.body)
        assert given["expires_in"] == 60
        client.get("/r/v2/", [bearer(given["token"])]).expect(200)
        assert json.loads(client.get("/r/token/jwks").body)["keys"][0]["alg"] == "EdDSA"


def test_a_bad_first_password_is_said_and_not_shown(tmp_path: Path) -> None:
    server = Server(tmp_path / "bad", arguments=("--auth", "local"), environment={"MOORAGE_ADMIN_PASSWORD": "short"})
    server.launch()
    assert server.process is not None
    assert server.process.wait(30) == 1
    assert "MOORAGE_ADMIN_PASSWORD cannot be used: A password has at least 8 characters." in server.log()
