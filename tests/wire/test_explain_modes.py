"""`access explain` where grants do not decide, and how the command ends: over a server, and on its root."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import bcrypt
import pytest
import yaml

from tests.support.api import ADMIN, ADMIN_PASSWORD, LOCAL, Api, asking, check_problem
from tests.support.nursery import nursery
from tests.support.server import Server, serving
from tests.wire.conftest import Serve

SERVER = LOCAL
PASSWORD = "a password of ada"
Explain = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The htpasswd file."""
    found = tmp_path_factory.mktemp("users") / "htpasswd"
    found.write_text(f"ada:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
    return found


@pytest.fixture(scope="module")
def with_file(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose users are in that file, with a grant that has no say."""
    config = {"version": "0.1", "auth": {"htpasswd": {"realm": "r", "path": str(file)}}}
    with serving(tmp_path_factory.mktemp("server"), config=config) as started:
        with asking(started, "ada", PASSWORD) as ada:
            project = ada.make("/projects", name="team", visibility="public")["id"]
            ada.make("/users", name="bob", password=PASSWORD)
            ada.make(f"/projects/{project}/grants", kind="user", principal="bob", role="admin")
            ada.make(f"/projects/{project}/grants", kind="anonymous", role="reader")
        yield started


@pytest.fixture(params=["server", "root"])
def explain(with_file: Server, file: Path, request: pytest.FixtureRequest, tmp_path: Path) -> Explain:
    """Asks that server, or its root with its configuration."""
    config = tmp_path / "config.yml"
    config.write_text(yaml.safe_dump({"version": "0.1", "auth": {"htpasswd": {"realm": "r", "path": str(file)}}}))
    if request.param == "server":
        where, given = ["--server", with_file.base, "--user", "ada", "--password-stdin"], f"{PASSWORD}\n"
    else:
        where, given = ["--root", str(with_file.root), "--config", str(config)], ""

    def run(*words: str) -> CompletedProcess[str]:
        return nursery().run(["access", "explain", *words, *where], {"HOME": str(tmp_path)}, given)

    return run


def test_the_htpasswd_file_decides(explain: Explain) -> None:
    allowed = explain("ada", "team/app", "delete", "--json")
    assert allowed.returncode == 0, allowed.stderr
    found = json.loads(allowed.stdout)
    assert (found["allowed"], found["project"], len(found["actions"])) == (True, "team", 5)
    assert [(rule["kind"], rule["gives"]) for rule in found["rules"]] == [("htpasswd", True)]
    assert "no grant has a say" in found["reason"]
    # A public project and a grant to everybody let nobody in without a login.
    refused = explain("anonymous", "team/app", "pull")
    assert refused.returncode == 1
    assert "Without a login nobody may do anything" in refused.stdout
    assert explain("authenticated", "team/app", "push").returncode == 0


@pytest.mark.parametrize("whom", ["bob", "team+ci", "nobody"])
def test_who_is_not_in_the_file_is_nobody(explain: Explain, whom: str) -> None:
    """An account with grants too: it cannot log in."""
    unknown = explain(whom, "team/app", "pull")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "no such user in the htpasswd file" in unknown.stderr


def test_what_is_explained_is_what_happens(with_file: Server) -> None:
    with Api(with_file, "ada", PASSWORD).link as ada, Api(with_file).link as nobody:
        begun = ada.post("/v2/team/app/blobs/uploads/")
        assert begun.status_code == 202
        assert nobody.get("/v2/team/app/tags/list").status_code == 401


def test_an_open_registry(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    with Api(server).link as nobody:
        answer = nobody.get("/api/v1/access/explain?kind=anonymous&repository=team/app&action=push").json()
        assert (answer["allowed"], answer["rules"][0]["kind"]) == (True, "none")
    command = ["access", "explain", "anonymous", "team/app", "push", "--root", str(server.root)]
    assert "The registry is open" in nursery().run(command, {"HOME": str(tmp_path)}).stdout


def test_how_the_command_ends(server: Server, tmp_path: Path) -> None:
    with asking(server) as admin:
        admin.make("/users", name="asked", password=PASSWORD)

    def ended(*words: str, where: tuple[str, ...] = (), user: str = ADMIN, password: str = ADMIN_PASSWORD) -> int:
        place = where or ("--server", server.base, "--user", user, "--password-stdin")
        done = nursery().run(["access", "explain", *words, *place], {"HOME": str(tmp_path)}, f"{password}\n")
        assert "Traceback" not in done.stderr
        return done.returncode

    root = ("--root", str(server.root))
    for where in ((), root):
        assert ended(ADMIN, "team/app", "delete", where=where) == 0
        assert ended("asked", "team/app", "pull", where=where) == 1
        assert ended("nobody", "team/app", "pull", where=where) == 2
        assert ended("asked", "team/app", "fly", where=where) == 2
        assert ended("asked", "TEAM", "pull", where=where) == 2
    assert ended("asked", "team/app", "pull", where=("--root", str(tmp_path / "none"))) == 2
    assert ended("asked", "team/app", "pull", where=("--server", "http://127.0.0.1:9")) == 2
    assert ended("asked", "team/app", "pull", password="wrong") == 2
    assert ended(ADMIN, "team/app", "pull", user="asked", password=PASSWORD) == 2
    assert ended("asked", "team/app") == 2


def test_a_file_that_cannot_be_read(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "htpasswd"
    file.write_text(f"ada:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
    server = serve(config={"version": "0.1", "auth": {"htpasswd": {"realm": "r", "path": str(file)}}})
    with asking(server, "ada", PASSWORD) as ada:
        assert ada.get("/me")["admin"] is True
        file.unlink()
        query = {"kind": "user", "principal": "ada", "repository": "x", "action": "pull"}
        problem = check_problem(ada.ask("GET", "/access/explain", params=query), 409)
    assert "auth.htpasswd.path" in problem["detail"]
