"""The life of an upload session: what is acknowledged is there, what failed leaves no trace, and one request wins."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from moorage.core.access import ANONYMOUS, Caller
from moorage.core.digest import digest_of
from moorage.core.errors import (
    BlobUnknown,
    Denied,
    DigestInvalid,
    ReadOnly,
    SizeInvalid,
    StorageFull,
    Unavailable,
    UploadBusy,
    UploadInterrupted,
    UploadRangeInvalid,
    UploadUnknown,
)
from moorage.metadata.tables import repositories, uploads
from moorage.registry.chunk import Chunk
from moorage.registry.upload import SMALL
from moorage.testing.fakes import upload_key
from moorage.testing.streams import Counting, Waiting, breaking, content, pieces, read_all
from tests.support.registry import ALICE, Registry

NAME = "library/app"


async def begin(registry: Registry) -> str:
    return (await registry.uploads.begin(NAME, ALICE)).id


async def pulled(registry: Registry, data: bytes, name: str = NAME) -> bytes:
    blob = await registry.pull.blob(name, digest_of(data))
    return await read_all(await registry.pull.source(blob, 0, blob.size))


@pytest.mark.parametrize("size", [0, 1, 100_000])
async def test_a_blob_in_one_request(registry: Registry, size: int) -> None:
    data = content(size)
    await registry.push_blob(NAME, data)
    assert await pulled(registry, data) == data
    assert await registry.count(uploads) == 0


@pytest.mark.parametrize("size", [1, 1000, 33_333])
async def test_a_blob_in_chunks(registry: Registry, size: int) -> None:
    data = content(20 * size)
    key = await begin(registry)
    for start in range(0, len(data), size):
        chunk = Chunk(pieces(data[start : start + size]), start, size)
        assert await registry.uploads.append(NAME, key, chunk) == start + size
        assert await registry.uploads.status(NAME, key) == start + size
    assert await registry.uploads.finish(NAME, key, digest_of(data), None, ALICE) == len(data)
    assert await pulled(registry, data) == data


async def test_the_last_chunk_comes_with_the_end(registry: Registry) -> None:
    key = await begin(registry)
    await registry.uploads.append(NAME, key, Chunk(pieces(b"first "), 0, 6))
    await registry.uploads.finish(NAME, key, digest_of(b"first last"), Chunk(pieces(b"last"), 6, 4), ALICE)
    assert await pulled(registry, b"first last") == b"first last"


async def test_a_stream_without_a_place_goes_to_the_end(registry: Registry) -> None:
    key = await begin(registry)
    for part in (b"one ", b"two ", b"three"):
        await registry.uploads.append(NAME, key, Chunk(pieces(part)))
    await registry.uploads.finish(NAME, key, digest_of(b"one two three"), None, ALICE)
    assert await pulled(registry, b"one two three")


@pytest.mark.parametrize("announced", ["sha256", "sha512"])
@pytest.mark.parametrize("given", ["sha256", "sha512"])
async def test_both_algorithms_announced_or_not(registry: Registry, announced: str, given: str) -> None:
    data = content(5000)
    session = await registry.uploads.begin(NAME, ALICE, announced)
    await registry.uploads.append(NAME, session.id, Chunk(pieces(data)))
    digest = digest_of(data, given)
    await registry.uploads.finish(NAME, session.id, digest, None, ALICE)
    assert (await registry.pull.blob(NAME, digest)).size == 5000


async def test_an_unknown_algorithm_is_refused_at_the_beginning(registry: Registry) -> None:
    with pytest.raises(DigestInvalid):
        await registry.uploads.begin(NAME, ALICE, "md5")
    assert await registry.count(uploads) == 0


async def test_a_blob_is_seen_only_where_it_was_pushed(registry: Registry) -> None:
    """Deduplication is no right to read."""
    await registry.push_blob(NAME, b"secret")
    for name in ("library/other", "library", "library/app/x"):
        with pytest.raises(BlobUnknown):
            await registry.pull.blob(name, digest_of(b"secret"))
    await registry.push_blob("library/other", b"secret")
    assert await pulled(registry, b"secret", "library/other")


async def test_a_session_belongs_to_its_repository(registry: Registry) -> None:
    key = await begin(registry)
    for other in ("library/other", "library"):
        with pytest.raises(UploadUnknown):
            await registry.uploads.status(other, key)
        with pytest.raises(UploadUnknown):
            await registry.uploads.append(other, key, Chunk(pieces(b"x")))
        with pytest.raises(UploadUnknown):
            await registry.uploads.finish(other, key, digest_of(b""), None, ALICE)
        with pytest.raises(UploadUnknown):
            await registry.uploads.cancel(other, key)
    assert await registry.uploads.status(NAME, key) == 0


@pytest.mark.parametrize("key", [upload_key(99), "", "x", "../../etc/passwd", "a\0b", "\ud800", "é" * 500])
async def test_a_session_that_never_was(registry: Registry, key: str) -> None:
    """Whatever stands in the path: 404, and nothing breaks on the way."""
    with pytest.raises(UploadUnknown):
        await registry.uploads.status(NAME, key)
    with pytest.raises(UploadUnknown):
        await registry.uploads.append(NAME, key, Chunk(pieces(b"x")))
    with pytest.raises(UploadUnknown):
        await registry.uploads.finish(NAME, key, digest_of(b"x"), Chunk(pieces(b"x")), ALICE)
    with pytest.raises(UploadUnknown):
        await registry.uploads.cancel(NAME, key)


@pytest.mark.parametrize("start", [0, 4, 6, 1_000_000])
async def test_a_chunk_at_the_wrong_place(registry: Registry, start: int) -> None:
    key = await begin(registry)
    await registry.uploads.append(NAME, key, Chunk(pieces(b"12345"), 0, 5))
    with pytest.raises(UploadRangeInvalid) as refused:
        await registry.uploads.append(NAME, key, Chunk(pieces(b"678"), start, 3))
    assert refused.value.size == 5
    with pytest.raises(UploadRangeInvalid):
        await registry.uploads.finish(NAME, key, digest_of(b"12345678"), Chunk(pieces(b"678"), start, 3), ALICE)
    assert await registry.uploads.status(NAME, key) == 5
    await registry.uploads.finish(NAME, key, digest_of(b"12345678"), Chunk(pieces(b"678"), 5, 3), ALICE)


@pytest.mark.parametrize(("announced", "kept"), [(3, 3), (7, 5), (0, 0)])
async def test_a_chunk_of_another_length_than_announced(registry: Registry, announced: int, kept: int) -> None:
    key = await begin(registry)
    with pytest.raises(SizeInvalid):
        await registry.uploads.append(NAME, key, Chunk(pieces(b"12345"), 0, announced))
    assert await registry.uploads.status(NAME, key) == kept
    await registry.uploads.append(NAME, key, Chunk(pieces(b"12345"[kept:]), kept, 5 - kept))
    await registry.uploads.finish(NAME, key, digest_of(b"12345"), None, ALICE)


async def test_a_client_that_leaves_in_the_middle(registry: Registry) -> None:
    """What arrived is counted, and the session is continued from there."""
    data = content(100_000)
    key = await begin(registry)
    with pytest.raises(UploadInterrupted):
        await registry.uploads.append(NAME, key, Chunk(breaking(data[:40_000], UploadInterrupted())))
    assert await registry.uploads.status(NAME, key) == 40_000
    chunk = Chunk(breaking(data[40_000:60_000], UploadInterrupted()), 40_000, 60_000)
    with pytest.raises(UploadInterrupted):
        await registry.uploads.finish(NAME, key, digest_of(data), chunk, ALICE)
    assert await registry.uploads.status(NAME, key) == 60_000
    await registry.uploads.finish(NAME, key, digest_of(data), Chunk(pieces(data[60_000:]), 60_000, 40_000), ALICE)
    assert await pulled(registry, data) == data


async def test_other_bytes_end_the_session(registry: Registry) -> None:
    key = await begin(registry)
    wrong = digest_of(b"something else")
    with pytest.raises(DigestInvalid) as refused:
        await registry.uploads.finish(NAME, key, wrong, Chunk(pieces(b"these")), ALICE)
    assert refused.value.status == 400
    with pytest.raises(UploadUnknown):
        await registry.uploads.status(NAME, key)
    for digest in (wrong, digest_of(b"these")):
        with pytest.raises(BlobUnknown):
            await registry.pull.blob(NAME, digest)
    assert await registry.store.uploads.size(key) == 0
    assert await registry.count(repositories) == 0, "a push that failed makes no repository"


async def test_a_session_ends_once(registry: Registry) -> None:
    key = await begin(registry)
    await registry.uploads.finish(NAME, key, digest_of(b"x"), Chunk(pieces(b"x")), ALICE)
    for again in (None, Chunk(pieces(b"x"))):
        with pytest.raises(UploadUnknown):
            await registry.uploads.finish(NAME, key, digest_of(b"x"), again, ALICE)
    with pytest.raises(UploadUnknown):
        await registry.uploads.cancel(NAME, key)
    assert await pulled(registry, b"x") == b"x"


async def test_a_cancelled_session_is_gone_with_its_bytes(registry: Registry) -> None:
    key = await begin(registry)
    await registry.uploads.append(NAME, key, Chunk(pieces(b"12345")))
    await registry.uploads.cancel(NAME, key)
    assert await registry.store.uploads.size(key) == 0
    for _ in range(2):
        with pytest.raises(UploadUnknown):
            await registry.uploads.append(NAME, key, Chunk(pieces(b"67890")))
    assert await registry.store.uploads.size(key) == 0


async def test_cancelled_while_it_is_written_to(registry: Registry) -> None:
    key = await begin(registry)
    body = Waiting(b"first", b"second")
    writer = asyncio.create_task(registry.uploads.append(NAME, key, Chunk(body.pieces())))
    await body.begun()
    await registry.uploads.cancel(NAME, key)
    body.go_on()
    with pytest.raises(UploadUnknown):
        await writer
    assert await registry.store.uploads.size(key) == 0


@pytest.mark.parametrize("first", [b"first ", b"first " * 10_000])
async def test_two_writers_of_one_session(registry: Registry, first: bytes) -> None:
    """Who comes second is told at once, as soon as the first one is seen to take its time."""
    key = await begin(registry)
    body = Waiting(first, b"wins")
    writer = asyncio.create_task(registry.uploads.append(NAME, key, Chunk(body.pieces())))
    await body.begun()
    await handed_over(registry, key)
    with pytest.raises(UploadBusy) as refused:
        await registry.uploads.append(NAME, key, Chunk(pieces(b"second")))
    assert refused.value.status == 409
    with pytest.raises(UploadBusy):
        await registry.uploads.finish(NAME, key, digest_of(first), None, ALICE)
    body.go_on()
    assert await writer == len(first) + 4
    await registry.uploads.finish(NAME, key, digest_of(first + b"wins"), None, ALICE)
    assert await pulled(registry, first + b"wins") == first + b"wins"


async def handed_over(registry: Registry, key: str) -> None:
    """Wait until the upload store has a session's bytes, and somebody is writing to it."""
    async with asyncio.timeout(20):
        while (await registry.uploads.find(NAME, key)).content is not None:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)


async def test_two_small_writers_of_one_session(registry: Registry) -> None:
    """The one that is done first wins, and the other one is told."""
    key = await begin(registry)
    body = Waiting(b"first", b"")
    writer = asyncio.create_task(registry.uploads.append(NAME, key, Chunk(body.pieces())))
    await body.begun()
    assert await registry.uploads.append(NAME, key, Chunk(pieces(b"second"))) == 6
    body.go_on()
    with pytest.raises(UploadBusy):
        await writer
    await registry.uploads.finish(NAME, key, digest_of(b"second"), None, ALICE)


async def test_nobody_goes_on_reading_for_a_writer_that_was_refused(registry: Registry) -> None:
    """A slow body that could not be handed over: what is left of it belongs to whoever answers the client."""
    key = await begin(registry)
    body = Waiting(b"first", b"")
    writer = asyncio.create_task(registry.uploads.append(NAME, key, Chunk(body.pieces())))
    await body.begun()
    assert await registry.uploads.append(NAME, key, Chunk(pieces(b"second"))) == 6
    with pytest.raises(UploadBusy):
        await writer  # without another word from its client
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_small_writer_of_a_session_that_ends_meanwhile(registry: Registry) -> None:
    key = await begin(registry)
    body = Waiting(b"first", b"")
    writer = asyncio.create_task(registry.uploads.append(NAME, key, Chunk(body.pieces())))
    await body.begun()
    await registry.uploads.cancel(NAME, key)
    body.go_on()
    with pytest.raises(UploadUnknown):
        await writer


@pytest.mark.parametrize("small", [0, 1, SMALL - 1, SMALL])
@pytest.mark.parametrize("more", [1, 2, SMALL, 100_000])
@pytest.mark.parametrize("how", ["append", "finish", "placed"])
async def test_a_session_that_outgrows_its_row(registry: Registry, small: int, more: int, how: str) -> None:
    """Bytes of the row come first, wherever the rest goes."""
    data, key = content(small + more), await begin(registry)
    await registry.uploads.append(NAME, key, Chunk(pieces(data[:small])))
    rest = Chunk(pieces(data[small:]), small if how == "placed" else None, more)
    if how == "finish":
        await registry.uploads.finish(NAME, key, digest_of(data), rest, ALICE)
    else:
        assert await registry.uploads.append(NAME, key, rest) == small + more
        assert await registry.uploads.status(NAME, key) == small + more
        await registry.uploads.finish(NAME, key, digest_of(data), None, ALICE)
    assert await pulled(registry, data) == data
    assert await registry.count(uploads) == 0


async def test_a_client_that_leaves_while_its_session_outgrows_the_row(registry: Registry) -> None:
    """What came is kept in the store, the bytes of the row before it."""
    key = await begin(registry)
    await registry.uploads.append(NAME, key, Chunk(pieces(b"row ")))
    body = breaking(content(100_000), UploadInterrupted())
    with pytest.raises(UploadInterrupted):
        await registry.uploads.append(NAME, key, Chunk(body))
    assert await registry.uploads.status(NAME, key) == 100_004
    await registry.uploads.finish(NAME, key, digest_of(b"row " + content(100_000)), None, ALICE)


async def test_two_that_outgrow_the_row_at_once(registry: Registry) -> None:
    """One wins; what it was told is there stays, and the other one takes none of it away."""
    key = await begin(registry)
    await registry.uploads.append(NAME, key, Chunk(pieces(b"row ")))
    tries = [registry.uploads.append(NAME, key, Chunk(pieces(content(50_000, seed)))) for seed in range(8)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    won = [seed for seed, result in enumerate(results) if result == 50_004]
    assert len(won) == 1
    assert all(result == 50_004 or isinstance(result, UploadBusy) for result in results)
    data = b"row " + content(50_000, won[0])
    await registry.uploads.finish(NAME, key, digest_of(data), None, ALICE)
    assert await pulled(registry, data) == data


async def test_a_small_chunk_while_another_one_outgrows_the_row(registry: Registry) -> None:
    """The small one is acknowledged first: the large one is told, and nothing of the small one is lost."""
    key = await begin(registry)
    await registry.uploads.append(NAME, key, Chunk(pieces(b"row ")))
    body = Waiting(content(50_000), b"end")
    large = asyncio.create_task(registry.uploads.append(NAME, key, Chunk(body.pieces())))
    await body.begun()
    assert await registry.uploads.append(NAME, key, Chunk(pieces(b"small"))) == 9
    body.go_on()
    with pytest.raises(UploadBusy):
        await large
    assert await registry.uploads.append(NAME, key, Chunk(pieces(content(50_000)))) == 50_009
    await registry.uploads.finish(NAME, key, digest_of(b"row small" + content(50_000)), None, ALICE)


async def test_the_same_chunk_at_once_from_many(registry: Registry) -> None:
    """Client, proxy and load balancer each try again: the bytes are taken once."""
    data = content(50_000)
    key = await begin(registry)
    tries = [registry.uploads.append(NAME, key, Chunk(pieces(data), 0, len(data))) for _ in range(8)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert results.count(50_000) == 1
    assert all(result == 50_000 or isinstance(result, UploadBusy | UploadRangeInvalid) for result in results)
    await registry.uploads.finish(NAME, key, digest_of(data), None, ALICE)


@pytest.mark.parametrize("held", [0, 5])
async def test_many_that_finish_with_the_same_bytes(registry: Registry, held: int) -> None:
    """One wins and the others learn that the session is gone or busy: no doubled bytes, none left over."""
    data = content(200_000)
    for placed in (True, False):
        key = await begin(registry)
        if held:
            await registry.uploads.append(NAME, key, Chunk(pieces(data[:held]), 0, held))

        def chunk(placed: bool = placed) -> Chunk:
            rest = pieces(data[held:], 10_000)
            return Chunk(rest, held, len(data) - held) if placed else Chunk(rest)

        ends = [registry.uploads.finish(NAME, key, digest_of(data), chunk(), ALICE) for _ in range(8)]
        results = await asyncio.gather(*ends, return_exceptions=True)
        assert results.count(len(data)) == 1
        others = [result for result in results if result != len(data)]
        assert all(isinstance(other, UploadBusy | UploadRangeInvalid | UploadUnknown) for other in others)
        assert await pulled(registry, data) == data
        assert await registry.store.uploads.size(key) == 0
        assert await registry.count(uploads) == 0


async def test_a_blob_in_one_request_that_fails_leaves_no_session(registry: Registry) -> None:
    """The client never heard of it."""
    for body in (pieces(b"other bytes"), breaking(b"12", UploadInterrupted())):
        with pytest.raises((DigestInvalid, UploadInterrupted)):
            await registry.uploads.whole(NAME, digest_of(b"12345"), Chunk(body), ALICE, "sha256")
        assert await registry.count(uploads) == 0
    assert [key for key in registry.ids.given if await registry.store.uploads.size(key)] == []
    assert await registry.uploads.whole(NAME, digest_of(b"12345"), Chunk(pieces(b"12345")), ALICE, "sha256") == 5
    assert await pulled(registry, b"12345") == b"12345"


async def test_a_blob_that_is_pushed_by_16_at_once(registry: Registry) -> None:
    data = content(300_000)
    names = [f"library/app{number % 4}" for number in range(16)]
    await asyncio.gather(*(registry.push_blob(name, data) for name in names))
    for name in set(names):
        assert await pulled(registry, data, name) == data
    assert [digest async for digest in registry.store.blobs.scan()] == [digest_of(data)]
    assert await registry.count(uploads) == 0


@pytest.mark.parametrize("size", [5, 100_000])
async def test_a_database_that_fails_at_the_end_leaves_a_plain_answer(registry: Registry, size: int) -> None:
    """The bytes are sealed, the row is not written: the client hears an error, and beginning anew works."""
    data, key = content(size), await begin(registry)
    write = registry.database.write

    async def failing(*_: object, **__: object) -> None:
        raise Unavailable

    await registry.uploads.append(NAME, key, Chunk(pieces(data)))
    registry.database.write = failing  # type: ignore[method-assign, assignment]
    with pytest.raises(Unavailable):
        await registry.uploads.finish(NAME, key, digest_of(data), None, ALICE)
    registry.database.write = write  # type: ignore[method-assign]
    with pytest.raises(BlobUnknown):
        await registry.pull.blob(NAME, digest_of(data))
    if size <= SMALL:  # the row has the bytes still: the same request again is enough
        await registry.uploads.finish(NAME, key, digest_of(data), None, ALICE)
    else:
        with pytest.raises(UploadUnknown):
            await registry.uploads.status(NAME, key)
        await registry.push_blob(NAME, data)
    assert await pulled(registry, data) == data


@pytest.mark.parametrize("size", [5, 100_000])
async def test_bytes_are_dropped_though_the_database_cannot_say_so(registry: Registry, size: int) -> None:
    """On a full disk they may be the room that it needs; the client never heard of the session."""
    write = registry.database.write

    async def full(*arguments: Any, durable: bool = True) -> Any:
        if durable:
            raise StorageFull
        return await write(*arguments, durable=durable)

    registry.database.write = full  # type: ignore[method-assign, assignment]
    with pytest.raises(DigestInvalid):
        await registry.uploads.whole(NAME, digest_of(b"other"), Chunk(pieces(content(size))), ALICE, "sha256")
    for key in registry.ids.given:
        assert await registry.store.uploads.size(key) == 0


async def test_events_tell_of_the_blob_and_of_who_pushed_it(registry: Registry) -> None:
    await registry.push_blob(NAME, b"12345")
    nobody = Caller(ANONYMOUS)
    session = await registry.uploads.begin(NAME, nobody)
    await registry.uploads.finish(NAME, session.id, digest_of(b"x"), Chunk(pieces(b"x")), nobody)
    assert [
        (event["action"], event["digest"], event["size"], event["actor"]) for event in await registry.told(NAME)
    ] == [
        ("push", digest_of(b"12345"), 5, "alice"),
        ("push", digest_of(b"x"), 1, ""),
    ]


async def test_nothing_is_written_in_read_only_mode(registry: Registry) -> None:
    key = await begin(registry)
    frozen = registry.having(readonly=True)
    for attempt in (
        frozen.uploads.begin(NAME, ALICE),
        frozen.uploads.append(NAME, key, Chunk(pieces(b"x"))),
        frozen.uploads.finish(NAME, key, digest_of(b"x"), Chunk(pieces(b"x")), ALICE),
    ):
        with pytest.raises(ReadOnly):
            await attempt
    assert await registry.uploads.status(NAME, key) == 0


async def test_only_the_repositories_that_the_operator_allows(registry: Registry) -> None:
    chosen = registry.having(repository_allow=("^library/", "^team$"))
    for name in ("library/x", "team"):
        await chosen.uploads.begin(name, ALICE)
    for name in ("teams", "other/library/x"):
        with pytest.raises(Denied):
            await chosen.uploads.begin(name, ALICE)


async def test_a_body_is_not_read_by_who_may_not_write(registry: Registry) -> None:
    key = await begin(registry)
    body = Counting(b"12345")
    with pytest.raises(ReadOnly):
        await registry.having(readonly=True).uploads.append(NAME, key, Chunk(body.pieces()))
    with pytest.raises(UploadUnknown):
        await registry.uploads.append("library/other", key, Chunk(body.pieces()))
    assert body.taken == 0
