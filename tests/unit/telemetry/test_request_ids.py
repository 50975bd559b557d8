"""Request ids: unique, cheap, and no way into the log for strangers."""

from __future__ import annotations

import pytest

from moorage.telemetry.request_ids import RequestIds


def test_ids_of_one_process_are_distinct() -> None:
    ids = RequestIds()
    assert len({ids.new() for _ in range(5000)}) == 5000


def test_ids_of_two_processes_differ_in_their_random_part() -> None:
    assert RequestIds().new()[:16] != RequestIds().new()[:16]


def test_the_random_part_is_asked_for_and_kept() -> None:
    ids = RequestIds(random=lambda size: bytes(range(size)))
    assert [ids.new(), ids.new()] == ["000102030405060700000001", "000102030405060700000002"]


@pytest.mark.parametrize("good", ["a", "A-b_c.9", "x" * 64])
def test_a_fit_id_is_taken_over(good: str) -> None:
    ids = RequestIds()
    assert ids.choose(good) == good
    assert ids.choose(good.encode()) == good


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "x" * 65,
        "a b",
        "a\n",
        "a\nb",
        'a"b',
        "ä",
        "a;b",
        "a\x00",
        "\u0661",
        b"\xff",
        b"a\r\nSet-Cookie: x",
    ],
)
def test_an_unfit_id_is_replaced(bad: str | bytes) -> None:
    chosen = RequestIds().choose(bad)
    assert chosen != bad
    assert len(chosen) == 24


def test_none_is_replaced() -> None:
    assert len(RequestIds().choose(None)) == 24
