"""`auth.htpasswd` from outside: challenge on every path, login, wrong passwords by the hundred, changes of the file."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from tests.support.guesses import among_guesses, check_overtaking
from tests.support.server import Server, serving
from tests.support.wire import OCI_MANIFEST, Client, Link, digest, image, wait_until
from tests.support.workers import cpu_seconds
from tests.wire.conftest import Serve

REALM = "Harbour of tests"
USERS = {"alice": "correct horse", "bob": "battery:staple:\u00fc", "carol": "x" * 72}
COST = 10  # what htpasswd -B and Distribution use is 5 and 10


def entry(user: str, password: str, cost: int = COST) -> str:
    """A line of the file."""
    return f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()}\n"


def settings(file: Path) -> dict[str, object]:
    """A configuration with this file, for tests that fail more often than people do."""
    many = dict.fromkeys(("pair", "address", "account"), "100000/1h")
    return {
        "version": "0.1",
        "storage": {"delete": {"enabled": True}},
        "auth": {"htpasswd": {"realm": REALM, "path": str(file)}},
        "limits": {"logins": many},
        "log": {"formatter": "json"},
    }


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The htpasswd file."""
    file = tmp_path_factory.mktemp("users") / "htpasswd"
    file.write_text("# people\n\n" + "".join(entry(user, password) for user, password in USERS.items()))
    return file


@pytest.fixture(scope="module")
def server(users: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for a password."""
    with serving(tmp_path_factory.mktemp("server"), config=settings(users)) as started:
        yield started
        log = started.log()
    for password in (*USERS.values(), "a wrong one", basic("alice", USERS["alice"])[1]):
        assert password not in log


def basic(user: str, password: str) -> tuple[str, str]:
    """The header of HTTP Basic."""
    return "Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/"),
        ("HEAD", "/v2/"),
        ("GET", "/v2/_catalog"),
        ("GET", "/v2/a/tags/list"),
        ("GET", "/v2/a/manifests/latest"),
        ("HEAD", "/v2/a/manifests/latest"),
        ("PUT", "/v2/a/manifests/latest"),
        ("DELETE", "/v2/a/manifests/latest"),
        ("GET", f"/v2/a/blobs/sha256:{'0' * 64}"),
        ("DELETE", f"/v2/a/blobs/sha256:{'0' * 64}"),
        ("POST", "/v2/a/blobs/uploads/"),
        ("PATCH", "/v2/a/blobs/uploads/x"),
        ("GET", f"/v2/a/referrers/sha256:{'0' * 64}"),
        ("GET", "/v2/_oci/ext/discover"),
        ("GET", "/v2/no/such/route"),
        ("FOO", "/v2/"),
        ("GET", "/v2"),
    ],
)
def test_without_credentials_there_is_a_challenge_everywhere(link: Link, method: str, path: str) -> None:
    answer = link.ask(method, path).expect(401)
    assert answer.need("WWW-Authenticate") == f'Basic realm="{REALM}"'
    assert answer.header("Docker-Distribution-Api-Version") == "registry/2.0"
    if method != "HEAD":
        assert answer.codes() == ["UNAUTHORIZED"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_the_operators_paths_need_none(link: Link, path: str) -> None:
    link.ask("GET", path).expect(200)


@pytest.mark.parametrize("user", USERS)
def test_a_login(link: Link, user: str) -> None:
    assert link.ask("GET", "/v2/", [basic(user, USERS[user])]).expect(200).body == b"{}"


@pytest.mark.parametrize(
    "header",
    [
        basic("alice", "a wrong one"),
        basic("alice", ""),
        basic("", "correct horse"),
        basic("nobody", "correct horse"),
        basic("ALICE", USERS["alice"]),
        basic("", ""),
        ("Authorization", "Basic"),
        ("Authorization", "Basic !!!"),
        ("Authorization", "Basic " + base64.b64encode(b"no colon").decode()),
        ("Authorization", "Basic " + base64.b64encode(b"alice:\xff\xfe").decode()),
        ("Authorization", "Bearer " + base64.b64encode(b"alice:correct horse").decode()),
        ("Authorization", ""),
        ("Authorization", "Basic " + "A" * 60_000),
    ],
)
def test_what_is_no_login(link: Link, header: tuple[str, str]) -> None:
    answer = link.ask("GET", "/v2/", [header]).expect(401)
    assert answer.need("WWW-Authenticate") == f'Basic realm="{REALM}"'
    assert answer.codes() == ["UNAUTHORIZED"]


def test_push_and_pull_with_a_password(server: Server, name: str) -> None:
    with Client(server, [basic("alice", USERS["alice"])]) as alice, Client(server) as nobody:
        pushed = alice.push_image(name, "v1", b"layer" * 1000)
        nobody.get(f"/v2/{name}/manifests/{pushed}").expect(401)
        nobody.get(f"/v2/{name}/blobs/{digest(b'{}')}").expect(401)
        assert alice.get(f"/v2/{name}/blobs/{digest(b'layer' * 1000)}").expect(200).body == b"layer" * 1000
        alice.ask("DELETE", f"/v2/{name}/manifests/v1").expect(202)


def test_a_refused_push_is_read_although_its_body_is_large(link: Link, name: str) -> None:
    body = b" " * (32 << 20)
    answer = link.ask("PUT", f"/v2/{name}/manifests/v1", [("Content-Type", OCI_MANIFEST)], body).expect(401)
    assert answer.need("WWW-Authenticate")


def test_a_hundred_known_logins_take_no_time(server: Server) -> None:
    with Link(server.connect()) as link:
        link.ask("GET", "/v2/", [basic("bob", USERS["bob"])]).expect(200)
        began = cpu_seconds(server)
        for _ in range(100):
            link.ask("GET", "/v2/", [basic("bob", USERS["bob"])]).expect(200)
        assert cpu_seconds(server) - began < 1.0  # a hundred hashes would take five


@pytest.mark.parametrize("same_user", [True, False])
def test_a_hundred_wrong_passwords_at_once_starve_nobody(server: Server, same_user: bool) -> None:
    def guess(number: int) -> int:
        user = "carol" if same_user else f"user{number}"
        with Link(server.connect()) as link:
            return link.ask("GET", "/v2/", [basic(user, f"guess {number}")]).status

    with Client(server, [basic("alice", USERS["alice"])]) as alice:
        for _ in range(4):  # so that both workers know her
            alice.get("/v2/").expect(200)
            alice.close()
        check_overtaking(among_guesses(guess, lambda n: alice.get(("/v2/", "/healthz")[n % 2]).expect(200)))
    with Link(server.connect()) as link:
        wait_until(lambda: link.ask("GET", "/v2/", [basic("carol", USERS["carol"])]).status == 200)


def test_changes_of_the_file_count_soon(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "htpasswd"
    file.write_text(entry("old", "password", 5))
    server = serve(config=settings(file))

    def login(user: str, password: str) -> set[int]:
        """What several new connections, so both workers, say."""
        found = set()
        for _ in range(8):
            with Link(server.connect()) as link:
                found.add(link.ask("GET", "/v2/", [basic(user, password)]).status)
        return found

    assert login("old", "password") == {200}
    assert login("new", "secret") == {401}

    with file.open("a") as appended:
        appended.write(entry("new", "secret", 5))
    wait_until(lambda: login("new", "secret") == {200})
    assert login("old", "password") == {200}

    file.write_text(entry("new", "changed", 5))
    wait_until(lambda: login("old", "password") == {401})
    assert login("new", "secret") == {401}
    assert login("new", "changed") == {200}

    replacement = tmp_path / "replacement"
    replacement.write_text(entry("third", "password", 5))
    replacement.rename(file)
    wait_until(lambda: login("third", "password") == {200})
    wait_until(lambda: login("new", "changed") == {401})

    file.unlink()
    time.sleep(1.5)
    assert login("third", "password") == {200}, "a file that is gone for a moment throws nobody out"
    with Link(server.connect()) as link:
        link.ask("GET", "/healthz").expect(200)


def test_a_missing_file_is_made_with_a_password_that_is_printed_once(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "new" / "htpasswd"
    server = serve(config=settings(file))
    line = next(line for line in server.log().splitlines() if "password" in line and "docker" in line)
    password = line.rpartition("password ")[2]
    with Client(server, [basic("docker", password)]) as client:
        client.get("/v2/").expect(200)
        client.push_image("first", "v1", os.urandom(10))
    assert file.stat().st_mode & 0o777 == 0o600
    assert password not in file.read_text()
    assert server.log().count(password) == 1


def test_other_kinds_of_hashes_let_nobody_in(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "htpasswd"
    file.write_text(
        "md5:$apr1$x$y\nplain:password\nsha:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n" + entry("good", "password", 5)
    )
    server = serve(config=settings(file))
    with Link(server.connect()) as link:
        for user in ("md5", "plain", "sha"):
            link.ask("GET", "/v2/", [basic(user, "password")]).expect(401)
        link.ask("GET", "/v2/", [basic("good", "password")]).expect(200)
    with Client(server, [basic("good", "password")]) as client:
        client.push_blob("some/name", b"{}")
        client.push_manifest("some/name", "v1", image(b"{}")).expect(201)
