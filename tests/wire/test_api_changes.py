"""Changes through the management API: ETags under races, pages under inserts, explain, policy documents, modes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest

from tests.support.api import LOCAL, Api, asking, check_problem
from tests.support.server import Server
from tests.wire.conftest import Serve

SERVER = LOCAL
DATABASES = ("sqlite", "postgresql")
PASSWORD = "a password of tests"


@pytest.fixture
def admin(server: Server) -> Iterator[Api]:
    with asking(server) as made:
        yield made


def project(admin: Api, name: str, **more: Any) -> int:
    return int(admin.make("/projects", name=name, **more)["id"])


def test_an_etag_that_holds_and_one_that_does_not(admin: Api) -> None:
    path = f"/projects/{project(admin, 'etags')}"
    first = admin.ask("GET", path).headers["etag"]
    answer = admin.ask("PATCH", path, {"description": "a"}, headers={"if-match": first})
    assert answer.status_code == 200
    assert answer.headers["etag"] != first
    for condition in (first, '"999"', 'W/"1"', '"not a version"'):
        check_problem(admin.ask("PATCH", path, {"description": "b"}, headers={"if-match": condition}), 412)
        check_problem(admin.ask("DELETE", path, headers={"if-match": condition}), 412)
    check_problem(admin.ask("PATCH", path, {"description": "b"}, headers={"if-match": "nonsense"}), 422)
    assert admin.get(path)["description"] == "a"
    assert admin.ask("DELETE", path, headers={"if-match": answer.headers["etag"]}).status_code == 204
    check_problem(admin.ask("GET", path), 404)


def test_of_many_changes_of_one_version_one_wins(admin: Api) -> None:
    path = f"/projects/{project(admin, 'race')}"
    etag = admin.ask("GET", path).headers["etag"]

    def change(number: int) -> int:
        return admin.ask("PATCH", path, {"description": str(number)}, headers={"if-match": etag}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(change, range(24)))
    assert statuses == [200] + [412] * 23


def test_of_many_who_make_the_same_one_wins(admin: Api) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: admin.ask("POST", "/projects", {"name": "same"}), range(12)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 11


def test_pages_while_others_are_made(admin: Api) -> None:
    for number in range(0, 40, 2):
        project(admin, f"pages/p{number:03}")
    seen: list[str] = []
    url = "/api/v1/projects?prefix=pages/&n=3"
    made = 1
    while url:
        answer = admin.link.get(url)
        items = answer.json()["items"]
        assert len(items) <= 3
        seen += [each["name"] for each in items]
        if made < 40:
            project(admin, f"pages/p{made:03}")
            made += 2
        url = answer.links.get("next", {}).get("url", "")
    assert seen == sorted(set(seen))
    assert {f"pages/p{number:03}" for number in range(0, 40, 2)} <= set(seen)


def test_the_audit_log_page_by_page(admin: Api) -> None:
    for number in range(7):
        project(admin, f"audited/{number}")
    url, targets = "/api/v1/audit?action=project.create&order=oldest&n=2", []
    while url:
        answer = admin.link.get(url)
        targets += [each["target"] for each in answer.json()["items"] if each["target"].startswith("audited/")]
        url = answer.links.get("next", {}).get("url", "")
    assert targets == [f"audited/{number}" for number in range(7)]


def test_the_export_is_json_lines(admin: Api) -> None:
    project(admin, "exported")
    answer = admin.ask("GET", "/audit/export", params={"target_kind": "project", "target": "exported"})
    assert answer.headers["content-type"] == "application/jsonl"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [(each["action"], each["actor"]) for each in lines] == [("project.create", "admin")]
    assert admin.get("/audit/verify")["intact"] is True


def test_admins_of_a_project_read_what_belongs_to_it(server: Server, admin: Api) -> None:
    row = project(admin, "own/audit")
    admin.make("/users", name="auditor", password=PASSWORD)
    admin.make(f"/projects/{row}/grants", kind="user", principal="auditor", role="admin")
    with asking(server, "auditor", PASSWORD) as auditor:
        found = auditor.get("/audit", project=row)["items"]
        check_problem(auditor.ask("GET", "/audit"), 403)
    assert {each["project_id"] for each in found} == {row}
    assert {"project.create", "grant.create"} <= {each["action"] for each in found}


def test_explain_says_which_rule_decided(server: Server, admin: Api) -> None:
    row = project(admin, "why")
    admin.make("/users", name="asker", password=PASSWORD)
    allow = admin.make(f"/projects/{row}/grants", kind="user", principal="asker", role="writer")["id"]
    deny = admin.make(
        f"/projects/{row}/grants", kind="user", principal="asker", actions=["push"], pattern="why/not/**", effect="deny"
    )["id"]

    def ask(api: Api, repository: str, action: str) -> Any:
        return api.get("/access/explain", kind="user", principal="asker", repository=repository, action=action)

    with asking(server, "asker", PASSWORD) as asker:
        for api in (admin, asker):
            found = ask(api, "why/app", "push")
            assert (found["allowed"], found["rules"][0]["grant"]) == (True, allow)
            found = ask(api, "why/not/app", "push")
            assert (found["allowed"], found["rules"][0]["grant"]) == (False, deny)
            assert found["actions"] == ["overwrite", "pull"]
            found = ask(api, "elsewhere", "pull")
            assert (found["allowed"], found["rules"]) == (False, [])
    check_problem(
        admin.ask(
            "GET",
            "/access/explain",
            params={"kind": "user", "principal": "asker", "repository": "NO", "action": "pull"},
        ),
        400,
    )


def test_a_policy_document_becomes_grants(admin: Api) -> None:
    row = project(admin, "policy")
    admin.make("/users", name="puller")
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AllowPull",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111122223333:user/puller"},
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            }
        ],
    }
    body = {"document": document, "principals": {"arn:aws:iam::111122223333:user/puller": "user:puller"}}
    without = admin.ask("PUT", f"/projects/{row}/policy", {"document": document}).json()
    assert without["made"] == []
    assert without["problems"][0]["statement"] == "AllowPull"
    made = admin.ask("PUT", f"/projects/{row}/policy", body).json()
    assert len(made["made"]) == 1
    assert made["problems"] == []
    assert admin.ask("PUT", f"/projects/{row}/policy", body).json()["kept"] == made["made"]
    grants = admin.get(f"/projects/{row}/grants")["items"]
    assert [(each["principal"], each["actions"]) for each in grants] == [("puller", ["pull"])]
    # As at ECR, a document takes the place of the one before.
    document["Statement"][0]["Sid"] = "Renamed"  # type: ignore[index]
    renamed = admin.ask("PUT", f"/projects/{row}/policy", body).json()
    assert (len(renamed["made"]), renamed["removed"]) == (1, made["made"])
    nothing = {"document": {"Version": "2012-10-17", "Statement": []}}
    assert admin.ask("PUT", f"/projects/{row}/policy", nothing).json()["removed"] == renamed["made"]
    assert admin.get(f"/projects/{row}/grants")["items"] == []


def test_users_of_an_htpasswd_file_are_admins(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "htpasswd"
    file.write_text(f"ada:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
    server = serve(config={"version": "0.1", "auth": {"htpasswd": {"realm": "r", "path": str(file)}}})
    with asking(server, "ada", PASSWORD) as ada:
        assert ada.get("/me")["admin"] is True
        project(ada, "of-ada")
    with asking(server, "", "") as nobody:
        assert nobody.get("/projects")["items"] == []
        check_problem(nobody.ask("GET", "/users"), 401)
        check_problem(nobody.ask("POST", "/login", {"name": "ada", "password": PASSWORD}), 404)


def test_there_is_no_api_where_another_program_gives_out_the_tokens(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text('{"keys": []}')
    token = {"realm": "https://x.example/token", "service": "s", "issuer": "i", "jwks": str(tmp_path / "keys.json")}
    server = serve(config={"version": "0.1", "auth": {"token": token}})
    with asking(server, "", "") as nobody:
        assert "auth.token" in check_problem(nobody.ask("GET", "/me"), 404)["detail"]


def test_the_key_that_signs_is_replaced(server: Server, admin: Api) -> None:
    before = httpx.get(f"{server.base}/token/jwks").json()["keys"]
    kid = admin.make("/keys/rotate")["kid"]
    assert kid not in {each["kid"] for each in before}
    assert [each["target"] for each in admin.get("/audit", action="key.create", n=1)["items"]] == [kid]
