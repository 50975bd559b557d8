"""Files that become durable together: whole or not there, never in place of another, on filesystems that keep to it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest

from moorage.blobs import disk
from moorage.blobs.disk import is_settled_by_sync, sync_filesystem
from moorage.blobs.files import Files
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.layout import blob_location
from moorage.blobs.unsynced import UnsyncedFiles, open_unsynced
from moorage.core.digest import Digest, digest_of
from moorage.testing.blob_store import open_descriptors
from moorage.testing.streams import content, read_all
from tests.support.failing import Failing
from tests.support.programs import missing


@pytest.fixture
def root() -> Iterator[Path]:
    """In memory: whatever filesystem the tests run on, that one has nameless files."""
    with TemporaryDirectory(prefix="moorage-settling-", dir="/dev/shm") as folder:
        yield Path(folder)


def files_below(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_a_file_is_there_with_all_its_folders(root: Path) -> None:
    files = UnsyncedFiles(root, Files())
    path = root / "a/b/c/data"
    assert files.create(path, b"bytes")
    assert path.read_bytes() == b"bytes"
    assert path.stat().st_mode & 0o777 == 0o640
    files.settle()


def test_the_same_again_is_as_good(root: Path) -> None:
    files = UnsyncedFiles(root, Files())
    path = root / "a/data"
    assert files.create(path, b"bytes")
    inode = path.stat().st_ino
    assert files.create(path, b"bytes")
    assert path.stat().st_ino == inode


@pytest.mark.parametrize("other", [b"", b"byte", b"bytes and", b"bytfs"])
def test_other_bytes_stay(root: Path, other: bytes) -> None:
    """They may be durable, and ours would not be; who is told so writes them in the careful way."""
    files = UnsyncedFiles(root, Files())
    path = root / "a/data"
    path.parent.mkdir()
    path.write_bytes(other)
    assert not files.create(path, b"bytes")
    assert path.read_bytes() == other


class Facts:
    """What keeps small blobs meanwhile."""

    def __init__(self) -> None:
        self.rows: dict[Digest, bytes] = {}

    async def kept(self, digest: Digest) -> bytes | None:
        """Asked for a blob."""
        return self.rows.get(digest)


async def test_a_small_blob_has_no_file_until_it_settles(root: Path, executor: ThreadPoolExecutor) -> None:
    """The facts have it for whoever reads; afterwards the file, whose bytes are the same."""
    facts = Facts()
    blobs = FilesystemBlobs(root, executor, kept=facts.kept)
    digest = digest_of(b"bytes", "sha512")
    sealed = await blobs.put(digest, b"bytes", kept=True)
    assert sealed.content == b"bytes"
    assert files_below(root) == []
    facts.rows[digest] = sealed.content
    assert await read_all(await blobs.source(sealed.location, 5, 1, 4)) == b"yte"
    await blobs.settle([(digest, sealed.content)])
    assert files_below(root) == [root / sealed.location]
    facts.rows.clear()
    assert await read_all(await blobs.source(sealed.location, 5, 1, 4)) == b"yte"
    await blobs.settle([(digest, sealed.content)])
    assert files_below(root) == [root / sealed.location]


@pytest.mark.parametrize("damage", [b"", b"\0\0\0\0\0", b"bytes and"])
async def test_damage_is_mended_by_settling(root: Path, executor: ThreadPoolExecutor, damage: bytes) -> None:
    """What a loss of power left under the right name is neither read nor taken for the blob."""
    facts = Facts()
    blobs = FilesystemBlobs(root, executor, kept=facts.kept)
    digest = digest_of(b"bytes")
    sealed = await blobs.put(digest, b"bytes", kept=True)
    path = root / sealed.location
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    facts.rows[digest] = b"bytes"
    assert await read_all(await blobs.source(sealed.location, 5, 0, 5)) == b"bytes"
    await blobs.settle([(digest, b"bytes")])
    facts.rows.clear()
    assert path.read_bytes() == await read_all(await blobs.source(sealed.location, 5, 0, 5)) == b"bytes"


async def test_where_the_facts_keep_nothing_a_blob_has_its_file_at_once(
    root: Path, executor: ThreadPoolExecutor
) -> None:
    blobs = FilesystemBlobs(root, executor)
    sealed = await blobs.put(digest_of(b"bytes"), b"bytes", kept=True)
    assert sealed.content is None
    assert files_below(root) == [root / sealed.location]


async def test_where_files_cannot_wait_they_do_not(root: Path, executor: ThreadPoolExecutor) -> None:
    """Known with the first that settles; that one is stored all the same."""

    class Old(Files):
        def open_nameless(self, folder: Path) -> int:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    blobs = FilesystemBlobs(root, executor, Old(), Facts().kept)
    first = await blobs.put(digest_of(b"one"), b"one", kept=True)
    assert first.content == b"one"
    await blobs.settle([(digest_of(b"one"), b"one")])
    second = await blobs.put(digest_of(b"two"), b"two", kept=True)
    assert second.content is None
    assert [(root / sealed.location).read_bytes() for sealed in (first, second)] == [b"one", b"two"]


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_call_that_fails_leaves_nothing(root: Path, error: int) -> None:
    at = 0
    while True:
        at += 1
        top = root / str(at)
        top.mkdir()
        probe = Failing(at, error)
        files = UnsyncedFiles(top, Files(probe))
        before = open_descriptors()
        failed: list[int | None] = []
        try:
            files.create(top / "a/b/data", b"bytes")
        except OSError as refusal:
            failed.append(refusal.errno)
        if not probe.failed:
            break
        assert failed == [error]
        assert [path.read_bytes() for path in files_below(top)] in ([], [b"bytes"])
        assert open_descriptors() == before
        assert files.create(top / "a/b/data", b"bytes")
    assert at > 8


def test_many_at_once(root: Path) -> None:
    """One makes it, the others find it whole."""
    stores = [UnsyncedFiles(root, Files()) for _ in range(4)]
    data = content(16_000)
    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(lambda n: stores[n % 4].create(root / f"{n % 3}/x/data", data), range(300)))
    assert all(made)
    assert [path.read_bytes() for path in files_below(root)] == [data] * 3


@pytest.mark.parametrize("error", [errno.EOPNOTSUPP, errno.EISDIR])
def test_a_filesystem_without_nameless_files_is_asked_once(root: Path, error: int) -> None:
    asked: list[Path] = []

    class Old(Files):
        def open_nameless(self, folder: Path) -> int:
            asked.append(folder)
            raise OSError(error, os.strerror(error))

    files = UnsyncedFiles(root, Old())
    assert not files.create(root / "a/data", b"bytes")
    assert not files.create(root / "b/data", b"bytes")
    assert len(asked) == 1
    assert files_below(root) == []


async def test_what_waits_goes_to_no_other_filesystem(root: Path, tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    """Whoever mounts the right one again would find the blobs gone; and the sync is one of the right one."""
    if tmp_path.stat().st_dev == root.stat().st_dev:
        missing("a folder for temporary files that is not in /dev/shm")
    link, right, blobs_of = root / "link", root / "right", [(digest_of(b"bytes"), b"bytes")]
    right.mkdir()
    link.symlink_to(right)
    blobs = FilesystemBlobs(link, executor, kept=Facts().kept)
    for gone in (tmp_path, root / "nothing"):
        link.unlink()
        link.symlink_to(gone)
        assert list(await blobs.settle(blobs_of)) == [digest_of(b"bytes")]
        assert files_below(tmp_path) == []
    link.unlink()
    link.symlink_to(right)
    assert await blobs.settle(blobs_of) == {}
    assert files_below(root) == [right / blob_location(digest_of(b"bytes"))]


def test_nothing_is_made_above_the_root(root: Path) -> None:
    """A disk that is not mounted any more is no reason to fill the one below it."""
    top = root / "mounted"
    top.mkdir()
    files = UnsyncedFiles(top, Files())
    assert files.create(top / "a/data", b"1")
    (top / "a/data").unlink()
    (top / "a").rmdir()
    top.rmdir()
    with pytest.raises(FileNotFoundError):
        files.create(top / "a/data", b"1")
    assert not top.exists()


def test_a_sync_that_fails_says_so() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        sync_filesystem(-1)


@pytest.mark.parametrize(
    ("release", "trusted"),
    [
        ("5.8.0", True),
        ("5.10.0-28-amd64", True),
        ("6.1.0", True),
        ("10.0", True),
        ("5.7.19", False),
        ("4.18.0-553.el8", False),
        ("", False),
    ],
)
def test_only_a_linux_that_tells_of_failures(
    root: Path, monkeypatch: pytest.MonkeyPatch, release: str, trusted: bool
) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release=release))
    assert is_settled_by_sync(root) is trusted


@pytest.mark.parametrize(
    ("kind", "trusted"), [("ext4", True), ("xfs", True), ("nfs4", False), ("overlay", False), ("fuse.sshfs", False)]
)
def test_only_filesystems_of_a_local_disk(
    root: Path, monkeypatch: pytest.MonkeyPatch, kind: str, trusted: bool
) -> None:
    device = root.stat().st_dev
    table = root / "mountinfo"
    lines = [
        f"22 1 {os.major(device)}:{os.minor(device)} / / rw,relatime shared:1 - {kind} /dev/vda rw",
        "23 22 0:999 / /proc rw - proc proc rw",
    ]
    table.write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(disk, "MOUNTS", str(table))
    assert is_settled_by_sync(root) is trusted
    assert (open_unsynced(root, Files()) is not None) is trusted


def test_a_mount_that_is_not_listed_is_not_trusted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """btrfs gives its subvolumes devices of their own."""
    table = root / "mountinfo"
    table.write_text("23 22 0:999 / /proc rw - ext4 proc rw\n")
    monkeypatch.setattr(disk, "MOUNTS", str(table))
    assert not is_settled_by_sync(root)
    monkeypatch.setattr(disk, "MOUNTS", str(root / "none"))
    assert not is_settled_by_sync(root)
    assert open_unsynced(root / "none", Files()) is None
