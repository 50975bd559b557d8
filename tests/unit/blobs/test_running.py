"""Hashes of uploads under way."""

from __future__ import annotations

import pytest

from moorage.blobs import running
from moorage.blobs.running import RunningHashes
from moorage.core.digest import digest_of

LEFT = (7, 1, 1)
CHANGED = (7, 2, 2)


def begun(hashes: RunningHashes, key: str, data: bytes, algorithm: str = "sha256") -> None:
    hash_ = hashes.take(key, 0, algorithm, LEFT)
    assert hash_ is not None
    hash_.update(data)
    hashes.keep(key, hash_, LEFT)


def test_gone_on_with_where_it_stopped() -> None:
    hashes = RunningHashes()
    begun(hashes, "a", b"123")
    taken = hashes.take("a", 3, "sha256", LEFT)
    assert taken is not None
    taken.update(b"45")
    assert (taken.size, taken.digest()) == (5, digest_of(b"12345"))


def test_taken_once() -> None:
    hashes = RunningHashes()
    begun(hashes, "a", b"123")
    assert hashes.take("a", 3, "sha256", LEFT)
    assert hashes.take("a", 3, "sha256", LEFT) is None


@pytest.mark.parametrize("size", [2, 4])
def test_of_another_length_it_is_of_no_use(size: int) -> None:
    hashes = RunningHashes()
    begun(hashes, "a", b"123")
    assert hashes.take("a", size, "sha256", LEFT) is None


def test_from_the_beginning_there_is_always_one_of_the_right_algorithm() -> None:
    hashes = RunningHashes()
    begun(hashes, "a", b"", "sha256")
    taken = hashes.take("a", 0, "sha512", LEFT)
    assert taken is not None
    taken.update(b"x")
    assert taken.digest() == digest_of(b"x", "sha512")


def test_of_a_file_that_somebody_changed_it_is_of_no_use() -> None:
    hashes = RunningHashes()
    begun(hashes, "a", b"123")
    assert hashes.take("a", 3, "sha256", CHANGED) is None


def test_dropped_it_is_gone() -> None:
    hashes = RunningHashes()
    begun(hashes, "a", b"123")
    hashes.drop("a")
    hashes.drop("a")
    assert hashes.take("a", 3, "sha256", LEFT) is None


def test_the_oldest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MOST", 3)
    hashes = RunningHashes()
    for key in "abcd":
        begun(hashes, key, b"1")
    assert [hashes.take(key, 1, "sha256", LEFT) is not None for key in "abcd"] == [False, True, True, True]
