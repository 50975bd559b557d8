"""Client certificates that a trusted proxy passes on, over a socket."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from tests.support.certificates import Authority, Pair
from tests.support.local import Accounts, basic
from tests.support.wire import Client
from tests.wire.conftest import Serve


def header(pair: Pair) -> tuple[str, str]:
    return "Client-Cert", f":{base64.b64encode(pair.der).decode()}:"


def config(tmp_path: Path, authority: Authority, proxies: list[str]) -> dict[str, Any]:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.pem)
    rules = [{"email": "alice@example.com", "user": "alice"}, {"uri": "spiffe://a/ci", "robot": "+ci"}]
    return {
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "x")}},
        "http": {"trustedproxies": proxies},
        "auth": {"local": {"certificates": {"authorities": str(ca), "rules": rules}}},
    }


def test_certificate_is_an_account(serve: Serve, tmp_path: Path) -> None:
    authority = Authority("Clients")
    alice, robot = authority.issue(emails=("alice@example.com",)), authority.issue(uris=("spiffe://a/ci",))
    stranger, foreign = authority.issue("nobody"), Authority("Clients").issue(emails=("alice@example.com",))
    server = serve(config=config(tmp_path, authority, ["127.0.0.1/32"]))
    accounts = Accounts(server)
    accounts.user("alice")
    with Client(server) as client:
        client.ask("GET", "/v2/", [header(alice)]).expect(200)
        client.ask("POST", "/v2/a/b/blobs/uploads/", [header(alice)]).expect(202)
        client.ask("GET", "/v2/", [header(robot)]).expect(401)  # there is no such robot yet
        accounts.robot("+ci")
        client.ask("GET", "/v2/", [header(robot)]).expect(200)
        client.ask("POST", "/v2/a/b/blobs/uploads/", [header(robot)]).expect(403)
        client.ask("GET", "/v2/", [header(stranger)]).expect(401)
        client.ask("GET", "/v2/", [header(foreign)]).expect(401)
        client.ask("GET", "/v2/", [("Client-Cert", "garbage")]).expect(401)
        client.ask("GET", "/v2/", [header(alice), basic("alice", "wrong")]).expect(401)
        accounts.run("UPDATE users SET disabled=TRUE WHERE name='alice'")
        client.ask("GET", "/v2/", [header(alice)]).expect(401)


def test_header_of_anybody_else_is_ignored(serve: Serve, tmp_path: Path) -> None:
    authority = Authority("Clients")
    alice = authority.issue(emails=("alice@example.com",))
    server = serve(config=config(tmp_path, authority, ["192.0.2.0/24"]))
    Accounts(server).user("alice")
    with Client(server) as client:
        for more in ((), (("X-Forwarded-For", "192.0.2.7"),)):
            client.ask("GET", "/v2/", [header(alice), *more]).expect(401)
