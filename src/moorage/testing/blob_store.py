"""What every `BlobStore` promises, as tests.

A backend's author inherits from `BlobStoreContract` and gives the fixture `open_store`; pytest does the rest:

    class TestMine(BlobStoreContract):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: Store(MyBlobs(tmp_path), MyUploads(tmp_path))

`open_store` may be called several times in a test. Each call is another process over the same bytes; a backend that
lives in one process gives the same store again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from moorage.blobs.ports import BlobStore, Chunks, UploadStore
from moorage.core.digest import Digest, digest_of
from moorage.core.errors import Unavailable
from moorage.testing.streams import content, read_all

KIB = 1024
MIB = 1024 * KIB

CONTENTS = {
    "nothing": b"",
    "one byte": b"\0",
    "short": b"hello\n",
    "every byte": bytes(range(256)) * 3,
    "no UTF-8": b"\xff\xfe\xc3\x28\xed\xa0\x80\r\n\0\xf0\x28\x8c\xbc",
    "256 KiB": content(256 * KIB),
    "a byte more than 256 KiB": content(256 * KIB + 1),
    "3 MiB and some": content(3 * MIB + 17),
}


@dataclass(frozen=True, slots=True)
class Store:
    """Both ports of one backend, in one process."""

    blobs: BlobStore
    uploads: UploadStore


OpenStore = Callable[[], Store]


@pytest.mark.asyncio
class BlobStoreContract:
    """Finished blobs. See the module for how to use it."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Gives the backend under test; to be overridden."""
        raise NotImplementedError

    @pytest.fixture
    def blobs(self, open_store: OpenStore) -> BlobStore:
        """The store of one process."""
        return open_store().blobs

    @pytest.mark.parametrize("data", CONTENTS.values(), ids=CONTENTS.keys())
    @pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
    async def test_content_is_given_back_as_it_came(self, blobs: BlobStore, data: bytes, algorithm: str) -> None:
        """Empty, short, long, and what is no text."""
        digest = digest_of(data, algorithm)
        sealed = await blobs.put(digest, data)
        assert sealed.size == len(data)
        assert await blobs.stat(digest) == len(data)
        assert await read_all(await blobs.source(sealed.location, len(data), 0, len(data))) == data

    async def test_a_location_fits_in_the_facts(self, blobs: BlobStore) -> None:
        """It is kept in a column of text; two blobs never share one."""
        locations = {(await blobs.put(digest_of(data), data)).location for data in (b"a", b"b", b"c")}
        assert len(locations) == 3
        assert all(location and location.isprintable() for location in locations)

    async def test_an_unknown_blob_is_none(self, blobs: BlobStore) -> None:
        """Absent is an answer, not an error."""
        await blobs.put(digest_of(b"another"), b"another")
        assert await blobs.stat(digest_of(b"never seen")) is None

    @pytest.mark.parametrize("size", [1, 7, 1000, 256 * KIB, MIB + 7])
    async def test_ranges(self, blobs: BlobStore, size: int) -> None:
        """From the first byte, to the last one, none at all, across pieces."""
        data = content(size)
        location = (await blobs.put(digest_of(data), data)).location
        chance = random.Random(size)  # noqa: S311 - content for tests, no secret
        spans = [(0, 1), (0, size), (size - 1, size), (0, 0), (size, size), (size // 2, size // 2)]
        for _ in range(30):
            start, stop = sorted(chance.randint(0, size) for _ in range(2))
            spans.append((start, stop))
        for start, stop in spans:
            assert await read_all(await blobs.source(location, size, start, stop)) == data[start:stop], (start, stop)

    async def test_pieces_are_neither_empty_nor_huge(self, blobs: BlobStore) -> None:
        """What is sent piece by piece costs a piece of memory; an empty one would end a chunked answer."""
        data = content(5 * MIB)
        source = await blobs.source((await blobs.put(digest_of(data), data)).location, len(data), 0, len(data))
        if isinstance(source, Chunks):
            sizes = [len(piece) async for piece in source.pieces]
            assert min(sizes) > 0
            assert max(sizes) <= MIB

    async def test_bytes_that_are_not_there_are_the_storages_fault(self, blobs: BlobStore) -> None:
        """The facts said they are: 503, never 404."""
        for data in (b"gone", content(MIB)):
            location = (await blobs.put(digest_of(data), data)).location
            await blobs.delete(digest_of(data))
            with pytest.raises(Unavailable):
                await read_all(await blobs.source(location, len(data), 0, len(data)))

    @pytest.mark.parametrize("wrong", [-1, 1, 300 * KIB])
    async def test_bytes_of_another_length_are_not_served(self, blobs: BlobStore, wrong: int) -> None:
        """A file that was cut (or grew) is damage; it must not go out as 200 with full length."""
        data = content(MIB)
        location = (await blobs.put(digest_of(data), data)).location
        size = len(data) + wrong
        with pytest.raises(Unavailable):
            await read_all(await blobs.source(location, size, 0, size))

    async def test_a_source_that_is_left_early_holds_nothing(self, blobs: BlobStore) -> None:
        """Clients leave: before the first piece, after it, at the end. No descriptor stays open."""
        data = content(2 * MIB)
        location = (await blobs.put(digest_of(data), data)).location
        before = open_descriptors()
        for taken in (0, 1, 3, 1000):
            source = await blobs.source(location, len(data), 0, len(data))
            if not isinstance(source, Chunks):
                return
            for _ in range(taken):
                if await anext(source.pieces, None) is None:
                    break
            await source.pieces.aclose()  # type: ignore[attr-defined]
            del source
        assert open_descriptors() == before

    async def test_put_twice_is_no_error(self, blobs: BlobStore) -> None:
        """The same content at the same place."""
        data = content(10_000)
        first = await blobs.put(digest_of(data), data)
        assert await blobs.put(digest_of(data), data) == first
        assert await read_all(await blobs.source(first.location, len(data), 0, len(data))) == data

    async def test_the_same_content_from_many_at_once(self, open_store: OpenStore) -> None:
        """Whoever reads in between sees all of it or nothing."""
        data = content(300 * KIB)
        digest = digest_of(data)
        stores = [open_store().blobs for _ in range(4)]

        async def put_and_read(blobs: BlobStore) -> None:
            sealed = await blobs.put(digest, data)
            assert await read_all(await blobs.source(sealed.location, len(data), 0, len(data))) == data

        await asyncio.gather(*(put_and_read(stores[number % 4]) for number in range(32)))
        assert [found async for found in stores[0].scan()] == [digest]

    async def test_32_writers(self, blobs: BlobStore) -> None:
        """Of different content; each finds its own again."""
        contents = [content(200 * KIB, seed) for seed in range(32)]
        sealed = await asyncio.gather(*(blobs.put(digest_of(data), data) for data in contents))
        for data, one in zip(contents, sealed, strict=True):
            assert await read_all(await blobs.source(one.location, len(data), 0, len(data))) == data

    async def test_10_readers(self, blobs: BlobStore) -> None:
        """Of one large blob at the same time, each from its own place."""
        data = content(8 * MIB)
        location = (await blobs.put(digest_of(data), data)).location

        async def read(start: int) -> bool:
            return await read_all(await blobs.source(location, len(data), start, len(data))) == data[start:]

        assert all(await asyncio.gather(*(read(number * 700_001) for number in range(10))))

    async def test_deleted_is_gone(self, blobs: BlobStore) -> None:
        """And nothing else; doing it twice is no error, nor is deleting what was never there."""
        kept, gone = digest_of(b"kept"), digest_of(b"gone")
        location = (await blobs.put(kept, b"kept")).location
        await blobs.put(gone, b"gone")
        await blobs.delete(gone)
        await blobs.delete(gone)
        await blobs.delete(digest_of(b"never seen"))
        assert await blobs.stat(gone) is None
        assert [digest async for digest in blobs.scan()] == [kept]
        assert await read_all(await blobs.source(location, 4, 0, 4)) == b"kept"

    async def test_what_was_deleted_can_come_again(self, blobs: BlobStore) -> None:
        """No memory of "it is there" may swallow the second upload."""
        for data in (b"again", content(MIB)):
            await blobs.put(digest_of(data), data)
            await blobs.delete(digest_of(data))
            location = (await blobs.put(digest_of(data), data)).location
            assert await blobs.stat(digest_of(data)) == len(data)
            assert await read_all(await blobs.source(location, len(data), 0, len(data))) == data

    async def test_a_reader_is_not_given_other_bytes_when_its_blob_is_deleted(self, blobs: BlobStore) -> None:
        """It reads to the end, or is told that it cannot."""
        data = content(3 * MIB)
        source = await blobs.source((await blobs.put(digest_of(data), data)).location, len(data), 0, len(data))
        await blobs.delete(digest_of(data))
        with suppress(Unavailable):
            assert await read_all(source) == data

    async def test_scan_is_in_order_and_goes_on_after_any_digest(self, blobs: BlobStore) -> None:
        """Of both algorithms; page by page it gives the same as at once."""
        contents = [content(20, seed) for seed in range(40)]
        algorithms = ["sha256" if number % 3 else "sha512" for number in range(40)]
        digests = [digest_of(data, name) for data, name in zip(contents, algorithms, strict=True)]
        for data, digest in zip(contents, digests, strict=True):
            await blobs.put(digest, data)
        assert [digest async for digest in blobs.scan()] == sorted(digests)
        for after in digests:
            assert [digest async for digest in blobs.scan(after)] == sorted(d for d in digests if d > after)
        await blobs.delete(digests[5])
        assert [digest async for digest in blobs.scan(digests[5])] == sorted(d for d in digests if d > digests[5])

    async def test_scan_of_nothing(self, blobs: BlobStore) -> None:
        """A new store has nothing and says so."""
        assert [digest async for digest in blobs.scan()] == []

    async def test_scan_survives_changes_meanwhile(self, blobs: BlobStore) -> None:
        """What was there all the time is listed, whatever comes and goes."""
        steady: list[Digest] = []
        for seed in range(30):
            data = content(16, seed)
            await blobs.put(digest_of(data), data)
            steady.append(digest_of(data))
        seen: list[Digest] = []
        number = 100
        async for digest in blobs.scan():
            seen.append(digest)
            number += 1
            data = content(16, number)
            if number < 140:
                await blobs.put(digest_of(data), data)
            if number % 2:
                await blobs.delete(digest_of(data))
        assert set(steady) <= set(seen)
        assert seen == sorted(set(seen))

    async def test_another_process_sees_it(self, open_store: OpenStore) -> None:
        """What one stored the other serves, and what one deleted the other does not find."""
        one, other = open_store().blobs, open_store().blobs
        data = content(MIB)
        location = (await one.put(digest_of(data), data)).location
        assert await other.stat(digest_of(data)) == len(data)
        assert await read_all(await other.source(location, len(data), 0, len(data))) == data
        await other.delete(digest_of(data))
        assert await one.stat(digest_of(data)) is None


def open_descriptors() -> int:
    """How many files this process has open, where the system tells; else 0."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0
