"""T12: forged tokens over a socket, each refused, and quickly."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from moorage.auth.keys import SigningKey, master_key, new_key, open_key
from tests.support.forged import forged
from tests.support.local import PASSWORD, Accounts, ask_token, basic, bearer
from tests.support.server import Server, serving
from tests.support.wire import Client
from tests.support.workers import cpu_seconds

SECONDS = 0.05


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with accounts of its own, and a key that has ended."""
    with serving(tmp_path_factory.mktemp("server"), arguments=("--auth", "local")) as started:
        yield started


def test_every_forged_token_is_refused(server: Server, client: Client) -> None:
    accounts = Accounts(server)
    accounts.user("alice")
    token = ask_token(client, basic("alice", PASSWORD), "repository:a:pull,push", "registry:catalog:*")["token"]
    ours, retired = _our_key(server, accounts), new_key("ES256")
    jwk = json.dumps(dict(retired.jwk))
    row = (retired.kid, "ES256", jwk, "AA==", time.time() - 900, time.time() - 900, time.time() - 1)
    accounts.run("INSERT INTO signing_keys VALUES (?,?,?,?,?,?,?)", *row)
    client.get("/v2/a/tags/list", [bearer(token)])
    let_in, slow = [], []
    for name, text in forged(token, ours, time.time(), retired):
        begun = cpu_seconds(server)
        answer = client.ask("GET", "/v2/", [bearer(text)]) if text.isprintable() else None
        took = cpu_seconds(server) - begun
        if answer is not None and answer.status != 401:
            let_in.append((name, answer.status))
        if answer is not None and answer.status == 401 and text:
            assert 'error="invalid_token"' in answer.need("WWW-Authenticate"), name
        if took > SECONDS:
            slow.append((name, round(took, 3)))
    assert not let_in
    assert len(slow) < 5, f"slower than {SECONDS} s: {slow}"  # the machine may have been busy for a moment
    client.get("/v2/", [bearer(token)]).expect(200)


@pytest.mark.parametrize("path", ["/v2/", "/token", "/v2/a/manifests/1"])
def test_a_huge_header_is_refused_at_once(server: Server, path: str) -> None:
    for text in ("." * 60_000, "A" * 60_000, ".".join(["e30"] * 10_000)):
        with Client(server) as client:
            begun = cpu_seconds(server)
            answer = client.get(path, [bearer(text)])
            assert answer.status in (400, 401, 431)
            assert cpu_seconds(server) - begun < 1


def _our_key(server: Server, accounts: Accounts) -> SigningKey:
    ((kid, sealed),) = accounts.rows("SELECT kid, private FROM signing_keys")
    return open_key(sealed, kid, master_key((server.root / "secret.key").read_text()))
