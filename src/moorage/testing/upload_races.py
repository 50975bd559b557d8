"""What every `UploadStore` promises when several requests, or processes, meet; part of `UploadStoreContract`."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from moorage.blobs.ports import Progress, Sealed
from moorage.core.digest import digest_of
from moorage.core.errors import (
    DigestInvalid,
    RegistryError,
    UploadBusy,
    UploadInterrupted,
    UploadRangeInvalid,
    UploadUnknown,
)
from moorage.testing.blob_store import KIB, MIB, OpenStore, Store, open_descriptors
from moorage.testing.fakes import upload_key
from moorage.testing.steps import KEY, OTHER, append, stored
from moorage.testing.streams import Waiting, breaking, content, pieces


@pytest.mark.asyncio
class UploadRaces:
    """Uploads that several write to."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Gives the backend under test; to be overridden."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Store:
        """The store of one process."""
        return open_store()

    async def test_one_request_at_a_time(self, open_store: OpenStore) -> None:
        """Who comes second is told at once, in this process and in another; the first one is not disturbed."""
        store, elsewhere = open_store(), open_store()
        body = Waiting(b"first ", b"wins")
        first = asyncio.create_task(store.uploads.append(KEY, 0, body.pieces(), "sha256"))
        await body.begun()
        for uploads in (store.uploads, elsewhere.uploads):
            for offset in (None, 0, 6):
                with pytest.raises((UploadBusy, UploadRangeInvalid)):
                    await append(uploads, b"second", offset)
            with pytest.raises(UploadBusy):
                await append(uploads, b"second")
            with pytest.raises(UploadBusy):
                await uploads.seal(KEY, digest_of(b"first "))
        body.go_on()
        known = await first
        assert known.size == 10
        sealed = await elsewhere.uploads.seal(KEY, digest_of(b"first wins"), known)
        assert await stored(store, digest_of(b"first wins"), sealed) == b"first wins"

    async def test_two_uploads_do_not_know_one_another(self, store: Store) -> None:
        """One that stands still does not hold up another one."""
        body = Waiting(b"slow", b"ly")
        slow = asyncio.create_task(store.uploads.append(KEY, 0, body.pieces(), "sha256"))
        await body.begun()
        known = await append(store.uploads, b"quick", 0, OTHER)
        await store.uploads.seal(OTHER, digest_of(b"quick"), known)
        body.go_on()
        await store.uploads.seal(KEY, digest_of(b"slowly"), await slow)

    @pytest.mark.parametrize("left", [b"", b"left by a crash"])
    async def test_bytes_that_the_facts_held(self, open_store: OpenStore, left: bytes) -> None:
        """They come with the first piece, in place of what an earlier try left; the facts hear of it under the lock."""
        store, elsewhere = open_store(), open_store()
        if left:
            await append(store.uploads, left)
        told: list[int] = []

        async def taken_over(progress: Progress) -> None:
            told.append(progress.size)
            for uploads in (store.uploads, elsewhere.uploads):
                with pytest.raises(UploadBusy):
                    await append(uploads, b"second")

        data = content(200_000)
        known = await store.uploads.append(KEY, None, pieces(data), "sha256", taken_over=taken_over)
        assert told == [len(data)] == [known.size]
        sealed = await elsewhere.uploads.seal(KEY, digest_of(data), known)
        assert await stored(store, digest_of(data), sealed) == data

    async def test_bytes_that_the_facts_go_on_holding(self, store: Store) -> None:
        """The client leaves before the first piece, or the facts say no: the upload is let go of all the same."""

        async def refused(_: Progress) -> None:
            raise UploadBusy

        for body in (breaking(b"", UploadInterrupted()), pieces(b"12345")):
            with pytest.raises(UploadBusy):
                await store.uploads.append(KEY, None, body, "sha256", taken_over=refused)
        known = await append(store.uploads, b"67890", 5)
        await store.uploads.seal(KEY, digest_of(b"1234567890"), known)

    async def test_bytes_that_the_facts_held_are_sealed_at_once(self, store: Store) -> None:
        """Then there is nothing left to tell."""
        told: list[Progress] = []

        async def taken_over(progress: Progress) -> None:
            told.append(progress)

        wanted = digest_of(b"12345")
        known = await store.uploads.append(KEY, None, pieces(b"12345"), "sha256", seal=wanted, taken_over=taken_over)
        assert known.sealed is not None
        assert told == []
        assert await stored(store, wanted, known.sealed) == b"12345"

    @pytest.mark.parametrize("arrived", [0, 100, 900 * KIB])
    async def test_a_request_that_is_cancelled(self, store: Store, arrived: int) -> None:
        """It lets go of the upload; what it holds is a beginning of what was sent, and can be continued."""
        data = content(2 * MIB)
        before = open_descriptors()
        body = Waiting(data[:arrived], data[arrived:])
        task = asyncio.create_task(store.uploads.append(KEY, 0, body.pieces(), "sha256"))
        await body.begun()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        size = await store.uploads.size(KEY)
        assert size <= arrived
        known = await append(store.uploads, data[size:], size)
        sealed = await store.uploads.seal(KEY, digest_of(data), known)
        assert await stored(store, digest_of(data), sealed) == data
        assert open_descriptors() == before

    @pytest.mark.parametrize("wait", [0.0, 0.0005, 0.002, 0.01])
    async def test_a_request_that_is_cancelled_while_it_writes(self, store: Store, wait: float) -> None:
        """At whatever moment: nothing is torn, nothing stays locked, and no other upload is touched."""
        data = content(8 * MIB)
        bystander = asyncio.create_task(append(store.uploads, data, 0, OTHER))
        task = asyncio.create_task(append(store.uploads, data, 0))
        await asyncio.sleep(wait)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        size = await store.uploads.size(KEY)
        known = await append(store.uploads, data[size:], size)
        await store.uploads.seal(KEY, digest_of(data), known)
        sealed = await store.uploads.seal(OTHER, digest_of(data), await bystander)
        assert await stored(store, digest_of(data), sealed) == data

    async def test_chunks_through_several_processes(self, open_store: OpenStore) -> None:
        """A client whose requests land here and there succeeds, and no process believes a hash that is behind."""
        stores = [open_store() for _ in range(3)]
        data = content(1_000_000)
        for number, start in enumerate(range(0, len(data), 90_000)):
            uploads = stores[(0, 1, 0, 2, 2, 1)[number % 6]].uploads
            await append(uploads, data[start : start + 90_000], start)
        assert {await store.uploads.size(KEY) for store in stores} == {len(data)}
        sealed = await stores[0].uploads.seal(KEY, digest_of(data), Progress(len(data), None))
        assert await stored(stores[2], digest_of(data), sealed) == data

    async def test_a_process_that_is_behind_does_not_seal_its_own_part(self, open_store: OpenStore) -> None:
        """It knows the hash of what it received itself; another process appended to that."""
        one, other = open_store(), open_store()
        await append(one.uploads, b"abc", 0)
        await append(other.uploads, b"def", 3)
        for believed in (None, Progress(6, None), Progress(3, None)):
            with pytest.raises(DigestInvalid):
                await one.uploads.seal(KEY, digest_of(b"abc"), believed)
        assert (await one.uploads.seal(KEY, digest_of(b"abcdef"))).size == 6

    async def test_sealed_once(self, open_store: OpenStore) -> None:
        """The second time the upload is unknown, in every process."""
        known = await append(open_store().uploads, b"once")
        await open_store().uploads.seal(KEY, digest_of(b"once"), known)
        for _ in range(2):
            with pytest.raises(UploadUnknown):
                await open_store().uploads.seal(KEY, digest_of(b"once"), known)

    async def test_one_of_many_seals(self, open_store: OpenStore) -> None:
        """16 finish the same upload at once: one wins, the others learn that it is gone or busy."""
        stores = [open_store() for _ in range(4)]
        data = content(400_000)
        known = await append(stores[0].uploads, data)
        ends = [stores[number % 4].uploads.seal(KEY, digest_of(data), known) for number in range(16)]
        results = await asyncio.gather(*ends, return_exceptions=True)
        won = [result for result in results if isinstance(result, Sealed)]
        assert len(won) == 1
        assert all(isinstance(result, Sealed | UploadUnknown | UploadBusy) for result in results)
        assert await stored(stores[1], digest_of(data), won[0]) == data

    async def test_one_of_many_first_chunks(self, open_store: OpenStore) -> None:
        """8 requests at the same place: the bytes of exactly one are there, whole."""
        stores = [open_store() for _ in range(2)]
        bodies = [bytes([number]) * 50_000 for number in range(8)]
        tries = [append(stores[number % 2].uploads, body, 0) for number, body in enumerate(bodies)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        winners = [body for body, result in zip(bodies, results, strict=True) if isinstance(result, Progress)]
        assert len(winners) == 1
        assert all(isinstance(result, Progress | UploadBusy | UploadRangeInvalid) for result in results)
        await stores[0].uploads.seal(KEY, digest_of(winners[0]), None)

    async def test_the_same_content_by_16_uploads_at_once(self, open_store: OpenStore) -> None:
        """All succeed, it is there once, and it is right."""
        stores = [open_store() for _ in range(2)]
        data = content(700_000)

        async def push(number: int) -> Sealed:
            uploads, key = stores[number % 2].uploads, upload_key(number)
            return await uploads.seal(key, digest_of(data), await append(uploads, data, 0, key))

        sealed = await asyncio.gather(*(push(number) for number in range(16)))
        assert len(set(sealed)) == 1
        assert [digest async for digest in stores[0].blobs.scan()] == [digest_of(data)]
        assert await stored(stores[0], digest_of(data), sealed[0]) == data

    async def test_32_uploads_at_once(self, store: Store) -> None:
        """Of different content, 1 MiB each."""
        contents = [content(MIB, seed) for seed in range(32)]

        async def push(number: int) -> Sealed:
            key, data = upload_key(number), contents[number]
            return await store.uploads.seal(key, digest_of(data), await append(store.uploads, data, 0, key))

        sealed = await asyncio.gather(*(push(number) for number in range(32)))
        for data, one in zip(contents, sealed, strict=True):
            assert await stored(store, digest_of(data), one) == data

    async def test_dropped_while_it_is_written(self, store: Store) -> None:
        """The writer comes to its end in some way, and the upload is gone afterwards."""
        body = Waiting(b"half", b"whole")
        writer = asyncio.create_task(store.uploads.append(KEY, 0, body.pieces(), "sha256"))
        await body.begun()
        await store.uploads.drop(KEY)
        body.go_on()
        with suppress(RegistryError):
            await writer
        assert await store.uploads.size(KEY) == 0
        with pytest.raises((UploadUnknown, DigestInvalid)):
            await store.uploads.seal(KEY, digest_of(b"halfwhole"), Progress(9, digest_of(b"halfwhole")))
