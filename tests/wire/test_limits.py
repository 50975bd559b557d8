"""Limits from outside: headers, 429 and Retry-After of pulls, requests and failed logins, over several workers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import direct
from tests.support.server import Server, serving
from tests.support.wire import Client, digest, wait_until
from tests.wire.conftest import Serve

DATABASES = ("sqlite", "postgresql")
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
PASSWORD = "wonderful harbour 7"
ADMIN: dict[str, Any] = {"environment": {"MOORAGE_ADMIN_PASSWORD": PASSWORD}}
REQUESTS = {"named": [{"name": "limited", "rate": "6/1h"}]}
PULLS = {"anonymous": "3/1h", "authenticated": "6/1h", "named": [{"name": "admin", "rate": "5/1h"}]}


def basic(user: str, password: str) -> tuple[str, str]:
    """The header of HTTP Basic."""
    return "Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def settings(auth: object, **limits: object) -> dict[str, Any]:
    return {"version": "0.1", "auth": auth, "limits": limits, "storage": {"delete": {"enabled": True}}}


def rows(server: Server, query: str) -> list[tuple[Any, ...]]:
    return direct.rows(server.database_url, query)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Server]:
    """A server with local accounts and limits of pulls."""
    config = settings({"local": {}}, pulls=PULLS, logins={"pair": "3/30s"}, requests=REQUESTS)
    with serving(tmp_path_factory.mktemp("server"), config=config, database=database_url, **ADMIN) as started:
        yield started


def test_pulls_are_limited_and_told_as_docker_hub_does(server: Server, name: str) -> None:
    with Client(server, [basic("admin", PASSWORD)]) as client:
        manifest = client.push_image(name, "v1", b"layer")
        path = f"/v2/{name}/manifests/v1"
        for _ in range(3):
            answer = client.ask("HEAD", path).expect(200)
            assert answer.need("ratelimit-limit") == "5;w=3600"
            assert answer.need("ratelimit-remaining") == "5;w=3600"
            assert answer.need("docker-ratelimit-source") == "admin"
        client.get(f"/v2/{name}/manifests/none").expect(404)  # nothing was pulled
        for left in (4, 3, 2):
            answer = client.get(path).expect(200)
            assert answer.need("ratelimit-remaining") == f"{left};w=3600"
        client.get(f"/v2/{name}/blobs/{digest(b'layer')}").expect(200)  # a blob is no pull
        assert client.get(f"/v2/{name}/manifests/{manifest}").need("ratelimit-remaining") == "1;w=3600"
        client.get(path, [("If-None-Match", f'"{manifest}"')]).expect(304)
        answer = client.get(path).expect(429)
        assert answer.codes() == ["TOOMANYREQUESTS"]
        assert "You have reached your pull rate limit" in json.loads(answer.body)["errors"][0]["message"]
        assert 3590 <= int(answer.need("Retry-After")) <= 3600
        assert answer.need("ratelimit-limit") == "5;w=3600"
        assert answer.need("ratelimit-remaining") == "0;w=3600"
        client.ask("HEAD", path).expect(200)
    # The workers bring their counts together: on new connections it is the same.
    wait_until(lambda: rows(server, "SELECT max(count) FROM limit_counters WHERE key LIKE '%pulls%'") == [(5,)])
    for _ in range(6):
        with Client(server, [basic("admin", PASSWORD)]) as other:
            other.get(path).expect(429)


def test_failed_logins_make_wait_and_lock_nobody_else_out(server: Server) -> None:
    def ask(user: str, password: str) -> Any:
        with Client(server, [basic(user, password)]) as client:
            return client.get("/v2/")

    for user in ("somebody", "nobody-is-called-that"):
        for number in range(3):
            answer = ask(user, f"guess {number}").expect(401)
            if number < 2:  # the same again counts once
                assert ask(user, f"guess {number}").expect(401).body == answer.body
        refused = ask(user, "guess 4").expect(429)
        assert refused.codes() == ["TOOMANYREQUESTS"]
        assert 1 <= int(refused.need("Retry-After")) <= 30
        assert "ratelimit-limit" not in {key.lower() for key, _ in refused.headers}
    ask("admin", PASSWORD).expect(200)


def make_user(server: Server, name: str) -> Client:
    """A user without any rights; the client asks with its password."""
    with Client(server, [basic("admin", PASSWORD)]) as admin:
        made = json.dumps({"name": name, "password": PASSWORD}).encode()
        admin.ask("POST", "/api/v1/users", [("Content-Type", "application/json")], body=made).expect(201)
    return Client(server, [basic(name, PASSWORD)])


def test_requests_at_every_door_are_one_limit(server: Server) -> None:
    with make_user(server, "limited") as client:
        for path, status in (("/token", 200), ("/api/v1/me", 200), ("/v2/", 200), ("/v2/some/name/tags/list", 403)):
            client.get(path).expect(status)
        wait_until(lambda: rows(server, "SELECT sum(count) FROM limit_counters WHERE key LIKE '%limited%'") == [(4,)])
        for _ in range(10):  # the workers do not know at once what the others count
            client.get("/token")
            client.close()
        wait_until(
            lambda: rows(server, "SELECT sum(count) >= 6 FROM limit_counters WHERE key LIKE '%limited%'") == [(1,)]
        )
        wait_until(lambda: client.get("/token").status == 429)
        for path in ("/token", "/api/v1/me", "/v2/", "/v2/some/name/tags/list"):
            wait_until(lambda path=path: client.get(path).status == 429)
    told = "SELECT actor, address FROM audit WHERE action = 'limit' AND detail LIKE '%requests%'"
    wait_until(lambda: set(rows(server, told)) == {("limited", "127.0.0.1")})


def test_refusals_are_in_the_audit_log(server: Server, name: str) -> None:
    dead = ("Cookie", f"moorage_session=mrg_ses_{'A' * 43}")
    with Client(server, [basic("admin", PASSWORD)]) as admin:
        project = json.dumps({"name": name.split("/", maxsplit=1)[0], "create_on_push": "no"}).encode()
        made = admin.ask("POST", "/api/v1/projects", [("Content-Type", "application/json")], body=project).expect(201)
        for number in range(2):  # let in, and refused by what there is
            path = f"/v2/{name}{number}/manifests/v1"
            admin.ask("PUT", path, [("Content-Type", INDEX)], body=EMPTY).expect(403)
    with make_user(server, "stranger") as client:
        client.get(f"/v2/{name}/manifests/v1").expect(403)
        client.get("/api/v1/audit").expect(403)
    with Client(server) as client:
        client.get("/api/v1/me", [dead]).expect(200)
        client.get("/v2/", [("Authorization", "Bearer x.y.z")]).expect(401)
    asked = "SELECT action, actor, target, detail, project_id FROM audit WHERE outcome = 'refused'"

    def told() -> set[tuple[str, str, str, int | None]]:
        found = rows(server, asked)
        return {
            (action, actor, target or json.loads(detail)["reason"], mine)
            for action, actor, target, detail, mine in found
        }

    number = json.loads(made.body)["id"]
    expected = {
        ("access", "admin", f"{name}0", number),
        ("access", "admin", f"{name}1", number),
        ("access", "stranger", name, number),
        ("access", "stranger", "/api/v1/audit", None),
        ("login", "", "session", None),
        ("login", "", "token: unknown key", None),
    }
    wait_until(lambda: expected <= told())


def test_requests_are_limited_without_headers(serve: Serve) -> None:
    limited = serve(config=settings("none", requests={"anonymous": "40/1h"}), workers_wanted=1)
    with Client(limited) as client:
        location = client.begin("some/name")
        asked = 0
        while client.get("/v2/").status == 200:
            asked += 1
            assert asked <= 40
        assert asked == 39
        refused = client.get("/v2/").expect(429)
        assert refused.codes() == ["TOOMANYREQUESTS"]
        assert int(refused.need("Retry-After")) > 3500
        assert not any(key.lower().startswith("ratelimit") for key, _ in refused.headers)
        # In the middle of an upload clients would give up the whole push.
        client.ask("PATCH", location, body=b"some bytes").expect(202)
        client.ask("POST", "/v2/some/name/blobs/uploads/").expect(429)
        client.get("/healthz").expect(200)


def test_without_limits_there_are_no_headers(serve: Serve) -> None:
    open_to_all = serve(config=settings("none"), workers_wanted=1)
    with Client(open_to_all) as client:
        client.push_image("some/name", "v1", b"layer")
        answer = client.get("/v2/some/name/manifests/v1").expect(200)
        assert not any("ratelimit" in key.lower() for key, _ in answer.headers)
    assert rows(open_to_all, "SELECT count(*) FROM limit_counters") == [(0,)]
    assert rows(open_to_all, "SELECT count(*) FROM audit") == [(0,)]


def test_the_audit_log_tells_who_pulled_and_is_sealed(serve: Serve, tmp_path: Path) -> None:
    server = serve(config=settings({"local": {}}), **ADMIN)
    with Client(server, [basic("admin", PASSWORD)]) as client:
        manifest = client.push_image("some/name", "v1", b"layer")
        for _ in range(5):
            client.get("/v2/some/name/manifests/v1").expect(200)
        for span in ((), [("Range", "bytes=0-1")], [("Range", "bytes=0-1,3-4")]):
            client.get(f"/v2/some/name/blobs/{digest(b'layer')}", span).expect(200, 206)
        client.ask("HEAD", f"/v2/some/name/blobs/{digest(b'layer')}").expect(200)
        client.get(f"/v2/some/name/blobs/{digest(b'other')}").expect(404)
    pulls = "SELECT actor, target, outcome, detail, address FROM audit WHERE action = 'manifest.pull'"
    wait_until(lambda: rows(server, pulls))
    wait_until(lambda: not rows(server, "SELECT 1 FROM audit WHERE hash IS NULL"))
    found = rows(server, pulls)
    assert {row[:3] + row[4:] for row in found} == {("admin", "some/name", "ok", "127.0.0.1")}
    details = [json.loads(row[3]) for row in found]
    assert {detail["digest"] for detail in details} == {manifest}
    assert sum(detail.get("count", 1) for detail in details) == 5
    blobs = [json.loads(row[0]) for row in rows(server, "SELECT detail FROM audit WHERE action = 'blob.pull'")]
    assert {blob["digest"] for blob in blobs} == {digest(b"layer")}
    assert sum(blob.get("count", 1) for blob in blobs) == 3
    sequences = [row[0] for row in rows(server, "SELECT sequence FROM audit ORDER BY id")]
    assert sequences == list(range(1, len(sequences) + 1))
