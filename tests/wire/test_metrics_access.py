"""Metrics at the public listener are for everybody where the registry is open, else for admins; over a socket."""

from __future__ import annotations

import base64
import json
import urllib.request
from pathlib import Path
from typing import Any

import bcrypt

from moorage.auth.random_secrets import SESSION, new_secret
from tests.support.api import LOCAL, asking
from tests.support.certificates import Authority
from tests.support.local import PASSWORD, Accounts, ask_token, basic, bearer
from tests.support.postgres import free_port
from tests.support.token_issuer import ISSUER, REALM, SERVICE, Issuer, rights
from tests.support.wire import Client, wait_until
from tests.wire.conftest import Serve

NAME = b"moorage_build_info"


def test_open_registry_has_open_metrics(serve: Serve) -> None:
    with Client(serve()) as client:
        assert NAME in client.get("/metrics").expect(200).body


def test_accounts(serve: Serve, tmp_path: Path) -> None:
    authority = Authority("Clients")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    certificates = {
        "authorities": str(tmp_path / "ca.pem"),
        "rules": [{"email": f"{name}@example.com", "user": name} for name in ("alice", "bob")],
    }
    auth = {"local": {"service": "moorage", "certificates": certificates}}
    server = serve(config={"version": "0.1", "http": {"trustedproxies": ["127.0.0.1/32"]}, "auth": auth})
    accounts = Accounts(server)
    alice, bob = accounts.user("alice"), accounts.user("bob", admin=False)
    whole, metrics = accounts.pat(alice), accounts.pat(alice, '["registry:metrics:*"]')
    other, bobs = accounts.pat(alice, '["registry:catalog:*"]'), accounts.pat(bob, '["registry:metrics:*"]')
    robot = accounts.robot("+ci", "maintainer")

    def shown(name: str) -> tuple[str, str]:
        issued = authority.issue(emails=(f"{name}@example.com",))
        return "Client-Cert", f":{base64.b64encode(issued.der).decode()}:"

    may = [basic("alice", PASSWORD), bearer(whole), bearer(metrics), basic("alice", metrics), shown("alice")]
    may_not = [basic("bob", PASSWORD), bearer(other), bearer(bobs), bearer(robot), shown("bob")]
    with Client(server) as client:
        registry_token = ask_token(client, basic("alice", PASSWORD))["token"]
        unknown = [basic("alice", "wrong"), bearer(registry_token), bearer(new_secret(SESSION)), ("Authorization", "x")]
        for method in ("GET", "HEAD"):
            refused = client.ask(method, "/metrics", []).expect(401)
            assert refused.need("WWW-Authenticate").startswith("Basic ")
            assert NAME not in refused.body
        for who in may:
            assert NAME in client.ask("GET", "/metrics", [who]).expect(200).body
        for who in may_not:
            assert NAME not in client.ask("GET", "/metrics", [who]).expect(403).body
        for who in unknown:
            assert NAME not in client.ask("GET", "/metrics", [who]).expect(401).body
        for path in ("/healthz", "/readyz"):
            client.get(path).expect(200)
        # A token for metrics is for nothing else.
        client.ask("GET", "/v2/a/tags/list", [bearer(metrics)]).expect(403)
        client.ask("POST", "/v2/a/blobs/uploads/", [bearer(metrics)]).expect(403)
        body = json.dumps({"name": "crew"}).encode()
        kind = ("Content-Type", "application/json")
        client.ask("POST", "/api/v1/groups", [bearer(metrics), kind], body).expect(403)
    refusals = [row for row in accounts.audit("access") if row[:2] == ("refused", "bob")]
    assert refusals


def test_token_for_metrics_is_made_as_others_are(serve: Serve) -> None:
    server = serve(**LOCAL)
    with asking(server) as admin, Client(server) as client:
        made = admin.make("/tokens", name="prometheus", scopes=["registry:metrics:*"])
        assert NAME in client.ask("GET", "/metrics", [bearer(made["secret"])]).expect(200).body


def test_users_of_a_file(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "users").write_bytes(b"alice:" + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)) + b"\n")
    auth: dict[str, Any] = {"htpasswd": {"realm": "x", "path": str(tmp_path / "users")}}
    with Client(serve(config={"version": "0.1", "auth": auth})) as client:
        client.get("/metrics").expect(401)
        assert NAME in client.ask("GET", "/metrics", [basic("alice", PASSWORD)]).expect(200).body


def test_tokens_of_another_server(serve: Serve, tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    auth = {"realm": REALM, "service": SERVICE, "issuer": ISSUER, "jwks": str(issuer.jwks)}
    config = {"version": "0.1", "auth": {"token": auth}}
    with Client(serve(config=config)) as client:
        mine = bearer(issuer.token(issuer.claims(rights("catalog", "*", kind="registry"))))
        client.ask("GET", "/v2/_catalog", [mine]).expect(200)
        for headers in ([], [mine]):
            client.ask("GET", "/metrics", headers).expect(404)


def test_operator_may_open_them(serve: Serve) -> None:
    http = {"debug": {"prometheus": {"public": True}}}
    with Client(serve(config={"version": "0.1", "http": http}, **LOCAL)) as client:
        assert NAME in client.get("/metrics").expect(200).body


def test_debug_listener_asks_nobody(serve: Serve) -> None:
    port = free_port()
    serve(config={"version": "0.1", "http": {"debug": {"addr": f"127.0.0.1:{port}"}}}, **LOCAL)

    def read() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return NAME in answer.read()

    wait_until(read)
