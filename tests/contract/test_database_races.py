"""Requests that meet in the database, on both: each is answered as if it had come alone, and no rule is broken.

Two processes of one registry, each with a `Database` object of its own over the same facts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from moorage.core.digest import digest_of
from moorage.core.errors import ManifestUnknown, PreconditionFailed, RegistryError, UploadUnknown
from moorage.core.names import parse_tag
from moorage.metadata.database import Database
from moorage.metadata.repositories import find_repository
from moorage.metadata.schedules import take_turn
from moorage.metadata.tables import manifests, repositories
from moorage.metadata.tags import tag_digest
from moorage.registry.chunk import Chunk
from moorage.registry.push import Condition, Pushed
from moorage.testing.random_images import Image, RandomImages
from moorage.testing.streams import content, pieces
from tests.support.registry import ALICE, Registry


@pytest.fixture
def processes(database: Database, elsewhere: Database) -> tuple[Registry, Registry]:
    one = Registry(database)
    return one, Registry(elsewhere, one.store, one.clock, one.ids)


def outcomes(results: list[object]) -> Counter[str]:
    """How many ended in which way; what is no answer for a client (a 5xx, a bug) is raised here."""
    for result in results:
        if isinstance(result, BaseException) and not (isinstance(result, RegistryError) and result.status < 500):
            raise result
    return Counter(type(result).__name__ for result in results)


async def same_blobs(registry: Registry, name: str, count: int) -> list[Image]:
    """Images that differ in their annotations alone, with their blobs pushed."""
    images = [RandomImages(1).image(annotations={"n": str(number)}) for number in range(count)]
    await registry.push_blobs(name, images[0])
    return images


async def test_first_pushes_of_16_clients_to_a_new_repository(processes: tuple[Registry, ...], name: str) -> None:
    data = content(1000)
    digests = await asyncio.gather(*(processes[number % 2].push_blob(name, data) for number in range(16)))
    assert set(digests) == {digest_of(data)}
    assert await processes[0].count(repositories, repositories.c.name == name) == 1


async def test_one_manifest_to_16_tags_of_a_new_repository(processes: tuple[Registry, ...], name: str) -> None:
    image = RandomImages(2).artifact()
    sparse = [process.having(sparse=True) for process in processes]
    pushes = [sparse[number % 2].push_manifest(name, image, f"v{number}") for number in range(16)]
    await asyncio.gather(*pushes)
    page = await processes[0].listing.tags(name, None, "")
    assert page.names == sorted(f"v{number}" for number in range(16))
    key = await processes[0].database.read(lambda c: find_repository(c, name))
    assert await processes[0].count(manifests, manifests.c.repository_id == key) == 1


async def test_many_manifests_to_one_tag(processes: tuple[Registry, ...], name: str) -> None:
    """All are answered 201; the tag is one of them, and its history is a chain that has them all."""
    images = await same_blobs(processes[0], name, 12)
    await asyncio.gather(*(processes[number % 2].push_manifest(name, image) for number, image in enumerate(images)))
    history = await processes[0].history(name)
    assert {digest for digest, _ in history} == {image.digest for image in images}
    assert [previous for _, previous in history] == [None, *(digest for digest, _ in history[:-1])]
    assert await processes[1].digest_of_tag(name) == history[-1][0]


async def test_only_one_creates_a_tag_that_must_not_exist(processes: tuple[Registry, ...], name: str) -> None:
    """`If-None-Match: *` of 12 clients at once."""
    images = await same_blobs(processes[0], name, 12)
    new = Condition(none_match=frozenset({"*"}))
    pushes = [processes[number % 2].push_manifest(name, image, condition=new) for number, image in enumerate(images)]
    results = await asyncio.gather(*pushes, return_exceptions=True)
    assert outcomes(list(results)) == {Pushed.__name__: 1, PreconditionFailed.__name__: 11}
    won = next(result for result in results if isinstance(result, Pushed))
    assert await processes[0].digest_of_tag(name) == won.digest
    assert await processes[0].history(name) == [(won.digest, None)]


async def test_only_one_moves_a_tag_from_where_all_saw_it(processes: tuple[Registry, ...], name: str) -> None:
    """`If-Match` of 12 clients at once: read, change, write without losing anybody's change."""
    images = await same_blobs(processes[0], name, 13)
    await processes[0].push_manifest(name, images[0])
    seen = Condition(match=frozenset({images[0].digest}))
    pushes = [processes[n % 2].push_manifest(name, image, condition=seen) for n, image in enumerate(images[1:])]
    results = await asyncio.gather(*pushes, return_exceptions=True)
    assert outcomes(list(results)) == {Pushed.__name__: 1, PreconditionFailed.__name__: 11}


async def test_who_waits_for_a_tag_gets_to_see_where_it_went(
    database: Database, elsewhere: Database, processes: tuple[Registry, ...], name: str
) -> None:
    """While one transaction moves it, another one asks for it: never "there is none"."""
    images = await same_blobs(processes[0], name, 40)
    await processes[0].push_manifest(name, images[0])
    seen: list[str | None] = []

    def look(connection: Connection) -> None:
        repository = find_repository(connection, name)
        assert repository is not None
        seen.append(tag_digest(connection, repository, "latest", hold=True))

    await asyncio.gather(
        *(processes[0].push_manifest(name, image) for image in images[1:]),
        *(elsewhere.write(look) for _ in range(40)),
    )
    assert None not in seen


async def test_deleting_a_tag_that_moves(processes: tuple[Registry, ...], name: str) -> None:
    """It was there all the time until one of the two removes it: 404 only for the one that comes second."""
    images = await same_blobs(processes[0], name, 2)
    for _ in range(15):
        await processes[0].push_manifest(name, images[0])
        results = await asyncio.gather(
            processes[0].push_manifest(name, images[1]),
            processes[1].delete.manifest(name, parse_tag("latest"), ALICE),
            return_exceptions=True,
        )
        assert outcomes(list(results)) == {Pushed.__name__: 1, "NoneType": 1}


async def test_deleting_a_manifest_while_it_is_tagged(processes: tuple[Registry, ...], name: str) -> None:
    """Whatever comes first: afterwards no tag points nowhere, and nobody is answered 500."""
    (image,) = await same_blobs(processes[0], name, 1)
    for turn in range(15):
        await processes[0].push_manifest(name, image, "before")
        results = await asyncio.gather(
            *(processes[number % 2].push_manifest(name, image, f"v{turn}-{number}") for number in range(3)),
            processes[1].delete.manifest(name, image.digest, ALICE),
            processes[0].delete.manifest(name, image.digest, ALICE),
            return_exceptions=True,
        )
        assert outcomes(list(results[:3])) == {Pushed.__name__: 3}
        assert outcomes(list(results[3:])).keys() <= {"NoneType", ManifestUnknown.__name__}
        for tag in (await processes[0].listing.tags(name, None, "")).names:
            assert await processes[0].digest_of_tag(name, tag) == image.digest


async def test_tags_set_in_another_order_do_not_lock_one_another_out(
    processes: tuple[Registry, ...], name: str
) -> None:
    images = await same_blobs(processes[0], name, 8)
    tags = [f"v{number}" for number in range(6)]
    pushes = []
    for number, image in enumerate(images):
        order = tags if number % 2 else tags[::-1]
        pushes.append(processes[number % 2].push_manifest(name, image, image.digest, *order))
    await asyncio.gather(*pushes)
    assert len({await processes[0].digest_of_tag(name, tag) for tag in tags}) >= 1


async def test_a_session_is_finished_once(processes: tuple[Registry, ...], name: str) -> None:
    data = content(5000)
    session = await processes[0].uploads.begin(name, ALICE)
    await processes[0].uploads.append(name, session.id, Chunk(pieces(data), 0))
    ends = [processes[number % 2].uploads.finish(name, session.id, digest_of(data), None, ALICE) for number in range(8)]
    results = await asyncio.gather(*ends, return_exceptions=True)
    assert outcomes(list(results)) == {"int": 1, UploadUnknown.__name__: 7}
    assert (await processes[0].pull.blob(name, digest_of(data))).size == len(data)


async def test_a_turn_has_one_winner(database: Database, elsewhere: Database, name: str) -> None:
    """16 workers of two instances ask at the same moment, again and again."""

    def ask(now: float) -> Callable[[Connection], bool]:
        return lambda connection: take_turn(connection, name, now, 60.0)

    async def winners(now: float) -> int:
        return sum(await asyncio.gather(*((database, elsewhere)[n % 2].write(ask(now)) for n in range(16))))

    assert await winners(0.0) == 0
    for turn in range(1, 6):
        assert await winners(turn * 60.0) == 1
        assert await winners(turn * 60.0 + 59.0) == 0
