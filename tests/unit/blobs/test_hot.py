"""The small blobs in memory: a fixed sum, the least used out first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from moorage.blobs.hot import HotBlobs


def test_kept_until_forgotten() -> None:
    hot = HotBlobs(100)
    assert hot.get("a") is None
    hot.keep("a", b"1")
    assert hot.get("a") == b"1"
    hot.forget("a")
    hot.forget("a")
    assert hot.get("a") is None


def test_the_least_used_goes_first() -> None:
    hot = HotBlobs(30)
    for name in "abc":
        hot.keep(name, b"x" * 10)
    assert hot.get("a")
    hot.keep("d", b"x" * 10)
    assert [hot.get(name) is not None for name in "abcd"] == [True, False, True, True]


def test_kept_twice_counts_once() -> None:
    hot = HotBlobs(20)
    for _ in range(5):
        hot.keep("a", b"x" * 10)
    hot.keep("b", b"x" * 10)
    assert hot.get("a")
    assert hot.get("b")


def test_an_empty_blob_is_a_blob() -> None:
    hot = HotBlobs(10)
    hot.keep("a", b"")
    assert hot.get("a") == b""


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40), st.booleans()), max_size=60))
def test_never_more_than_the_budget(steps: list[tuple[str, int, bool]]) -> None:
    hot = HotBlobs(100)
    for name, size, keep in steps:
        hot.keep(name, b"x" * size) if keep else hot.forget(name)
        held = sum(len(data) for data in hot._kept.values())
        assert held <= 100
        assert hot._room == 100 - held
