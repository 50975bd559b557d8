"""Everybody x every repository x every route and method x every kind of credential: each answer is as the policy says.

What is expected is worked out here, from the same grants, by other means than the server's.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from tests.conformance.client import Answer
from tests.support.local import FORM, PASSWORD, Accounts, Header, ask_token, basic, bearer
from tests.support.server import Server
from tests.support.wire import OCI_MANIFEST, Client, digest, image

ADMIN = "the first password of all"
DATABASES = ("sqlite", "postgresql")
SERVER = {
    "config": {"storage": {"delete": {"enabled": True}}},
    "arguments": ("--auth", "local"),
    "environment": {"MOORAGE_ADMIN_PASSWORD": ADMIN, "REGISTRY_LIMITS_LOGINS_ENABLED": "false"},
}
CONFIG, LAYER = b'{"a":1}', b"a layer"
IMAGE = image(CONFIG, LAYER)
TYPE = ("Content-Type", OCI_MANIFEST)
ABSENT_UPLOAD = "00000000-0000-4000-8000-000000000000"
UNKNOWN = digest(b"nobody has this")

PROJECTS = {"open": "public", "team": "inherit", "team/secret": "inherit", "vault": "private"}
REPOSITORIES = ("open/base", "team/app", "team/secret/app", "vault/app")
ABSENT = "vault/absent"
PLACES = (*REPOSITORIES, ABSENT)

APP, CATALOG = "repository:team/app:pull,push", "registry:catalog:*"

PULL, PUSH, OVERWRITE, DELETE = "pull", "push", "overwrite", "delete"
ALL = frozenset({PULL, PUSH, OVERWRITE, DELETE})
GRANTS = (
    ("user", "alice", "allow", "team", "", ALL),
    ("group", "developers", "allow", "team", "", {PULL}),
    ("user", "bob", "deny", "team/secret", "", {PULL}),
    ("user", "carol", "allow", "team", "team/*", {PULL, PUSH}),
    ("robot", "team+ci", "allow", "team", "", {PULL, PUSH, OVERWRITE}),
    ("robot", "team+ci", "allow", "vault", "", {PULL}),
    ("user", "expired", "allow", "", "", ALL),
)
"""Kind, name, effect, project, pattern, actions. The robot belongs to `team`: the one in `vault` must not count."""

MEMBERS = {"bob": "developers"}
USERS = ("alice", "bob", "carol", "expired")
PEOPLE = ("", "admin", *USERS, "team+ci")


@dataclass(frozen=True)
class Credential:
    """A header to send, or none.

    kind: none, basic, narrow (a PAT that may pull in team/**), or with `+bearer` the registry token got with that.
    """

    who: str
    kind: str
    header: Header | None

    @property
    def is_bearer(self) -> bool:
        return self.kind.endswith("+bearer")


@dataclass(frozen=True)
class Route:
    """A method and an address; what it needs; what is answered where that is allowed, if it exists and if not."""

    method: str
    path: str
    needs: str
    there: int
    absent: int
    body: bytes | None = None


TAG, BY_DIGEST, BLOB = "manifests/v1", f"manifests/{digest(IMAGE)}", f"blobs/{digest(LAYER)}"
SESSION = f"blobs/uploads/{ABSENT_UPLOAD}"
ROUTES = (
    *(Route(method, path, PULL, 200, 404) for method in ("GET", "HEAD") for path in (TAG, BY_DIGEST, BLOB)),
    *(Route(method, f"manifests/{UNKNOWN}", PULL, 404, 404) for method in ("GET", "HEAD")),
    *(Route(method, f"blobs/{UNKNOWN}", PULL, 404, 404) for method in ("GET", "HEAD")),
    Route("GET", "tags/list", PULL, 200, 404),
    Route("GET", "tags/list?n=1&last=a", PULL, 200, 404),
    Route("GET", f"referrers/{digest(IMAGE)}", PULL, 200, 200),
    Route("GET", f"referrers/{UNKNOWN}?artifactType=a/b", PULL, 200, 200),
    Route("GET", "_oci/ext/discover", PULL, 200, 200),
    Route("HEAD", "tags/list", PULL, 200, 404),
    Route("HEAD", f"referrers/{digest(IMAGE)}", PULL, 200, 200),
    Route("HEAD", "_oci/ext/discover", PULL, 200, 200),
    Route("PUT", "manifests/gone", PUSH, 201, 400, IMAGE),
    Route("DELETE", "manifests/gone", DELETE, 202, 404),
    Route("PUT", "manifests/v2", PUSH, 400, 400, b"no manifest"),
    Route("PUT", f"manifests/{UNKNOWN}?tag=v1&tag=v2", PUSH, 400, 400, b"no manifest"),
    Route("DELETE", "manifests/nothing", DELETE, 404, 404),
    Route("DELETE", f"manifests/{UNKNOWN}", DELETE, 404, 404),
    Route("DELETE", f"blobs/{UNKNOWN}", DELETE, 404, 404),
    Route("POST", "blobs/uploads/", PUSH, 202, 202, b""),
    Route("POST", f"blobs/uploads/?mount={UNKNOWN}&from=vault/app", PUSH, 202, 202, b""),
    Route("POST", f"blobs/uploads/?mount={UNKNOWN}", PUSH, 202, 202, b""),
    Route("POST", f"blobs/uploads/?digest={UNKNOWN}", PUSH, 400, 400, b"other bytes"),
    *(Route(method, SESSION, PUSH, 404, 404) for method in ("GET", "HEAD")),
    Route("PATCH", SESSION, PUSH, 404, 404, b"chunk"),
    Route("PUT", f"{SESSION}?digest={UNKNOWN}", PUSH, 404, 404, b""),
    Route("DELETE", SESSION, PUSH, 404, 404),
)


def covers(project: str, name: str) -> bool:
    """Whether a repository lies in a project."""
    return not project or f"{name}/".startswith(f"{project}/")


def expected_rights(who: str, place: str, kind: str = "basic") -> frozenset[str]:
    """What the grants above come to."""
    everybody = frozenset({PULL}) if place.startswith("open/") else frozenset()
    if who == "admin":
        own, taken = ALL, frozenset[str]()
    else:
        own, taken = frozenset(), frozenset()
        for _, name, effect, project, pattern, actions in GRANTS:
            fits = covers(project, place) and (not pattern or re.fullmatch(pattern.replace("*", "[^/]+"), place))
            if name not in (who, MEMBERS.get(who)) or not fits or name == "expired":
                continue
            if effect == "deny":
                taken |= frozenset(actions)
            elif "+" not in who or covers(who.partition("+")[0], place):
                own |= frozenset(actions)
    if kind.startswith("narrow"):
        own &= {PULL} if place.startswith("team/") else set()
    return (own | everybody) - taken


GRANT = """
INSERT INTO grants (project_id, pattern, principal_kind, principal_id, effect, role, actions, note, created_at,
created_by, expires_at, version) VALUES (?, ?, ?, ?, ?, '', ?, '', 1, '', ?, 1)
"""


def _insert(accounts: Accounts) -> dict[tuple[str, str], int]:
    """Projects, people and grants; ids by kind and name."""
    ids: dict[tuple[str, str], int] = {("project", ""): 1}
    statement = (
        "INSERT INTO projects (name, description, visibility, create_on_push, public, settings, created_at, created_by,"
        " version) VALUES (?, '', ?, 'inherit', ?, '{}', 1, '', 1)"
    )
    for name, visibility in PROJECTS.items():
        ids["project", name] = accounts.run(statement, name, visibility, visibility == "public")
    for name in USERS:
        ids["user", name] = accounts.user(name, admin=False)
    group = "INSERT INTO groups (name, description, source, created_at, version) VALUES (?, '', 'local', 1, 1)"
    for member, name in MEMBERS.items():
        ids["group", name] = accounts.run(group, name)
        statement = "INSERT INTO group_members (group_id, user_id, source) VALUES (?, ?, 'local')"
        accounts.run(statement, ids["group", name], ids["user", member])
    return ids


@pytest.fixture(scope="module")
def credentials(server: Server) -> list[Credential]:
    """All that everybody may prove with; the images are pushed meanwhile."""
    accounts = Accounts(server)
    ids = _insert(accounts)
    secret = accounts.robot("team+ci")
    accounts.run("UPDATE robots SET project_id=? WHERE name='team+ci'", ids["project", "team"])
    ids["robot", "team+ci"] = accounts.rows("SELECT id FROM robots WHERE name='team+ci'")[0][0]
    for kind, name, effect, project, pattern, actions in GRANTS:
        expires = 2.0 if name == "expired" else None
        words = ",".join(sorted(actions))
        accounts.run(GRANT, ids["project", project], pattern, kind, ids[kind, name], effect, words, expires)
    admin = basic("admin", ADMIN)
    with Client(server, [admin]) as client:
        for name in REPOSITORIES:
            client.push_blob(name, CONFIG)
            client.push_blob(name, LAYER)
            client.ask("PUT", f"/v2/{name}/manifests/v1", [("Content-Type", OCI_MANIFEST)], IMAGE).expect(201)
    found = [Credential("", "none", None), Credential("admin", "basic", admin)]
    found.append(Credential("team+ci", "basic", basic("team+ci", secret)))
    for name in USERS:
        found.append(Credential(name, "basic", basic(name, PASSWORD)))
        found.append(Credential(name, "basic", basic(name, accounts.pat(ids["user", name]))))
        narrow = accounts.pat(ids["user", name], '["repository:team/**:pull", "registry:catalog:*"]')
        found.append(Credential(name, "narrow", basic(name, narrow)))
    with Client(server) as client:
        scopes = [*(f"repository:{place}:pull,push,delete" for place in PLACES), "registry:catalog:*"]
        for who, kind in [*((who, "basic" if who else "none") for who in PEOPLE), *((who, "narrow") for who in USERS)]:
            prove = next(one.header for one in found if (one.who, one.kind) == (who, kind))
            token = ask_token(client, prove, *scopes)["token"]
            found.append(Credential(who, f"{kind}+bearer", bearer(token)))
    return found


def check_refusal(answer: Answer, credential: Credential, place: str, route: Route) -> None:
    """The one answer that there is for what is not allowed."""
    told = f"repository:{place}:{'pull,push' if route.needs == PUSH else route.needs}"
    if "from=" in route.path:
        told += " repository:vault/app:pull"
    if credential.kind in ("basic", "narrow"):
        assert answer.status == 403
        assert answer.header("WWW-Authenticate") is None
    else:
        assert answer.status == 401
        challenge = answer.need("WWW-Authenticate")
        assert challenge.startswith("Bearer realm=")
        assert f'scope="{told}"' in challenge
        assert ('error="insufficient_scope"' in challenge) == credential.is_bearer
    if answer.method != "HEAD":
        (error,) = json.loads(answer.body)["errors"]
        assert error["code"] == ("UNAUTHORIZED" if credential.kind == "none" else "DENIED")


@pytest.mark.parametrize("who", PEOPLE)
def test_every_cell(server: Server, credentials: list[Credential], who: str) -> None:
    cells = 0
    with Client(server) as client:
        for credential in (one for one in credentials if one.who == who):
            headers = [credential.header] if credential.header else []
            for place in PLACES:
                rights = expected_rights(who, place, credential.kind)
                for route in ROUTES:
                    answer = client.ask(route.method, f"/v2/{place}/{route.path}", [*headers, TYPE], route.body)
                    cells += 1
                    where = (who, credential.kind, route.method, place, route.path, answer.status, answer.body[:200])
                    if route.needs not in rights:
                        check_refusal(answer, credential, place, route)
                    else:
                        assert answer.status == (route.absent if place == ABSENT else route.there), where
    assert cells >= 2 * len(PLACES) * len(ROUTES)


STRANGE = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def seen(answer: Answer, place: str) -> tuple[object, ...]:
    """All that a client sees of an answer, but the name that it asked for itself, times and identifiers."""
    kept = [(name.lower(), value) for name, value in answer.headers if name.lower() not in ("date", "x-request-id")]
    text = json.dumps([kept, answer.body.decode()]).encode()
    return answer.status, STRANGE.sub(b"ID", text.replace(place.encode(), b"NAME"))


def _target(place: str, route: Route) -> str:
    return f"/v2/{place}/{route.path.replace('vault/app', place)}"


def test_hidden_and_absent_look_the_same(server: Server, credentials: list[Credential]) -> None:
    compared = 0
    with Client(server) as client:
        for credential in credentials:
            if expected_rights(credential.who, "vault/app", credential.kind):
                continue
            headers = [credential.header] if credential.header else []
            for route in ROUTES:
                # Names of the same length, so that lengths can be compared as well.
                hidden, absent = (
                    seen(client.ask(route.method, _target(place, route), headers, route.body), place)
                    for place in ("vault/app", "vault/nil")
                )
                assert hidden == absent, (credential.who, credential.kind, route)
                compared += 1
    assert compared > 15 * len(ROUTES)


def test_the_base_and_the_catalog(server: Server, credentials: list[Credential]) -> None:
    with Client(server) as client:
        for credential in credentials:
            headers = [credential.header] if credential.header else []
            base = client.get("/v2/", headers)
            assert base.status == (200 if credential.header else 401)
            catalog = client.get("/v2/_catalog", headers)
            if not credential.who:
                assert catalog.status == 401
                assert 'scope="registry:catalog:*"' in catalog.need("WWW-Authenticate")
                continue
            names = [name for name in REPOSITORIES if PULL in expected_rights(credential.who, name, credential.kind)]
            assert json.loads(catalog.expect(200).body) == {"repositories": names}, credential
            found: list[str] = []
            while page := json.loads(client.get(f"/v2/_catalog?n=1&last={''.join(found[-1:])}", headers).body):
                if not page["repositories"]:
                    break
                found += page["repositories"]
            assert found == names


def test_a_tag_is_moved_only_by_who_may(server: Server, credentials: list[Credential]) -> None:
    other = image(CONFIG, LAYER, annotations={"other": "yes"})
    content_type = ("Content-Type", OCI_MANIFEST)
    carol, alice = (next(one.header for one in credentials if one.who == who) for who in ("carol", "alice"))
    assert carol is not None
    assert alice is not None
    with Client(server) as client:
        path = "/v2/team/app/manifests"
        client.ask("PUT", f"{path}/carols", [carol, content_type], IMAGE).expect(201)
        client.ask("PUT", f"{path}/carols", [carol, content_type], IMAGE).expect(201)
        for target in (f"{path}/carols", f"{path}/new?tag=carols", f"{path}/{digest(other)}?tag=new&tag=carols"):
            refused = client.ask("PUT", target, [carol, content_type], other).expect(403)
            assert json.loads(refused.body)["errors"][0]["code"] == "DENIED"
        client.get(f"{path}/new", [carol]).expect(404)
        assert client.get(f"{path}/carols", [carol]).body == IMAGE
        client.ask("PUT", f"{path}/carols", [alice, content_type], other).expect(201)


def test_mounts_go_by_what_the_user_may_pull(server: Server, credentials: list[Credential]) -> None:
    secret = b"only in team/secret"
    with Client(server, [basic("admin", ADMIN)]) as client:
        client.push_blob("team/secret/app", secret)
    by = {(one.who, one.kind): one.header for one in credentials}

    def mount(header: Header | None, source: str, content: bytes) -> Answer:
        with Client(server) as client:
            query = f"mount={digest(content)}" + (f"&from={source}" if source else "")
            return client.ask("POST", f"/v2/team/app/blobs/uploads/?{query}", [header] if header else [], b"")

    assert mount(by["carol", "basic"], "team/secret/app", secret).status == 202  # her pattern ends above
    assert mount(by["carol", "basic"], "", secret).status == 202
    assert mount(by["carol", "basic+bearer"], "team/secret/app", secret).status == 202
    assert mount(by["carol", "basic+bearer"], "vault/nothing", secret).status == 202
    with Client(server) as client:
        password = next(one.header for one in credentials if one.who == "alice")
        only = bearer(ask_token(client, password, "repository:team/app:pull,push")["token"])
        both = ask_token(client, password, "repository:team/app:pull,push", "repository:team/secret/app:pull")["token"]
    for content in (secret, b"nobody has that"):
        answer = mount(only, "team/secret/app", content).expect(401)
        assert 'scope="repository:team/app:pull,push repository:team/secret/app:pull"' in answer.need(
            "WWW-Authenticate"
        )
        assert 'error="insufficient_scope"' in answer.need("WWW-Authenticate")
    assert mount(bearer(both), "team/secret/app", secret).status == 201
    assert mount(only, "", secret).status == 201


def test_a_blob_that_is_hidden_is_mounted_by_nobody(server: Server, credentials: list[Credential]) -> None:
    """Whatever they prove with, and whether they name the source; what a token says of its owner counts as well."""
    secrets = {"vault/app": b"only in vault", "team/secret/app": b"in team/secret alone"}
    with Client(server, [basic("admin", ADMIN)]) as client:
        for name, content in secrets.items():
            client.push_blob(name, content)
    accounts = Accounts(server)
    alice = accounts.rows("SELECT id FROM users WHERE name='alice'")[0][0]
    pat = basic("alice", accounts.pat(alice, '["repository:team/app:pull,push", "registry:catalog:*"]'))
    with Client(server) as client:
        tokens = [ask_token(client, pat, APP, CATALOG, offline_token="true")]
        form = {"grant_type": "refresh_token", "refresh_token": tokens[0]["refresh_token"], "scope": f"{APP} {CATALOG}"}
        tokens.append(json.loads(client.ask("POST", "/token", [FORM], urlencode(form).encode()).expect(200).body))
        by_pat = [pat, *(bearer(one["token"]) for one in tokens)]
        for name, content in secrets.items():
            others = [
                one.header
                for one in credentials
                if PULL not in expected_rights(one.who, name, one.kind)
                and PUSH in expected_rights(one.who, "team/app", one.kind)
            ]
            assert len(others) >= 2
            for header in (*others, *by_pat):
                for source in ("", f"&from={name}"):
                    target = f"/v2/team/app/blobs/uploads/?mount={digest(content)}{source}"
                    client.ask("POST", target, [header] if header else [], b"").expect(202)
        for header in by_pat:
            catalog = client.get("/v2/_catalog", [header]).expect(200)
            assert json.loads(catalog.body)["repositories"] == ["open/base", "team/app"]
        accounts.run("DELETE FROM access_tokens WHERE user_id=? AND scopes LIKE '%push%'", alice)
        catalog = client.get("/v2/_catalog", [by_pat[1]]).expect(200)
        assert json.loads(catalog.body)["repositories"] == ["open/base"], "what the token goes back to was revoked"


def test_a_token_dies_with_what_it_was_given_for(server: Server, credentials: list[Credential]) -> None:
    """The name means another project: what was allowed on the former one is not allowed on this one."""
    accounts = Accounts(server)
    header = basic("admin", ADMIN)
    with Client(server) as client:
        token = bearer(ask_token(client, header, "repository:team/app:pull")["token"])
        client.get("/v2/team/app/tags/list", [token]).expect(200)
        before = accounts.rows("SELECT project_id FROM repositories WHERE name='team/app'")[0][0]
        accounts.run("UPDATE repositories SET project_id=? WHERE name='team/app'", before + 1000)
        dead = client.get("/v2/team/app/tags/list", [token]).expect(401)
        assert 'error="insufficient_scope"' in dead.need("WWW-Authenticate")
        accounts.run("UPDATE repositories SET project_id=? WHERE name='team/app'", before)
        client.get("/v2/team/app/tags/list", [token]).expect(200)
