"""`/api/v1/keys`, `moorage key`, `grant change` and the smaller commands: over a server, and over its root."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pytest

from tests.support.api import ADMIN, ADMIN_PASSWORD, LOCAL, asking, check_problem
from tests.support.nursery import nursery
from tests.support.server import Server
from tests.wire.conftest import Serve

SERVER = LOCAL
PASSWORD = "a password of a member"
Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(params=["server", "root"])
def run(server: Server, request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Runs a command as the admin."""
    remote = request.param == "server"
    where = ["--server", server.base, "--user", ADMIN, "--password-stdin"] if remote else ["--root", str(server.root)]

    def moorage(*words: str, status: int = 0) -> CompletedProcess[str]:
        done = nursery().run([*words, *where], {"HOME": str(tmp_path)}, f"{ADMIN_PASSWORD}\n")
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return moorage


def test_keys_and_what_they_do(serve: Serve) -> None:
    server = serve(**LOCAL)
    with asking(server) as admin:
        first = admin.get("/keys")["items"]
        assert [(key["state"], key["ends_at"]) for key in first] == [("signing", None)]
        assert [key["public"] for key in first] == httpx.get(f"{server.base}/token/jwks").json()["keys"]
        assert 0 <= first[0]["age"] < 600
        admin.make("/keys/rotate")
        coming = admin.get("/keys")["items"]
        assert [key["state"] for key in coming] == ["signing", "coming"]
        assert coming[0]["ends_at"] is not None
        admin.make("/keys/rotate", at_once=True)
        now = admin.get("/keys")["items"]
        states = {key["kid"]: key["state"] for key in now}
        assert sorted(states.values()) == ["ended", "ended", "signing"]
        assert states[first[0]["kid"]] == "ended"


def test_no_key_shows_its_private_half(server: Server) -> None:
    with asking(server) as admin:
        answer = admin.ask("GET", "/keys")
    for key in answer.json()["items"]:
        assert set(key) == {"kid", "algorithm", "state", "age", "created_at", "signs_from", "ends_at", "public"}
        assert "d" not in key["public"]
    assert "private" not in answer.text


def test_keys_in_pages(serve: Serve) -> None:
    server = serve(**LOCAL)
    with asking(server) as admin:
        for _ in range(4):
            admin.make("/keys/rotate")
        whole = [key["kid"] for key in admin.get("/keys")["items"]]
        assert len(whole) == 5
        seen: list[str] = []
        address: str | None = "/keys?n=2"
        while address is not None:
            answer = admin.ask("GET", address)
            seen += [key["kid"] for key in answer.json()["items"]]
            following = answer.links.get("next", {}).get("url")
            address = following.removeprefix("/api/v1") if following else None
        assert seen == whole
        for wrong in ("x", "nan:x", "1", "inf:x", ":"):
            check_problem(admin.ask("GET", "/keys", params={"after": wrong}), 422)


def test_keys_are_for_admins(server: Server, serve: Serve) -> None:
    with asking(server) as admin:
        admin.make("/users", name="curious", password=PASSWORD)
        scopes = ["repository:**:pull"]
        narrow = admin.make("/tokens", name="narrow", scopes=scopes)["secret"]
    with asking(server, "curious", PASSWORD) as curious:
        check_problem(curious.ask("GET", "/keys"), 403)
    with asking(server, "", narrow) as token:
        check_problem(token.ask("GET", "/keys"), 403)
    with asking(server, "", "") as nobody:
        check_problem(nobody.ask("GET", "/keys"), 401)
    with asking(serve(), "", "") as opened:
        assert "auth.local" in check_problem(opened.ask("GET", "/keys"), 404)["detail"]


def test_the_list_of_keys(run: Run) -> None:
    keys = json.loads(run("key", "list", "--json").stdout)
    assert keys[-1]["public"]["kty"] == "EC"
    listed = run("key", "list").stdout
    for key in keys:
        assert key["kid"] in listed
    assert "signing" in listed
    assert "seconds" in listed or "minutes" in listed


@pytest.fixture
def grant(server: Server, request: pytest.FixtureRequest) -> int:
    """The id of one."""
    name = f"changing/{abs(hash(request.node.name)):x}"
    with asking(server) as admin:
        project = admin.make("/projects", name=name)["id"]
        made: Any = admin.make(
            f"/projects/{project}/grants", kind="authenticated", role="reader", expires_at="2099-01-01T00:00:00Z"
        )
    return int(made["id"])


def test_a_grant_is_changed(run: Run, server: Server, grant: int) -> None:
    def shown() -> Any:
        with asking(server) as admin:
            return admin.get(f"/grants/{grant}")

    run("grant", "change", str(grant), "--role", "writer", "--note", "for a while")
    found = shown()
    assert (found["role"], found["actions"], found["note"]) == ("writer", [], "for a while")
    assert found["expires_at"] == "2099-01-01T00:00:00Z"
    run("grant", "change", str(grant), "--actions", "pull, push", "--expires", "2098-02-03")
    found = shown()
    assert (found["role"], found["actions"], found["expires_at"]) == ("", ["pull", "push"], "2098-02-03T00:00:00Z")
    changed = json.loads(run("grant", "change", str(grant), "--expires", "never", "--json").stdout)
    assert (changed["expires_at"], changed["actions"]) == (None, ["pull", "push"])
    assert "Say what is to change" in run("grant", "change", str(grant), status=2).stderr
    assert "is no time" in run("grant", "change", str(grant), "--expires", "soon", status=2).stderr
    run("grant", "change", str(grant), "--role", "king", status=1)
    run("grant", "change", str(grant), "--role", "reader", "--actions", "pull", status=1)
    run("grant", "change", str(2**40), "--role", "reader", status=1)
    assert shown()["actions"] == ["pull", "push"]


def test_who_asks(run: Run, server: Server, request: pytest.FixtureRequest) -> None:
    found = json.loads(run("access", "whoami", "--json").stdout)
    remote = "server" in request.node.name
    assert (found["kind"], found["credential"]) == (("user", "password") if remote else ("system", "cli"))
    assert found["admin"] is True


def test_rules_are_renamed_and_listed_by_their_beginnings(run: Run, request: pytest.FixtureRequest) -> None:
    place = "s" if "server" in request.node.name else "r"
    run("robot", "create", f"+rules{place}")
    more = ("--issuer", "https://ci.example.com", "--audience", "us", "--equals", "sub=x")
    for name in (f"{place}-one", f"{place}-two"):
        run("trust", "create", name, "--robot", f"+rules{place}", *more)
    run("trust", "change", f"{place}-two", "--rename", f"{place}x-three")
    listed = json.loads(run("trust", "list", "--prefix", f"{place}-", "--json").stdout)
    assert [rule["name"] for rule in listed] == [f"{place}-one"]
    assert json.loads(run("trust", "show", f"{place}x-three", "--json").stdout)["name"] == f"{place}x-three"


def test_a_user_who_may_not_log_in_yet(run: Run, request: pytest.FixtureRequest) -> None:
    name = "later-s" if "server" in request.node.name else "later-r"
    run("user", "create", name, "--no-password", "--disabled")
    assert json.loads(run("user", "show", name, "--json").stdout)["disabled"] is True
