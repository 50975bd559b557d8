"""Users of a directory over a socket: Basic and tokens, their groups' rights, a directory that goes away."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.local import Accounts, ask_token, basic, bearer
from tests.support.server import Server, serving
from tests.support.slapd import GROUPS, PEOPLE, SERVICE, SERVICE_PASSWORD, Slapd
from tests.support.wire import Client

pytestmark = pytest.mark.needs("slapd")

ALICE = basic("alice", "alice-password")
CAROL = basic("carol", "carol-password")
SCOPE = "repository:eng/app:pull,push"


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    server = Slapd(tmp_path_factory.mktemp("slapd") / "one").prepare()
    yield server
    if server.process is not None and server.process.poll() is None:
        server.stop()


@pytest.fixture(scope="module")
def server(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("server")
    password = folder / "password"
    password.write_text(SERVICE_PASSWORD + "\n")
    directory = {
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
    config = {
        "storage": {"filesystem": {"rootdirectory": str(folder / "root")}},
        "auth": {"local": {"ldap": [directory]}},
        "limits": {"logins": {"enabled": False}},
    }
    environment = {"MOORAGE_ADMIN_PASSWORD": "the first password"}
    # Not `clean`: an answer with 503 is logged with its traceback, and one test provokes that.
    with serving(folder, clean=False, config=config, environment=environment) as started:
        yield started
        log = started.log()
    for secret in (SERVICE_PASSWORD, "alice-password", "the first password", "eyJ"):
        assert secret not in log


@pytest.fixture(scope="module")
def accounts(server: Server) -> Accounts:
    made = Accounts(server)
    made.user("local", admin=False)
    return made


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server) as link:
        yield link


def test_group_of_the_directory_has_the_rights_that_were_granted_to_it(client: Client, accounts: Accounts) -> None:
    client.ask("GET", "/v2/", [ALICE]).expect(200)
    client.ask("GET", "/v2/eng/app/tags/list", [ALICE]).expect(403)
    assert ask_token(client, ALICE, SCOPE)["scope"] == ""
    group = accounts.rows("SELECT id FROM groups WHERE name='engineering'")[0][0]
    accounts.run(
        "INSERT INTO grants (project_id, pattern, principal_kind, principal_id, effect, role, actions, note,"
        " created_at, created_by, version) VALUES (1, 'eng/**', 'group', ?, 'allow', 'writer', '', '', 1, '', 1)",
        group,
    )
    given = ask_token(client, ALICE, SCOPE)
    assert "pull" in given["scope"]
    client.ask("POST", "/v2/eng/app/blobs/uploads/", [bearer(given["token"])]).expect(202)
    client.ask("POST", "/v2/eng/app/blobs/uploads/", [ALICE]).expect(202)
    client.ask("POST", "/v2/other/app/blobs/uploads/", [ALICE]).expect(403)
    assert ask_token(client, CAROL, SCOPE)["scope"] == ""
    client.ask("POST", "/v2/eng/app/blobs/uploads/", [CAROL]).expect(403)


def test_everything_wrong_gives_the_same_answer(client: Client, accounts: Accounts) -> None:
    answers = set()
    for user, password in (("alice", "wrong"), ("nobody", "wrong"), ("alice", ""), ("*", "alice-password")):
        answer = client.ask("GET", "/v2/", [basic(user, password)]).expect(401)
        body = json.loads(answer.body)
        answers.add((answer.need("WWW-Authenticate"), body["errors"][0]["code"], body["errors"][0]["message"]))
    assert len(answers) == 1


def test_directory_that_is_down_stops_its_own_users_only(client: Client, accounts: Accounts, slapd: Slapd) -> None:
    client.ask("GET", "/v2/", [ALICE]).expect(200)
    slapd.stop()
    try:
        local = basic("local", "correct horse battery")
        started = time.perf_counter()
        client.ask("GET", "/v2/", [local]).expect(200)
        assert time.perf_counter() - started < 10
        answer = client.ask("GET", "/v2/", [basic("user0001", "user0001-password")]).expect(503)
        assert int(answer.need("Retry-After")) > 0
        client.ask("GET", "/v2/", [basic("local", "wrong")]).expect(401)
    finally:
        slapd.start()
