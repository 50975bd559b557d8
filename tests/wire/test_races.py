"""Several clients at once, in two workers, on both databases: one winner, right bytes, never a 500 (wire.md T8, T9)."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from tests.conformance.client import Answer
from tests.support.postgres import PostgresCluster
from tests.support.server import Server, serving
from tests.support.wire import OCI_INDEX, OCI_MANIFEST, Client, Link, digest, image

T = TypeVar("T")
CLIENTS = 16


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on each database."""
    folder = tmp_path_factory.mktemp("races")
    if request.param == "sqlite":
        with serving(folder) as started:
            yield started
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres_cluster")
    with cluster.database() as url, serving(folder, environment={"REGISTRY_DATABASE_URL": url}) as started:
        yield started


class Crowd:
    """Clients that do something at the same moment, each on a connection of its own: so both workers have some."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._pool = ThreadPoolExecutor(CLIENTS)

    def together(self, *works: Callable[[Link], T]) -> list[T]:
        """Let each work have a connection and begin when all are ready; their results in order."""
        gate = threading.Barrier(len(works))

        def run(work: Callable[[Link], T]) -> T:
            with Link(self._server.connect()) as link:
                gate.wait(10)
                return work(link)

        return [each.result(60) for each in [self._pool.submit(run, work) for work in works]]

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()


@pytest.fixture(scope="module")
def crowd(server: Server) -> Iterator[Crowd]:
    """Sixteen clients."""
    made = Crowd(server)
    yield made
    made.close()


def asks(
    method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes | None = None
) -> Callable[[Link], Answer]:
    """A work of `Crowd.together`: one request."""
    return lambda link: link.ask(method, target, headers, body)


def puts(name: str, tag: str, manifest: bytes) -> Callable[[Link], Answer]:
    """A work: a manifest PUT."""
    return asks("PUT", f"/v2/{name}/manifests/{tag}", [("Content-Type", OCI_MANIFEST)], manifest)


def statuses(answers: Sequence[Answer], *allowed: int) -> list[int]:
    """The statuses, all of which are allowed."""
    return [answer.expect(*allowed).status for answer in answers]


# --- T8: several requests on one session


@pytest.mark.parametrize("writers", [2, 3, 8])
def test_of_chunks_for_one_place_one_is_taken(client: Client, crowd: Crowd, name: str, writers: int) -> None:
    for size in (1, 5000, 1_200_000):
        location = client.begin(name)
        bodies = [bytes([65 + number]) * size for number in range(writers)]
        chunk = [("Content-Range", f"0-{size - 1}")]
        answers = crowd.together(*(asks("PATCH", location, chunk, body) for body in bodies))
        found = statuses(answers, 202, 409, 416)
        assert found.count(202) == 1, found
        assert client.get(location).expect(204).need("Range") == f"0-{size - 1}"
        content = bodies[found.index(202)]
        client.ask("PUT", f"{location}?digest={digest(content)}").expect(201)
        assert client.get(f"/v2/{name}/blobs/{digest(content)}").expect(200).body == content


def test_of_streams_none_is_mixed_with_another(client: Client, crowd: Crowd, name: str, server: Server) -> None:
    for _ in range(5):
        location = client.begin(name)
        bodies = [bytes([65 + number]) * 700_000 for number in range(4)]
        found = statuses(crowd.together(*(asks("PATCH", location, (), body) for body in bodies)), 202, 409)
        winners = [body for body, status in zip(bodies, found, strict=True) if status == 202]
        assert winners
        content = (server.root / "uploads" / location.rpartition("/")[2]).read_bytes()
        assert len(content) == 700_000 * len(winners)
        pieces = {content[at : at + 700_000] for at in range(0, len(content), 700_000)}
        assert pieces == set(winners)
        client.ask("PUT", f"{location}?digest={digest(content)}").expect(201)


@pytest.mark.parametrize("with_body", [False, True])
def test_of_two_that_finish_one_wins(client: Client, crowd: Crowd, name: str, with_body: bool) -> None:
    for number in range(15):
        content = os.urandom(300_000 if number % 3 else 900_000)
        location = client.begin(name)
        if not with_body:
            client.ask("PATCH", location, body=content).expect(202)
        target = f"{location}?digest={digest(content)}"
        chunk = [("Content-Range", f"0-{len(content) - 1}")] if with_body and number % 2 else []
        body = content if with_body else b""
        found = statuses(crowd.together(*[asks("PUT", target, chunk, body)] * 4), 201, 404, 409, 416)
        assert found.count(201) == 1, found
        assert client.get(f"/v2/{name}/blobs/{digest(content)}").expect(200).body == content


def test_of_a_right_and_a_wrong_end_the_blob_is_right(client: Client, crowd: Crowd, name: str) -> None:
    for _ in range(10):
        content, other = os.urandom(200_000), os.urandom(200_000)
        location = client.begin(name)
        client.ask("PATCH", location, body=content).expect(202)
        right = asks("PUT", f"{location}?digest={digest(content)}")
        wrong = asks("PUT", f"{location}?digest={digest(other)}")
        first, second = crowd.together(right, wrong)
        first.expect(201, 404, 409)
        second.expect(400, 404, 409)
        expected = {200} if first.status == 201 else {404}
        assert client.get(f"/v2/{name}/blobs/{digest(content)}").status in expected
        client.get(f"/v2/{name}/blobs/{digest(other)}").expect(404)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_cancel_beside_a_write(client: Client, crowd: Crowd, name: str, method: str, server: Server) -> None:
    for number in range(20):
        content = os.urandom(10 if number % 2 else 800_000)
        location = client.begin(name)
        target = location + (f"?digest={digest(content)}" if method == "PUT" else "")
        write, cancel = crowd.together(asks(method, target, (), content), asks("DELETE", location))
        write.expect(201 if method == "PUT" else 202, 404)
        cancel.expect(204, 404)
        if method == "PUT":
            assert {write.status, cancel.status} in ({201, 404}, {404, 204}), "both told to have won, or none"
            client.get(f"/v2/{name}/blobs/{digest(content)}").expect(200 if write.status == 201 else 404)
        else:
            cancel.expect(204)
        client.get(location).expect(404)
        assert not (server.root / "uploads" / location.rpartition("/")[2]).exists()


def test_random_schedules(client: Client, crowd: Crowd, name: str) -> None:
    """Anything that may be sent to one session, by two to eight clients at once, forty times."""
    chance = random.Random(4711)
    for _ in range(40):
        location = client.begin(name)
        content = os.urandom(chance.choice([0, 1, 4096, 600_000]))
        half = len(content) // 2
        choices = [
            asks("GET", location),
            asks("PATCH", location, (), content),
            asks("PATCH", location, [("Content-Range", f"0-{max(0, half - 1)}")], content[: max(1, half)]),
            asks("PATCH", location, [("Content-Range", f"{half}-{len(content)}")], content[half:] + b"x"),
            asks("PUT", f"{location}?digest={digest(content)}", (), content),
            asks("PUT", f"{location}?digest={digest(content)}"),
            asks("DELETE", location),
        ]
        answers = crowd.together(*chance.choices(choices, k=chance.randint(2, 8)))
        statuses(answers, 201, 202, 204, 400, 404, 409, 416)
        assert [answer.status for answer in answers].count(201) <= 1
        if any(answer.status == 201 for answer in answers):
            assert client.get(f"/v2/{name}/blobs/{digest(content)}").expect(200).body == content
            client.get(location).expect(404)
        elif client.get(location).status == 204:
            client.ask("DELETE", location).expect(204)


# --- T9: the same content at once


@pytest.mark.parametrize("way", ["put", "post", "patch"])
def test_the_same_blob_from_sixteen_clients(client: Client, crowd: Crowd, name: str, way: str, server: Server) -> None:
    content = os.urandom(1_000_000)
    found = digest(content)
    before = set((server.root / "uploads").iterdir())

    def push(link: Link) -> int:
        query = f"?digest={found}" if way == "post" else ""
        answer = link.ask("POST", f"/v2/{name}/blobs/uploads/{query}", (), content if way == "post" else None)
        if way == "post":
            return answer.status
        location = answer.expect(202).need("Location")
        if way == "patch":
            link.ask("PATCH", location, (), content).expect(202)
        return link.ask("PUT", f"{location}?digest={found}", (), content if way == "put" else b"").status

    assert crowd.together(*[push] * CLIENTS) == [201] * CLIENTS
    assert client.get(f"/v2/{name}/blobs/{found}").expect(200).body == content
    hexadecimal = found.partition(":")[2]
    copies = list(server.root.rglob(f"*{hexadecimal}*"))
    assert len(copies) == 1, copies
    assert set((server.root / "uploads").iterdir()) <= before


def test_the_same_manifest_to_sixteen_tags_of_a_new_repository(client: Client, crowd: Crowd, name: str) -> None:
    for number in range(3):
        repository = f"{name}/{number}"
        client.push_blob(name, b"{}")
        mount = asks("POST", f"/v2/{repository}/blobs/uploads/?mount={digest(b'{}')}&from={name}")
        statuses(crowd.together(*[mount] * CLIENTS), 201)
        manifest = image(b"{}", annotations={"round": str(number)})
        answers = crowd.together(*(puts(repository, f"tag{tag}", manifest) for tag in range(CLIENTS)))
        statuses(answers, 201)
        listed = client.get(f"/v2/{repository}/tags/list").expect(200).json()
        assert listed == {"name": repository, "tags": sorted(f"tag{tag}" for tag in range(CLIENTS))}


def test_the_first_push_into_a_repository_from_sixteen_clients(client: Client, crowd: Crowd, name: str) -> None:
    """A manifest without references, so that nothing is there before: all of them make the repository."""
    for number in range(5):
        repository = f"{name}/{number}"
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
        works = [
            asks(
                "PUT",
                f"/v2/{repository}/manifests/tag{tag}",
                [("Content-Type", OCI_INDEX)],
                json.dumps({**index, "annotations": {"tag": str(tag)}}).encode(),
            )
            for tag in range(CLIENTS)
        ]
        statuses(crowd.together(*works), 201)
        assert len(client.get(f"/v2/{repository}/tags/list").expect(200).json()["tags"]) == CLIENTS
        catalog = client.get(f"/v2/_catalog?last={repository[:-1]}&n=1000").expect(200).json()["repositories"]
        assert catalog.count(repository) == 1


def test_blobs_into_a_new_repository_from_sixteen_clients(client: Client, crowd: Crowd, name: str) -> None:
    contents = [os.urandom(10_000) for _ in range(CLIENTS)]
    target = f"/v2/{name}/blobs/uploads/?digest="
    statuses(crowd.together(*(asks("POST", target + digest(it), (), it) for it in contents)), 201)
    for content in contents:
        assert client.get(f"/v2/{name}/blobs/{digest(content)}").expect(200).body == content


def test_sixteen_manifests_to_one_tag(client: Client, crowd: Crowd, name: str) -> None:
    client.push_blob(name, b"{}")
    for number in range(3):
        manifests = [image(b"{}", annotations={"round": f"{number}-{each}"}) for each in range(CLIENTS)]
        answers = crowd.together(*(puts(name, "latest", manifest) for manifest in manifests))
        statuses(answers, 201)
        assert client.get(f"/v2/{name}/manifests/latest").expect(200).body in manifests
        for manifest in manifests:
            assert client.get(f"/v2/{name}/manifests/{digest(manifest)}").expect(200).body == manifest


def test_only_one_client_can_be_the_first_to_set_a_tag(client: Client, crowd: Crowd, name: str) -> None:
    client.push_blob(name, b"{}")
    for number in range(5):
        target = f"/v2/{name}/manifests/once{number}"
        headers = [("Content-Type", OCI_MANIFEST), ("If-None-Match", "*")]
        manifests = [image(b"{}", annotations={"round": f"{number}-{each}"}) for each in range(CLIENTS)]
        answers = crowd.together(*(asks("PUT", target, headers, manifest) for manifest in manifests))
        found = statuses(answers, 201, 412)
        assert found.count(201) == 1, found
        assert client.get(target).expect(200).body == manifests[found.index(201)]


def test_of_conditional_changes_to_one_tag_each_sees_the_one_before(client: Client, crowd: Crowd, name: str) -> None:
    """Sixteen clients add a line each to one document by compare-and-swap: none is lost (cosign's fallback tags)."""
    target = f"/v2/{name}/manifests/shared"
    client.push_blob(name, b"{}")
    client.push_manifest(name, "shared", image(b"{}", annotations={"lines": ""})).expect(201)

    def add(line: str) -> Callable[[Link], int]:
        def work(link: Link) -> int:
            for attempt in range(200):
                before = link.ask("GET", target).expect(200)
                changed = json.loads(before.body)
                changed["annotations"]["lines"] += line
                headers = [("Content-Type", OCI_MANIFEST), ("If-Match", before.need("ETag"))]
                if link.ask("PUT", target, headers, json.dumps(changed).encode()).expect(201, 412).status == 201:
                    return attempt
            raise AssertionError("never came through")

        return work

    lines = [chr(97 + number) for number in range(CLIENTS)]
    crowd.together(*(add(line) for line in lines))
    found = client.get(target).expect(200).json()["annotations"]["lines"]
    assert sorted(found) == lines


def test_pushes_and_deletes_of_one_manifest(client: Client, crowd: Crowd, name: str) -> None:
    client.push_blob(name, b"{}")
    manifest = image(b"{}", annotations={"at": name})
    target = f"/v2/{name}/manifests/{digest(manifest)}"
    for _ in range(10):
        works = [puts(name, f"tag{number}", manifest) for number in range(6)]
        works += [asks("DELETE", target), asks("DELETE", f"/v2/{name}/manifests/tag0"), asks("GET", target)] * 2
        answers = crowd.together(*works)
        statuses(answers[:6], 201)
        statuses(answers[6:], 200, 202, 404)
        for tag in client.get(f"/v2/{name}/tags/list").expect(200).json()["tags"]:
            client.get(f"/v2/{name}/manifests/{tag}").expect(200)  # I2: a tag points to a manifest that is there
        client.ask("DELETE", target)
        assert client.get(f"/v2/{name}/tags/list").expect(200).json()["tags"] == []


def test_referrers_pushed_at_once_are_all_listed(client: Client, crowd: Crowd, name: str) -> None:
    client.push_blob(name, b"{}")
    subject = {"mediaType": OCI_MANIFEST, "digest": digest(b"subject"), "size": 7}
    manifests = [image(b"{}", subject=subject, annotations={"n": str(each)}) for each in range(CLIENTS)]
    answers = crowd.together(*(puts(name, digest(manifest), manifest) for manifest in manifests))
    statuses(answers, 201)
    assert all(answer.need("OCI-Subject") == digest(b"subject") for answer in answers)
    listed = client.get(f"/v2/{name}/referrers/{digest(b'subject')}").expect(200).json()["manifests"]
    assert sorted(each["digest"] for each in listed) == sorted(map(digest, manifests))
