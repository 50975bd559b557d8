"""Another server's tokens over a socket: challenge, rights, catalog, expiry, forgeries."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.local import bearer
from tests.support.server import Server, serving
from tests.support.token_issuer import ISSUER, REALM, SERVICE, Issuer, rights
from tests.support.wire import Client, digest


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def server(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    token = {"realm": REALM, "service": SERVICE, "issuer": ISSUER}
    files = {"rootcertbundle": str(issuer.bundle), "jwks": str(issuer.jwks)}
    storage = {"filesystem": {"rootdirectory": str(folder / "root")}, "delete": {"enabled": True}}
    with serving(folder, config={"storage": storage, "auth": {"token": token | files}}) as started:
        yield started
        assert "eyJ" not in started.log()


def test_challenge_and_rights(client: Client, issuer: Issuer) -> None:
    answer = client.ask("GET", "/v2/").expect(401)
    assert answer.need("WWW-Authenticate") == f'Bearer realm="{REALM}",service="{SERVICE}"'
    answer = client.ask("GET", "/v2/team/app/tags/list").expect(401)
    assert 'scope="repository:team/app:pull"' in answer.need("WWW-Authenticate")
    nothing = bearer(issuer.token(issuer.claims()))
    client.ask("GET", "/v2/", [nothing]).expect(200)
    answer = client.ask("GET", "/v2/team/app/tags/list", [nothing]).expect(401)
    assert 'error="insufficient_scope"' in answer.need("WWW-Authenticate")
    pull = bearer(issuer.token(issuer.claims(rights("team/app", "pull"))))
    client.ask("GET", "/v2/team/app/tags/list", [pull]).expect(404)
    client.ask("POST", "/v2/team/app/blobs/uploads/", [pull]).expect(401)
    client.ask("GET", "/v2/team/other/tags/list", [pull]).expect(401)
    push = bearer(issuer.certified(issuer.claims(rights("team/app", "pull", "push")), issuer.es, "ES256"))
    client.ask("POST", "/v2/team/app/blobs/uploads/", [push]).expect(202)
    client.ask("DELETE", "/v2/team/app/manifests/1", [push]).expect(401)
    everything = bearer(issuer.token(issuer.claims(rights("team/app", "*"))))
    client.ask("DELETE", "/v2/team/app/manifests/1", [everything]).expect(404)


def test_catalog(client: Client, issuer: Issuer) -> None:
    client.ask("GET", "/v2/_catalog", [bearer(issuer.token(issuer.claims()))]).expect(401)
    catalog = bearer(issuer.token(issuer.claims(rights("catalog", "*", kind="registry"))))
    client.ask("GET", "/v2/_catalog", [catalog]).expect(200)


def test_a_mount_takes_from_where_the_token_may_pull(client: Client, issuer: Issuer) -> None:
    content = b"only in hidden/app"
    push = ("pull", "push")
    owner = bearer(issuer.token(issuer.claims(rights("hidden/app", "*"))))
    session = client.ask("POST", "/v2/hidden/app/blobs/uploads/", [owner]).expect(202).need("Location")
    client.ask("PUT", f"{session}?digest={digest(content)}", [owner], content).expect(201)
    target = f"/v2/eve/app/blobs/uploads/?mount={digest(content)}"
    eve = bearer(issuer.token(issuer.claims(rights("eve/app", *push), rights("hidden/app", "push"), rights("\0", "*"))))
    client.ask("POST", target, [eve], b"").expect(202)
    client.ask("POST", f"{target}&from=hidden/app", [eve], b"").expect(401)
    client.ask("GET", f"/v2/eve/app/blobs/{digest(content)}", [eve]).expect(404)
    for right in ("pull", "*"):
        friend = bearer(issuer.token(issuer.claims(rights("eve/app", *push), rights("hidden/app", right))))
        client.ask("POST", target, [friend], b"").expect(201)


def test_bad_tokens(client: Client, issuer: Issuer) -> None:
    expired = issuer.claims(rights("team/app", "pull")) | {"exp": int(time.time()) - 100}
    for token in (issuer.token(expired), "a.b.c", issuer.token(issuer.claims() | {"aud": "other"})):
        answer = client.ask("GET", "/v2/", [bearer(token)]).expect(401)
        assert 'error="invalid_token"' in answer.need("WWW-Authenticate")
