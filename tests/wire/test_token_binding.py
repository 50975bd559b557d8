"""A token is for the repository that it was given for: one of the same name that was made later is another one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.api import ADMIN, ADMIN_PASSWORD, LOCAL, Api, asking
from tests.support.local import ask_token, basic, bearer
from tests.support.server import Server
from tests.support.wire import Client, digest

SERVER = LOCAL
DATABASES = ("sqlite", "postgresql")
LAYER = b"what both of them have"
ABSENT = digest(b"what neither has")
OTHERS = b"what the later one has alone"


@pytest.fixture
def admin(server: Server) -> Iterator[Api]:
    with asking(server) as made:
        yield made


def pushed(server: Server, name: str, *layers: bytes) -> str:
    """The digest of an image that was pushed to a repository."""
    with Client(server, [basic(ADMIN, ADMIN_PASSWORD)]) as owner:
        return owner.push_image(name, "v1", *layers)


def test_a_token_of_before_is_dead_on_every_route_of_a_pull(server: Server, admin: Api, client: Client) -> None:
    project = admin.make("/projects", name="twice")["id"]
    name = "twice/app"
    first = pushed(server, name, LAYER)
    scope = f"repository:{name}:pull"
    old = bearer(ask_token(client, basic(ADMIN, ADMIN_PASSWORD), scope)["token"])
    blob = digest(LAYER)
    for path in (f"manifests/{first}", "manifests/v1", f"blobs/{blob}"):
        for method in ("GET", "HEAD"):
            client.ask(method, f"/v2/{name}/{path}", [old]).expect(200)
    client.get(f"/v2/{name}/manifests/none", [old]).expect(404)

    assert admin.ask("DELETE", f"/projects/{project}", params={"force": "true"}).status_code == 204
    # There is no repository of that name, and there may never be one again.
    client.get(f"/v2/{name}/manifests/v1", [old]).expect(401)
    client.get(f"/v2/{name}/blobs/{blob}", [old]).expect(401)
    admin.make("/projects", name="twice")
    second = pushed(server, name, LAYER, OTHERS)
    new = bearer(ask_token(client, basic(ADMIN, ADMIN_PASSWORD), scope)["token"])
    there = ("manifests/v1", f"manifests/{second}", f"blobs/{blob}", f"blobs/{digest(OTHERS)}")
    absent = ("manifests/none", f"manifests/{ABSENT}", f"manifests/{first}", f"blobs/{ABSENT}")
    seen = set()
    for path in (*there, *absent, "manifests/-no-tag", "blobs/no-digest"):
        for method in ("GET", "HEAD"):
            answer = client.ask(method, f"/v2/{name}/{path}", [old, ("If-None-Match", f'"{second}"')]).expect(401)
            challenge = answer.need("WWW-Authenticate")
            assert f'scope="{scope}",error="insufficient_scope"' in challenge
            seen.add((method, answer.body, challenge))
    assert len(seen) == 2, "what is there looks like what is not"
    for path in there:
        client.get(f"/v2/{name}/{path}", [new]).expect(200)
    for path in absent:
        client.get(f"/v2/{name}/{path}", [new]).expect(404)


def test_a_token_from_before_the_first_push_holds_after_it(server: Server, admin: Api, client: Client) -> None:
    admin.make("/projects", name="early")
    name = "early/app"
    token = bearer(ask_token(client, basic(ADMIN, ADMIN_PASSWORD), f"repository:{name}:pull")["token"])
    client.get(f"/v2/{name}/manifests/v1", [token]).expect(404)
    pushed(server, name, LAYER)
    client.get(f"/v2/{name}/manifests/v1", [token]).expect(200)
    client.get(f"/v2/{name}/blobs/{digest(LAYER)}", [token]).expect(200)
