"""A policy document and back: what is shown makes the same grants, over a server and over its root."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.support.api import ADMIN, ADMIN_PASSWORD, LOCAL, Api, asking, check_problem
from tests.support.nursery import nursery
from tests.support.server import Server

SERVER = LOCAL
PASSWORD = "a password of a member"
PULLING = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
PUSHING = ["ecr:PutImage", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"]
WHO = {
    "arn:aws:iam::1:user/ada": "user:ada",
    "arn:aws:iam::1:role/dev": "group:Devs: all",
    "arn:aws:iam::1:r": "robot:+ci",
}


def statement(effect: str, principal: Any, actions: Any, sid: str = "") -> dict[str, Any]:
    return {**({"Sid": sid} if sid else {}), "Effect": effect, "Principal": principal, "Action": actions}


STATEMENTS = [
    statement("Allow", {"AWS": ["arn:aws:iam::1:user/ada", "arn:aws:iam::1:role/dev"]}, PULLING, "readers"),
    statement("Allow", {"AWS": "arn:aws:iam::1:r"}, "ecr:*"),
    statement("Deny", "*", ["ecr:PutImage"], "nobody pushes"),
    statement("Allow", "*", [*PULLING, "ecr:ListImages"]),
    statement("Deny", {"AWS": ["user:ada"]}, "ecr:BatchDeleteImage"),
    statement("Allow", {"AWS": ["*", "user:ada"]}, PUSHING, "pushers"),
]


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[Api]:
    with asking(server) as api:
        api.make("/users", name="ada", password=PASSWORD)
        api.make("/groups", name="Devs: all")
        api.make("/robots", name="+ci")
        yield api


def made(admin: Api, name: str, *statements: Any, repository: str = "") -> int:
    """A project with a document imported."""
    row: int = admin.make("/projects", name=name)["id"]
    bring(admin, row, {"Version": "2012-10-17", "Statement": list(statements)}, repository, WHO)
    return row


def bring(admin: Api, row: int, document: Any, repository: str = "", principals: Any = None) -> Any:
    body = {"document": document, "repository": repository, "principals": principals or {}}
    answer = admin.ask("PUT", f"/projects/{row}/policy", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["problems"] == []
    return answer.json()


def granted(admin: Api, row: int, *, ids: bool = True) -> list[Any]:
    left_out = {"created_at", "version", "project", "project_id"} | (set() if ids else {"id"})
    return [
        {name: value for name, value in each.items() if name not in left_out}
        for each in admin.get(f"/projects/{row}/grants")["items"]
    ]


@pytest.mark.parametrize("repository", ["", "{project}/app", "{project}/*"])
def test_what_is_shown_changes_nothing_and_makes_the_same_elsewhere(admin: Api, repository: str) -> None:
    name = f"there{len(repository)}"
    where = repository.format(project=name)
    row = made(admin, name, *STATEMENTS, repository=where)
    before = granted(admin, row)
    shown = admin.get(f"/projects/{row}/policy", repository=where)
    assert (shown["repository"], shown["left_out"], len(shown["document"]["Statement"])) == (where, [], 6)
    again = bring(admin, row, shown["document"], where)
    assert (again["made"], again["removed"], len(again["kept"])) == ([], [], len(before))
    assert granted(admin, row) == before
    # Nothing is there any more, and comes back as it was.
    assert len(bring(admin, row, {"Statement": []}, where)["removed"]) == len(before)
    assert admin.get(f"/projects/{row}/policy", repository=where)["document"]["Statement"] == []
    bring(admin, row, shown["document"], where)
    assert granted(admin, row, ids=False) == [{k: v for k, v in each.items() if k != "id"} for each in before]
    assert admin.get(f"/projects/{row}/policy", repository=where) == shown


def test_a_document_is_as_ecr_writes_it(admin: Api) -> None:
    row = made(admin, "written", STATEMENTS[0], STATEMENTS[3], STATEMENTS[2])
    assert admin.get(f"/projects/{row}/policy")["document"] == {
        "Version": "2012-10-17",
        "Statement": [
            statement("Allow", {"AWS": ["user:ada", "group:Devs: all"]}, PULLING, "readers"),
            statement("Allow", "*", PULLING),
            statement("Deny", "*", PUSHING, "nobody pushes"),
        ],
    }


def test_each_repository_has_a_document_of_its_own(admin: Api) -> None:
    row = made(admin, "each", STATEMENTS[0], repository="each/app")
    bring(admin, row, {"Statement": [STATEMENTS[3]]})
    assert len(admin.get(f"/projects/{row}/policy")["document"]["Statement"]) == 1
    shown = admin.get(f"/projects/{row}/policy", repository="each/app")["document"]["Statement"]
    assert [each["Sid"] for each in shown] == ["readers"]
    assert admin.get(f"/projects/{row}/policy", repository="each/none")["document"]["Statement"] == []


def test_what_was_granted_by_hand_is_no_part_of_it(admin: Api) -> None:
    row = made(admin, "by-hand", STATEMENTS[3])
    admin.make(f"/projects/{row}/grants", kind="user", principal="ada", role="admin")
    assert len(admin.get(f"/projects/{row}/policy")["document"]["Statement"]) == 1


@pytest.mark.parametrize(
    "change",
    [{"role": "writer"}, {"actions": ["push"]}, {"actions": ["pull", "admin"]}, {"expires_at": "2099-01-01T00:00:00Z"}],
)
def test_a_grant_that_was_changed_to_what_no_policy_says_is_told(admin: Api, change: dict[str, Any]) -> None:
    name = f"changed/{len(str(change))}"
    row = made(admin, name, STATEMENTS[3], STATEMENTS[1])
    first = granted(admin, row)[0]["id"]
    assert admin.ask("PATCH", f"/grants/{first}", change).status_code == 200
    shown = admin.get(f"/projects/{row}/policy")
    assert [each["grant"] for each in shown["left_out"]] == [first]
    (rest,) = shown["document"]["Statement"]
    assert rest["Sid"] == "#2"  # its place is another now; its grant stays the same one
    assert bring(admin, row, shown["document"])["removed"] == [first]


def test_who_may_not_see_it(server: Server, admin: Api) -> None:
    row = made(admin, "secret", STATEMENTS[3])
    admin.make("/users", name="reader", password=PASSWORD)
    with asking(server, "reader", PASSWORD) as reader:
        # Everybody who is logged in may pull there: it is seen, and not managed.
        check_problem(reader.ask("GET", f"/projects/{row}/policy"), 403)
        hidden = admin.make("/projects", name="hidden", visibility="private")["id"]
        for each in (hidden, 2**40):
            check_problem(reader.ask("GET", f"/projects/{each}/policy"), 404)
    with asking(server, "", "") as nobody:
        check_problem(nobody.ask("GET", f"/projects/{row}/policy"), 401)


Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(params=["server", "root"])
def run(server: Server, request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Runs a command as the admin, with something on its standard input."""
    remote = request.param == "server"
    where = ["--server", server.base, "--user", ADMIN, "--password-stdin"] if remote else ["--root", str(server.root)]

    def moorage(*words: str, given: str = "") -> CompletedProcess[str]:
        first = f"{ADMIN_PASSWORD}\n" if remote else ""
        done = nursery().run([*words, *where], {"HOME": str(tmp_path)}, first + given)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return moorage


def test_from_one_command_into_the_other(run: Run, admin: Api, request: pytest.FixtureRequest) -> None:
    name = "piped-s" if "server" in request.node.name else "piped-r"
    row = made(admin, name, *STATEMENTS)
    before = granted(admin, row)
    shown = run("project", "export-policy", name)
    assert shown.stderr == ""
    assert json.loads(shown.stdout) == admin.get(f"/projects/{row}/policy")["document"]
    assert "0 made, 8 kept, 0 removed" in run("project", "import-policy", name, "-", given=shown.stdout).stdout
    assert granted(admin, row) == before
    whole = json.loads(run("project", "export-policy", name, "--json").stdout)
    assert set(whole) == {"document", "repository", "left_out"}
    assert admin.ask("PATCH", f"/grants/{before[0]['id']}", {"role": "writer"}).status_code == 200
    assert f"Grant {before[0]['id']} was changed" in run("project", "export-policy", name).stderr
