"""The wrapper around any backend: what reaches it is safe, and what leaves it has a meaning."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from typing import Any

import pytest

from moorage.blobs.checked import CheckedBlobs, CheckedUploads
from moorage.core.digest import Digest, digest_of
from moorage.core.errors import DigestInvalid, RegistryError, StorageFull, Unavailable, UploadBusy, UploadUnknown
from moorage.testing.fakes import upload_key
from moorage.testing.streams import pieces

KEY, DIGEST = upload_key(1), digest_of(b"x")


class Backend:
    """Raises what it is told to, whatever is asked; remembers what that was."""

    def __init__(self, error: BaseException | None = None, found: Any = None) -> None:
        self.error = error
        self.found = found
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        async def answer(*_: object, **__: object) -> Any:
            self.asked.append(name)
            if self.error is not None:
                raise self.error
            return self.found

        return answer


def calls(backend: Any, key: str = KEY, digest: str = DIGEST) -> dict[str, Any]:
    blobs, uploads = CheckedBlobs(backend), CheckedUploads(backend)
    wanted = Digest(digest)
    return {
        "stat": lambda: blobs.stat(wanted),
        "put": lambda: blobs.put(wanted, b"x"),
        "delete": lambda: blobs.delete(wanted),
        "source": lambda: blobs.source("somewhere", 5, 0, 5),
        "append": lambda: uploads.append(key, None, pieces(b"x"), "sha256"),
        "seal": lambda: uploads.seal(key, wanted),
        "size": lambda: uploads.size(key),
        "drop": lambda: uploads.drop(key),
        "stale": lambda: uploads.stale(0.0, 5),
    }


@pytest.mark.parametrize("call", calls(Backend()))
@pytest.mark.parametrize(
    ("number", "meaning"),
    [(errno.EIO, Unavailable), (errno.EROFS, Unavailable), (errno.EMFILE, Unavailable), (errno.ESTALE, Unavailable),
     (errno.ENOENT, Unavailable), (errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EFBIG, StorageFull)],
)  # fmt: skip
async def test_what_a_disk_says(call: str, number: int, meaning: type[RegistryError]) -> None:
    """Never "absent": a 404 would make clients upload again and policies delete."""
    if call == "source":
        meaning = Unavailable  # reading takes no room
    cause = OSError(number, "secret path")
    with pytest.raises(meaning) as raised:
        await calls(Backend(cause))[call]()
    assert raised.value.__cause__ is cause
    assert "secret" not in raised.value.message


@pytest.mark.parametrize("call", calls(Backend()))
async def test_what_has_a_meaning_already_keeps_it(call: str) -> None:
    with pytest.raises(UploadBusy):
        await calls(Backend(UploadBusy()))[call]()


@pytest.mark.parametrize("call", ["append", "seal", "size", "drop"])
@pytest.mark.parametrize(
    "key", ["", "x", "../../../etc/passwd", KEY + "\n", KEY.replace("-", "/"), "\0" * 36, KEY[:-1] + "A"]
)
async def test_no_other_key_reaches_a_backend(call: str, key: str) -> None:
    backend = Backend()
    with pytest.raises(UploadUnknown):
        await calls(backend, key=key)[call]()
    assert backend.asked == []


@pytest.mark.parametrize("call", ["stat", "put", "delete", "seal"])
@pytest.mark.parametrize("digest", ["", "sha256:..", "sha256:" + "/" * 64, DIGEST + "\n", "md5:" + "0" * 32])
async def test_no_other_digest_reaches_a_backend(call: str, digest: str) -> None:
    backend = Backend()
    with pytest.raises(DigestInvalid):
        await calls(backend, digest=digest)[call]()
    assert backend.asked == []


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (3, 2), (0, 6), (6, 6)])
async def test_a_span_outside_is_a_bug_of_the_caller(start: int, stop: int) -> None:
    backend: Any = Backend()
    with pytest.raises(ValueError, match="5"):
        await CheckedBlobs(backend).source("somewhere", 5, start, stop)
    assert backend.asked == []


@pytest.mark.parametrize("failing", [False, True])
async def test_durations_are_told_whatever_happens(failing: bool) -> None:
    told: list[tuple[str, float]] = []
    backend: Any = Backend(OSError(5, "x") if failing else None, found=[])

    def observe(action: str, seconds: float) -> None:
        told.append((action, seconds))

    blobs, uploads = CheckedBlobs(backend, observe), CheckedUploads(backend, observe)
    for call in (
        blobs.stat(DIGEST), blobs.put(DIGEST, b""), blobs.delete(DIGEST), blobs.source("x", 1, 0, 1),
        uploads.append(KEY, 0, pieces(b""), "sha256"), uploads.seal(KEY, DIGEST), uploads.size(KEY), uploads.drop(KEY),
        uploads.stale(0, 1),
    ):  # fmt: skip
        try:
            await call
        except Unavailable:
            assert failing
    names = ["stat", "put", "delete", "source", "append", "seal", "size", "drop", "stale"]
    assert [action for action, _ in told] == names
    assert all(seconds >= 0 for _, seconds in told)


async def test_a_scan_gives_digests_only() -> None:
    class Listing(Backend):
        async def scan(self, after: str = "") -> AsyncIterator[Digest]:
            for text in ("sha256:short", DIGEST, "README", "sha512:" + "0" * 64):
                yield Digest(text)

    backend: Any = Listing()
    assert [digest async for digest in CheckedBlobs(backend).scan()] == [DIGEST]


async def test_stale_uploads_are_keys_only() -> None:
    backend: Any = Backend(found=["stray", KEY, "../x"])
    assert await CheckedUploads(backend).stale(0.0, 5) == [KEY]
