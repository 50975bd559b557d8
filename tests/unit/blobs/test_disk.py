"""What the filesystem backends do with the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moorage.blobs.disk import drop_written, is_cached, make_directories, names, open_whole, size_of
from moorage.blobs.files import Files
from moorage.core.errors import Unavailable
from moorage.testing.blob_store import open_descriptors
from tests.support.failing import Failing


def test_new_directories_are_durable_in_their_parents(tmp_path: Path) -> None:
    synced: list[Path] = []

    class Watched(Files):
        def sync_directory(self, path: Path) -> None:
            synced.append(path)
            super().sync_directory(path)

    files = Watched()
    make_directories(files, tmp_path, tmp_path / "a/b/c")
    assert (tmp_path / "a/b/c").is_dir()
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a/b"]
    make_directories(files, tmp_path, tmp_path / "a/b/c")
    assert len(synced) == 3, "what is known to be durable is not synced again"
    make_directories(files, tmp_path, tmp_path)
    assert len(synced) == 3


def test_a_directory_that_was_removed_is_made_again(tmp_path: Path) -> None:
    files = Files()
    make_directories(files, tmp_path, tmp_path / "a")
    (tmp_path / "a").rmdir()
    make_directories(files, tmp_path, tmp_path / "a")
    assert (tmp_path / "a").is_dir()


def test_a_directory_whose_sync_failed_is_synced_the_next_time(tmp_path: Path) -> None:
    probe = Failing(3)  # mkdir, mkdir-done, fsync-directory
    files = Files(probe)
    with pytest.raises(OSError, match="fsync-directory"):
        make_directories(files, tmp_path, tmp_path / "a")
    probe.points.clear()
    probe.at = 0
    make_directories(files, tmp_path, tmp_path / "a")
    assert "fsync-directory-done" in probe.points


def test_names_are_in_order_and_none_where_there_is_nothing(tmp_path: Path) -> None:
    for name in ("b", "a", "_", "B"):
        (tmp_path / name).touch()
    assert names(tmp_path) == ["B", "_", "a", "b"]
    assert names(tmp_path / "none") == []
    assert names(tmp_path / "a") == []


def test_sizes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    assert size_of(tmp_path / "a") == 3
    assert size_of(tmp_path / "none") is None


def test_what_was_just_written_is_in_the_page_cache(tmp_path: Path) -> None:
    """Some filesystems cannot tell (then it is "no"); past the end there is nothing in any."""
    (tmp_path / "a").write_bytes(b"123")
    descriptor = os.open(tmp_path / "a", os.O_RDONLY)
    try:
        assert is_cached(descriptor, 0) in (True, False)
        assert not is_cached(descriptor, 1_000_000)
    finally:
        os.close(descriptor)


def test_a_file_of_the_wrong_length_is_not_left_open(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    before = open_descriptors()
    for _ in range(20):
        with pytest.raises(Unavailable):
            open_whole(str(tmp_path / "a"), 4)
    assert open_descriptors() == before


def test_dropping_keeps_the_bytes(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        os.write(descriptor, b"x" * 100_000)
        drop_written(descriptor, 4096, 50_000)
        assert os.pread(descriptor, 200_000, 0) == b"x" * 100_000
    finally:
        os.close(descriptor)


def test_a_disk_that_cannot_write_is_told(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        drop_written(descriptor, 0, 10)
