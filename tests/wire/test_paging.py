"""Lists in pages, followed as clients do it: nothing is lost, doubled or out of order (wire.md T13)."""

from __future__ import annotations

import json
import random
import re
import string
import threading
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.support.server import Server
from tests.support.wire import OCI_INDEX, OCI_MANIFEST, Client, digest, image

DATABASES = ("sqlite", "postgresql")
LINK = re.compile(r'<(/v2/[^<>;]*)>; rel="next"')
SIZES = [1, 2, 3, 4, 5, 6, 7, 1000]


def pages(client: Client, target: str, member: str) -> Iterator[list[str]]:
    """Every page of a list, by the Link of the page before."""
    seen: set[str] = set()
    following: str | None = target
    while following is not None:
        assert following not in seen, f"the pages go in a circle at {following}"
        seen.add(following)
        answer = client.get(following).expect(200)
        page = answer.json()[member]
        assert isinstance(page, list), page
        yield page
        link = answer.header("Link")
        found = LINK.fullmatch(link) if link is not None else None
        assert link is None or found, f"not relative, or not readable for clients: {link}"
        following = found[1] if found else None


def push_tags(client: Client, name: str, tags: list[str]) -> None:
    """Push one manifest under many tags, fifty a request."""
    manifest = image(b"{}")
    client.push_blob(name, b"{}")
    for at in range(0, len(tags), 50):
        query = "&".join(f"tag={quote(tag)}" for tag in tags[at : at + 50])
        target = f"/v2/{name}/manifests/{digest(manifest)}?{query}"
        client.ask("PUT", target, [("Content-Type", OCI_MANIFEST)], manifest).expect(201)


def names_like(chance: random.Random) -> list[str]:
    """A set of tags of which many begin with others: 0.1.2 and 0.1.20, a_ and a-, A and a."""
    found = set()
    stems = ["0.1.2", "1", "v1", "a", "A", "_", "latest", "sha256-0", "z" * 100]
    for _ in range(chance.randint(1, 40)):
        extra = "".join(chance.choices(string.ascii_letters + string.digits + "._-", k=chance.randint(0, 4)))
        found.add(chance.choice(stems) + extra)
    return sorted(found)


def test_all_tags_once_in_byte_order_for_every_page_size(client: Client, name: str) -> None:
    chance = random.Random(1789)
    for number in range(25):
        tags = names_like(chance)
        repository = f"{name}/{number}"
        push_tags(client, repository, tags)
        for size in [*chance.sample(SIZES, 3), len(tags), len(tags) + 1]:
            found = list(pages(client, f"/v2/{repository}/tags/list?n={size}", "tags"))
            assert [tag for page in found for tag in page] == tags
            assert all(len(page) == size for page in found[:-1])
        after = chance.choice(tags)
        last = client.get(f"/v2/{repository}/tags/list?last={quote(after, safe='')}").expect(200).json()["tags"]
        assert last == [tag for tag in tags if tag > after]


@pytest.mark.parametrize(("query", "status"), [
    ("n=0", 200), ("n=1000000000", 200), ("n=999999999999999999", 200), ("n=", 200), ("last=", 200), ("n=1&n=1", 200),
    ("last=%ff", 400), ("last=%00", 200), ("last=zzzz", 200), ("last=a%2Bb", 200), ("last='%3B--", 200),
    ("n=-1", 400), ("n=+1", 400), ("n=1_0", 400), ("n=%201", 400), ("n=1.0", 400), ("n=1e3", 400), ("n=%D9%A1", 400),
    ("n=abc", 400), ("n=9999999999999999999999", 400), ("n=1&n=2", 400), ("n=0x10", 400),
])  # fmt: skip
@pytest.mark.parametrize("route", ["{name}/tags/list", "_catalog"])
def test_what_may_be_asked_of_a_list(client: Client, name: str, query: str, status: int, route: str) -> None:
    push_tags(client, name, ["v1", "v2"])
    answer = client.get(f"/v2/{route.format(name=name)}?{query}").expect(status)
    if status == 400:
        assert answer.codes()
    else:
        assert isinstance(answer.json()["tags" if "tags" in route else "repositories"], list)


def test_no_results_and_the_page_after_the_last_are_empty_lists(client: Client, name: str) -> None:
    push_tags(client, name, ["v1"])
    for query in ("n=0", "last=v1", "last=zzz", "n=5&last=v1"):
        answer = client.get(f"/v2/{name}/tags/list?{query}").expect(200)
        assert answer.json() == {"name": name, "tags": []}
        assert answer.header("Link") is None


def test_repositories_that_begin_with_others_are_all_in_the_catalog(client: Client, name: str) -> None:
    wanted = sorted(f"{name}/{tail}" for tail in ("math", "math-voila", "math/a", "math.b", "math_c", "math/a/b", "m"))
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
    for repository in wanted:
        client.push_manifest(repository, "v1", index, OCI_INDEX).expect(201)
    for size in (1, 2, 3, 5, 1000):
        found = [each for page in pages(client, f"/v2/_catalog?n={size}", "repositories") for each in page]
        assert found == sorted(set(found))
        assert [each for each in found if each.startswith(f"{name}/")] == wanted


def test_while_names_are_added_no_old_one_is_lost(client: Client, server: Server, name: str) -> None:
    old = [f"tag-{number:03}" for number in range(0, 300, 3)]
    push_tags(client, name, old)
    stop = threading.Event()

    def add() -> None:
        with Client(server) as other:
            for number in range(300):
                if stop.is_set():
                    return
                push_tags(other, name, [f"tag-{number:03}-new"])

    adding = threading.Thread(target=add)
    adding.start()
    try:
        for size in (1, 3, 7):
            found = [tag for page in pages(client, f"/v2/{name}/tags/list?n={size}", "tags") for tag in page]
            assert found == sorted(set(found))
            assert set(old) <= set(found)
    finally:
        stop.set()
        adding.join()


def test_referrers_in_pages_by_several_types(client: Client, name: str) -> None:
    client.push_blob(name, b"{}")
    subject = {"mediaType": OCI_MANIFEST, "digest": digest(b"subject"), "size": 7}
    expected: dict[str, list[str]] = {}
    for number in range(12):
        kind = f"application/vnd.test.{'abc'[number % 3]}+json"
        manifest = image(b"{}", subject=subject, artifactType=kind, annotations={"n": str(number)})
        client.push_manifest(name, digest(manifest), manifest).expect(201)
        expected.setdefault(kind, []).append(digest(manifest))
    base = f"/v2/{name}/referrers/{digest(b'subject')}"
    for kinds in (list(expected), list(expected)[:2], list(expected)[2:]):
        query = "&".join(f"artifactType={quote(kind, safe='')}" for kind in kinds)
        wanted = sorted(each for kind in kinds for each in expected[kind])
        for size in (1, 5, 12, 100):
            found = [
                each["digest"]
                for page in pages(client, f"{base}?{query}&n={size}", "manifests")
                for each in json.loads(json.dumps(page))
            ]
            assert sorted(found) == wanted
    unencoded = client.get(f"{base}?artifactType=application/vnd.test.a+json").expect(200)
    assert len(unencoded.json()["manifests"]) == 4
    assert unencoded.need("OCI-Filters-Applied") == "artifactType"
    assert unencoded.need("Content-Type") == OCI_INDEX
