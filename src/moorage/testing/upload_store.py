"""What every `UploadStore` promises, as tests; how to use it stands in `moorage.testing.blob_store`."""

from __future__ import annotations

import time

import pytest

from moorage.blobs.ports import Progress
from moorage.core.digest import digest_of
from moorage.core.errors import (
    DigestInvalid,
    UploadInterrupted,
    UploadRangeInvalid,
    UploadUnknown,
)
from moorage.testing.blob_store import CONTENTS, KIB, MIB, OpenStore, Store, open_descriptors
from moorage.testing.fakes import upload_key
from moorage.testing.steps import KEY, OTHER, append, stored
from moorage.testing.streams import Counting, breaking, content, pieces
from moorage.testing.upload_races import UploadRaces


@pytest.mark.asyncio
class UploadStoreContract(UploadRaces):
    """Uploads under way."""

    @pytest.mark.parametrize("data", CONTENTS.values(), ids=CONTENTS.keys())
    async def test_what_was_sent_is_what_is_sealed(self, store: Store, data: bytes) -> None:
        """Sent by one request, sealed by the next."""
        digest = digest_of(data)
        progress = await append(store.uploads, data)
        assert (progress.size, progress.broken) == (len(data), None)
        assert progress.digest in (digest, None)
        assert await store.blobs.stat(digest) is None
        sealed = await store.uploads.seal(KEY, digest, progress)
        assert sealed.size == await store.blobs.stat(digest) == len(data)
        assert await stored(store, digest, sealed) == data
        assert await store.uploads.size(KEY) == 0

    @pytest.mark.parametrize("size", [32, 4 * KIB, 65_537, MIB, 10 * MIB])
    async def test_an_upload_is_continued_chunk_by_chunk(self, store: Store, size: int) -> None:
        """Whatever the size of the chunks; each request says where its chunk goes."""
        data = content(size * (3 if size > MIB else 20) - 5)
        known = Progress(0, None)
        for start in range(0, len(data), size):
            known = await append(store.uploads, data[start : start + size], start)
            assert known.size == await store.uploads.size(KEY) == min(start + size, len(data))
            assert known.digest in (digest_of(data[: known.size]), None)
        sealed = await store.uploads.seal(KEY, digest_of(data), known)
        assert await stored(store, digest_of(data), sealed) == data

    @pytest.mark.parametrize("size", [1, 1000, 700 * KIB])
    async def test_one_request_may_come_in_pieces_of_any_size(self, store: Store, size: int) -> None:
        """Also with nothing in some of them."""
        data = content(2000 if size == 1 else 3 * MIB + 1)

        async def with_gaps() -> object:
            async for piece in pieces(data, size):
                yield b""
                yield piece
            yield b""

        progress = await store.uploads.append(KEY, 0, with_gaps(), "sha256")  # type: ignore[arg-type]
        sealed = await store.uploads.seal(KEY, digest_of(data), progress)
        assert await stored(store, digest_of(data), sealed) == data

    async def test_a_long_stream(self, store: Store) -> None:
        """40 MiB in one request, with the digest at its end."""
        data = content(40 * MIB)
        progress = await append(store.uploads, data)
        assert progress.digest in (digest_of(data), None)
        sealed = await store.uploads.seal(KEY, digest_of(data), progress)
        assert await stored(store, digest_of(data), sealed) == data

    async def test_nothing_and_then_something(self, store: Store) -> None:
        """A request without bytes is a request like any other."""
        assert (await append(store.uploads, b"", 0)).size == 0
        assert (await append(store.uploads, b"", None)).size == 0
        assert (await append(store.uploads, b"some", 0)).size == 4
        assert (await append(store.uploads, b"", 4)).size == 4
        known = await append(store.uploads, b" more", None)
        assert await stored(
            store, digest_of(b"some more"), await store.uploads.seal(KEY, digest_of(b"some more"), known)
        )

    @pytest.mark.parametrize("known", [None, Progress(0, None)])
    async def test_an_upload_without_a_request_is_empty(self, store: Store, known: Progress | None) -> None:
        """POST, then PUT with the digest of nothing: layers like that exist."""
        assert await store.uploads.size(KEY) == 0
        sealed = await store.uploads.seal(KEY, digest_of(b""), known)
        assert sealed.size == 0
        assert await store.blobs.stat(digest_of(b"")) == 0

    @pytest.mark.parametrize("offset", [0, 1, 999, 1001, 10**12])
    async def test_a_chunk_at_the_wrong_place_takes_nothing(self, store: Store, offset: int) -> None:
        """The body is not even looked at, and the session goes on at the right place."""
        await append(store.uploads, content(1000))
        body = Counting(content(5000))
        with pytest.raises(UploadRangeInvalid) as refused:
            await store.uploads.append(KEY, offset, body.pieces(), "sha256")
        assert refused.value.size == await store.uploads.size(KEY) == 1000
        assert body.taken == 0
        known = await append(store.uploads, b"!", 1000)
        await store.uploads.seal(KEY, digest_of(content(1000) + b"!"), known)

    async def test_a_first_chunk_that_is_not_the_first(self, store: Store) -> None:
        """Nothing came yet, and the chunk says that something did."""
        with pytest.raises(UploadRangeInvalid) as refused:
            await append(store.uploads, b"late", 4)
        assert refused.value.size == 0
        assert (await append(store.uploads, b"early", 0)).size == 5

    async def test_bytes_that_the_facts_remember_and_that_are_gone(self, open_store: OpenStore) -> None:
        """After a sealing that was not recorded: other bytes must not take their place, as their digest is known."""
        store = open_store()
        for held in (1, 1000):
            for offset in (None, 0, held):
                body = Counting(b"other bytes")
                with pytest.raises(UploadUnknown):
                    await store.uploads.append(KEY, offset, body.pieces(), "sha256", held)
                assert body.taken == 0
        assert await store.uploads.size(KEY) == 0
        await append(store.uploads, b"12345")
        with pytest.raises(UploadUnknown):
            await open_store().uploads.append(KEY, None, pieces(b"678"), "sha256", 6)
        for held in (5, 3):
            await open_store().uploads.append(KEY, None, pieces(b"."), "sha256", held)
        assert await store.uploads.size(KEY) == 7

    async def test_refusals_leave_nothing_open(self, store: Store) -> None:
        """Neither a descriptor nor a lock stays after a hundred wrong requests."""
        await append(store.uploads, b"1234")
        before = open_descriptors()
        for _ in range(100):
            with pytest.raises(UploadRangeInvalid):
                await append(store.uploads, b"5", 77)
            with pytest.raises(DigestInvalid):
                await store.uploads.seal(OTHER, digest_of(b"never sent"))
            await store.uploads.drop(OTHER)
        assert open_descriptors() == before
        assert (await append(store.uploads, b"5", 4)).size == 5

    @pytest.mark.parametrize("arrived", [0, 1, 100_000, 2 * MIB])
    async def test_a_body_that_breaks_off(self, store: Store, arrived: int) -> None:
        """What came is kept and counted, the error is told, and the upload is continued after it."""
        data = content(3 * MIB)
        error = UploadInterrupted()
        progress = await store.uploads.append(KEY, 0, breaking(data[:arrived], error), "sha256")
        assert progress.broken is error
        assert progress.size == await store.uploads.size(KEY) == arrived
        known = await append(store.uploads, data[arrived:], arrived)
        sealed = await store.uploads.seal(KEY, digest_of(data), known)
        assert await stored(store, digest_of(data), sealed) == data

    async def test_other_bytes_than_announced(self, store: Store) -> None:
        """Nothing becomes visible: not under the wrong digest and not under the right one."""
        data, wrong = content(5000), digest_of(b"something else")
        known = await append(store.uploads, data)
        for believed in (known, None, Progress(len(data), None)):
            with pytest.raises(DigestInvalid):
                await store.uploads.seal(KEY, wrong, believed)
        assert await store.blobs.stat(wrong) is None
        assert await store.blobs.stat(digest_of(data)) is None
        assert [digest async for digest in store.blobs.scan()] == []

    @pytest.mark.parametrize("announced", ["sha256", "sha512"])
    @pytest.mark.parametrize("sealed_as", ["sha256", "sha512"])
    async def test_the_algorithm_need_not_be_announced(self, store: Store, announced: str, sealed_as: str) -> None:
        """A client may begin without a word and end with sha512."""
        data = content(100_000)
        await store.uploads.append(KEY, 0, pieces(data[:500]), announced)
        known = await store.uploads.append(KEY, 500, pieces(data[500:]), announced)
        digest = digest_of(data, sealed_as)
        assert await stored(store, digest, await store.uploads.seal(KEY, digest, known)) == data
        assert [found async for found in store.blobs.scan()] == [digest]

    @pytest.mark.parametrize("known", [None, Progress(3, digest_of(b"abc")), Progress(6, None), Progress(0, None)])
    async def test_facts_that_are_behind_are_not_believed(self, store: Store, known: Progress | None) -> None:
        """The bytes' own length is the truth: a crash may have come between them and the row."""
        await append(store.uploads, b"abc")
        await append(store.uploads, b"def")
        with pytest.raises(DigestInvalid):
            await store.uploads.seal(KEY, digest_of(b"abc"), known)
        assert (await store.uploads.seal(KEY, digest_of(b"abcdef"), known)).size == 6

    @pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
    async def test_the_last_chunk_may_seal(self, open_store: OpenStore, algorithm: str) -> None:
        """In one step, so that nobody writes in between; also what began in another process."""
        store = open_store()
        data = content(3_000_000)
        digest = digest_of(data, algorithm)
        await append(open_store().uploads, data[:100], 0)
        known = await store.uploads.append(KEY, 100, pieces(data[100:]), "sha256", 100, digest)
        assert known.sealed is not None
        assert (known.size, known.sealed.size, known.broken) == (len(data), len(data), None)
        assert await stored(store, digest, known.sealed) == data
        assert await store.uploads.size(KEY) == 0
        with pytest.raises(UploadUnknown):
            await open_store().uploads.seal(KEY, digest, known)

    async def test_a_last_chunk_that_makes_other_bytes_seals_nothing(self, store: Store) -> None:
        """They are kept, and what was meant can still be said."""
        await append(store.uploads, b"abc")
        with pytest.raises(DigestInvalid):
            await store.uploads.append(KEY, 3, pieces(b"def"), "sha256", 3, digest_of(b"something else"))
        assert [digest async for digest in store.blobs.scan()] == []
        assert await store.uploads.size(KEY) == 6
        assert (await store.uploads.seal(KEY, digest_of(b"abcdef"))).size == 6

    async def test_a_last_chunk_that_breaks_off_seals_nothing(self, store: Store) -> None:
        """Though what arrived may have the very digest."""
        error = UploadInterrupted()
        body = breaking(b"abc", error)
        progress = await store.uploads.append(KEY, 0, body, "sha256", 0, digest_of(b"abc"))
        assert (progress.size, progress.broken, progress.sealed) == (3, error, None)
        assert await store.blobs.stat(digest_of(b"abc")) is None
        assert await store.uploads.size(KEY) == 3

    async def test_a_last_chunk_without_bytes(self, store: Store) -> None:
        """A PUT whose body turns out to be empty."""
        for data in (b"", b"abc"):
            await append(store.uploads, data)
            known = await store.uploads.append(KEY, None, pieces(b""), "sha256", len(data), digest_of(data))
            assert known.sealed is not None
            assert await stored(store, digest_of(data), known.sealed) == data

    async def test_dropped_is_forgotten(self, store: Store) -> None:
        """Twice is no error, nor what never was; the key may begin anew, and nothing of before is left."""
        await append(store.uploads, b"to be forgotten")
        await store.uploads.drop(KEY)
        await store.uploads.drop(KEY)
        await store.uploads.drop(OTHER)
        assert await store.uploads.size(KEY) == 0
        with pytest.raises(UploadUnknown):
            await store.uploads.seal(KEY, digest_of(b"to be forgotten"), Progress(15, digest_of(b"to be forgotten")))
        known = await append(store.uploads, b"new", 0)
        await store.uploads.seal(KEY, digest_of(b"new"), known)

    async def test_stale(self, open_store: OpenStore) -> None:
        """Those that nothing was written to since, from any process; not what was sealed or dropped."""
        store, elsewhere = open_store(), open_store()
        for number in range(6):
            await append(store.uploads, b"abc", None, upload_key(number))
        await store.uploads.seal(upload_key(0), digest_of(b"abc"))
        await store.uploads.drop(upload_key(1))
        now = time.time()
        assert await elsewhere.uploads.stale(now - 3600, 100) == []
        assert sorted(await elsewhere.uploads.stale(now + 60, 100)) == [upload_key(number) for number in range(2, 6)]
        assert len(await elsewhere.uploads.stale(now + 60, 3)) == 3
        assert await elsewhere.uploads.stale(now + 60, 0) == []
