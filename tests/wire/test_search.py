"""`/api/v1/search` and `moorage search` over a real server: pages, what is hidden, who may ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.api import ADMIN, ADMIN_PASSWORD, LOCAL, Api, asking, check_problem
from tests.support.nursery import nursery
from tests.support.server import Server

SERVER = LOCAL
PASSWORD = "a password of a member"


@dataclass
class World:
    """A server with an open and a secret team; mallory may see the open one."""

    server: Server
    admin: Api
    mallory: Api


@pytest.fixture(scope="module")
def world(server: Server) -> Iterator[World]:
    with asking(server) as admin, asking(server, "mallory", PASSWORD) as mallory:
        admin.make("/users", name="mallory", password=PASSWORD)
        row = admin.make("/projects", name="open", visibility="private")["id"]
        admin.make(f"/projects/{row}/grants", kind="user", principal="mallory", role="reader")
        admin.make("/projects", name="closed", visibility="private")
        for name in ("open/app", "open/harbour", "open/harbour-web", "closed/harbour"):
            pushed(server, name)
        yield World(server, admin, mallory)


def pushed(server: Server, name: str) -> None:
    """A repository begins with its first blob."""
    digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    with httpx.Client(base_url=server.base, auth=(ADMIN, ADMIN_PASSWORD)) as link:
        answer = link.post(f"/v2/{name}/blobs/uploads/", params={"digest": digest}, content=b"")
        assert answer.status_code == 201, answer.text


def found(api: Api, **query: Any) -> list[tuple[str, str]]:
    return [(each["kind"], each["name"]) for each in api.get("/search", **query)["items"]]


def answers(api: Api, **query: Any) -> list[tuple[Any, ...]]:
    """All pages, each with what could tell of something hidden."""
    pages = []
    address: str | None = f"/search?{httpx.QueryParams(query)}"
    while address is not None:
        answer = api.ask("GET", address)
        assert answer.status_code == 200, answer.text
        pages.append((answer.content, answer.headers.get("link")))
        following = answer.links.get("next", {}).get("url")
        address = following.removeprefix("/api/v1") if following else None
    return pages


def test_each_finds_what_it_sees(world: World) -> None:
    own = [("repository", "open/harbour"), ("repository", "open/harbour-web")]
    assert found(world.mallory, q="harbour") == own
    assert found(world.mallory, q="HARBOUR") == own
    assert found(world.admin, q="harbour") == [("repository", "closed/harbour"), *own]
    assert found(world.mallory, q="pen/") == [("repository", "open/app"), *own]
    assert found(world.mallory, q="open", kind="project") == [("project", "open")]
    assert found(world.mallory, q="open", kind="repository") == [("repository", "open/app"), *own]
    (project,) = world.mallory.get("/search", q="open", kind="project")["items"]
    assert world.mallory.get(f"/projects/{project['id']}")["name"] == "open"


def test_pages_are_full(world: World) -> None:
    seen: list[str] = []
    sizes = []
    for content, _ in answers(world.mallory, q="open", n=2):
        items = json.loads(content)["items"]
        sizes.append(len(items))
        seen += [each["name"] for each in items]
    assert seen == ["open", "open/app", "open/harbour", "open/harbour-web"]
    assert sizes == [2, 2]


def test_what_is_hidden_makes_no_difference(world: World) -> None:
    queries = [{"q": text, "n": n} for text in ("harbour", "o", "hidden", "closed", "open") for n in (1, 2, 100)]
    before = [answers(world.mallory, **query) for query in queries]
    world.admin.make("/projects", name="hidden-harbour", visibility="private")
    world.admin.make("/projects", name="open/app-hidden", visibility="private")
    row = world.admin.get("/projects", name="open/app-hidden")["items"][0]["id"]
    deny = {"kind": "user", "principal": "mallory", "role": "admin", "effect": "deny"}
    world.admin.make(f"/projects/{row}/grants", **deny)
    for name in ("hidden-harbour/harbour", "open/app-hidden/harbour", "closed/harbour-hidden"):
        pushed(world.server, name)
    assert ("repository", "open/app-hidden/harbour") in found(world.admin, q="hidden")
    assert [answers(world.mallory, **query) for query in queries] == before


def test_who_may_ask(world: World) -> None:
    with asking(world.server, "", "") as nobody:
        check_problem(nobody.ask("GET", "/search", params={"q": "open"}), 401)
    narrow = world.mallory.make("/tokens", name="narrow", scopes=["repository:open/app:pull"])["secret"]
    with asking(world.server, "", narrow) as token:
        assert found(token, q="open") == [("repository", "open/app")]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"q": ""},
        {"q": "x" * 256},
        {"q": "a\0"},
        {"q": "a", "kind": "user"},
        {"q": "a", "after": "x"},
        {"q": "a", "last": "x"},
    ],
)
def test_what_cannot_be(world: World, query: dict[str, str]) -> None:
    check_problem(world.mallory.ask("GET", "/search", params=query), 422)


@pytest.mark.parametrize("place", ["server", "root"])
def test_the_command(world: World, tmp_path: Path, place: str) -> None:
    server = world.server
    where = (
        ["--server", server.base, "--user", "mallory", "--password-stdin"]
        if place == "server"
        else ["--root", str(server.root)]
    )

    def run(*words: str, status: int = 0) -> str:
        done = nursery().run(["search", *words, *where], {"HOME": str(tmp_path)}, f"{PASSWORD}\n")
        assert done.returncode == status, done.stderr
        return done.stdout

    listed = [each["name"] for each in json.loads(run("harbour-w", "--json"))]
    assert listed == ["open/harbour-web"]
    assert ("closed/harbour" in run("harbour")) == (place == "root")
    assert json.loads(run("open", "--kind", "project", "--json"))[0]["kind"] == "project"
    assert run("nothing-of-that-name", "--json") == "[]\n"
    run("", status=1)
