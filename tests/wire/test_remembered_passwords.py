"""Passwords that a browser remembers, and sends with what a page of another site makes it ask for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.api import ADMIN, ADMIN_PASSWORD
from tests.support.local import FORM, basic, bearer
from tests.support.server import Server, serving
from tests.support.wire import OCI_MANIFEST, Client, digest, image
from tests.wire.test_htpasswd import entry

Header = tuple[str, str]
Ask = Callable[..., int]

OURS, PAGE = "https://registry.example.com", "https://ui.example.com"
ALICE = basic("alice", "a password")
UPLOADS, TAG = "/v2/a/b/blobs/uploads/", "/v2/a/b/manifests/v1"

FOREIGN = [
    [("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "same-site")],
    [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")],
    [("Origin", "https://evil.example")],
    [("Origin", f"{PAGE}.evil.example")],
    [("Origin", "null")],
]
OWN = [
    [],
    [("Origin", OURS)],
    [("Sec-Fetch-Site", "same-origin"), ("Origin", "http://a.proxy.example")],
    [("Sec-Fetch-Site", "none")],
]
OF_THE_PAGE = [
    [("Origin", PAGE)],
    [("Sec-Fetch-Site", "same-site"), ("Origin", PAGE)],
    [("Sec-Fetch-Site", "cross-site"), ("Origin", PAGE)],
]


def started(folder: Path, *allowed: str) -> Server:
    """With an htpasswd file, and pages of these origins allowed."""
    (folder / "htpasswd").write_text(entry("alice", "a password", 5))
    config = {
        "version": "0.1",
        "storage": {"delete": {"enabled": True}},
        "http": {"host": OURS, "headers": {"Access-Control-Allow-Origin": list(allowed)}},
        "auth": {"htpasswd": {"realm": "Registry", "path": str(folder / "htpasswd")}},
    }
    return Server(folder / "server", config=config, workers_wanted=1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = started(tmp_path_factory.mktemp("users"), PAGE)
    with serving(made.folder, config=made.config, workers_wanted=1) as running:
        yield running


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With accounts of its own."""
    config = {
        "version": "0.1",
        "http": {"host": OURS, "headers": {"Access-Control-Allow-Origin": [PAGE]}},
        "auth": {"local": {"service": "moorage"}},
    }
    folder, environment = tmp_path_factory.mktemp("local"), {"MOORAGE_ADMIN_PASSWORD": ADMIN_PASSWORD}
    with serving(folder, config=config, environment=environment, workers_wanted=1) as running:
        yield running


def push(client: Client, who: Header, more: list[Header]) -> list[int]:
    """The statuses of changes of all methods with these headers, of which the first needs no leave of a browser."""
    client.ask("POST", f"{UPLOADS}?digest={digest(b'{}')}", [who], b"{}").expect(201)
    session = client.ask("POST", UPLOADS, [who]).expect(202).need("Location")
    other = client.ask("POST", UPLOADS, [who]).expect(202).need("Location")
    kind = ("Content-Type", OCI_MANIFEST)
    answers = [
        client.ask("POST", UPLOADS, [who, *more]),
        client.ask("PATCH", session, [who, *more], b"some"),
        client.ask("DELETE", other, [who, *more]),
        client.ask("PUT", TAG, [who, kind, *more], image(b"{}")),
    ]
    for answer in answers:
        assert answer.status != 403 or b"Access-Control-Allow-Origin" in answer.body
    return [answer.status for answer in answers]


@pytest.mark.parametrize("more", FOREIGN)
def test_a_page_of_another_site_changes_nothing(more: list[Header], server: Server) -> None:
    with Client(server) as client:
        assert push(client, ALICE, more) == [403] * 4
        assert client.ask("GET", "/v2/", [ALICE, *more]).status == 200  # what it gets, no page of another site can read
        assert client.ask("POST", UPLOADS, [basic("alice", "wrong"), *more]).status == 403  # nor does it try passwords
        client.ask("POST", UPLOADS, more).expect(401)


@pytest.mark.parametrize("more", [*OWN, *OF_THE_PAGE])
def test_programs_and_pages_that_may_do_what_they_did(more: list[Header], server: Server) -> None:
    with Client(server) as client:
        assert push(client, ALICE, more) == [202, 202, 204, 201]
        client.ask("POST", UPLOADS, [basic("alice", "wrong"), *more]).expect(401)


def test_any_page_may_where_the_browser_asks_ahead(tmp_path: Path) -> None:
    """For `*` no browser sends what it remembers after it asked; a POST may come without."""
    made = started(tmp_path, "*")
    with serving(made.folder, config=made.config, workers_wanted=1) as running, Client(running) as client:
        evil = [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")]
        assert push(client, ALICE, evil) == [403, 202, 204, 201]
        assert push(client, ALICE, [("Sec-Fetch-Site", "cross-site")]) == [403] * 4


@pytest.mark.parametrize("more", FOREIGN)
def test_it_is_the_same_with_accounts(more: list[Header], local: Server) -> None:
    """A password at `/v2/` and at the API; at `/token` only the form counts, which nothing fills in by itself."""
    admin, kind = basic(ADMIN, ADMIN_PASSWORD), ("Content-Type", "application/json")
    with Client(local) as client:
        assert push(client, admin, more) == [403] * 4
        client.ask("POST", "/api/v1/groups", [admin, kind, *more], b'{"name": "crew"}').expect(403)
        form = b"grant_type=password&service=moorage&username=admin&password=wrong"
        client.ask("POST", "/token", [admin, FORM, *more], form).expect(401)
        answer = client.ask("GET", "/token?service=moorage&scope=repository:a/b:pull,push", [admin]).expect(200)
        token = bearer(json.loads(answer.body)["token"])
        client.ask("POST", UPLOADS, [token, *more]).expect(202)  # which no browser adds


@pytest.mark.parametrize("more", [*OWN, *OF_THE_PAGE])
def test_programs_may_with_accounts_too(more: list[Header], local: Server) -> None:
    with Client(local) as client:
        client.ask("POST", UPLOADS, [basic(ADMIN, ADMIN_PASSWORD), *more]).expect(202)
