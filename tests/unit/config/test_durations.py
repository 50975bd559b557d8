from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.config.durations import has_unit, parse_duration, parse_size

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("168h", 168 * 3600 * SECOND),
        ("1h30m", 5400 * SECOND),
        ("1h15m30.918s", 4530 * SECOND + 918_000_000),
        ("500ms", SECOND // 2),
        ("1.5s", 3 * SECOND // 2),
        (".5s", SECOND // 2),
        ("1.s", SECOND),
        ("-1.5h", -5400 * SECOND),
        ("+5s", 5 * SECOND),
        ("1us", 1_000),
        ("1\u00b5s", 1_000),
        ("1\u03bcs", 1_000),
        ("7ns", 7),
        ("60", 60),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_what_go_reads_is_read(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    ["", "+", "-", "s", ".s", "h1", "3d", "1 h", "1h 30m", "1.5", "5S", "one hour", "1e3s", "--1s", "9" * 5000, "٣s"],
)
def test_what_go_does_not_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_duration(text)


def test_longer_than_go_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="292 years"):
        parse_duration("9223372036854775808")
    with pytest.raises(ValueError, match="292 years"):
        parse_duration("3000000h")


def test_days_are_explained() -> None:
    with pytest.raises(ValueError, match="a day is 24h"):
        parse_duration("7d")


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_parts_add_up(hours: int, minutes: int, seconds: int, millis: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s{millis}ms"
    assert parse_duration(text) == ((hours * 60 + minutes) * 60 + seconds) * SECOND + millis * 1_000_000


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert abs(parse_duration(text)) < 2**63


def test_a_unit_is_missed_only_where_it_matters() -> None:
    assert has_unit("5s")
    assert has_unit("0")
    assert not has_unit("60")


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("4194304", 4 << 20), ("4MiB", 4 << 20), ("4 mib", 4 << 20), ("8KiB", 8192), ("1GiB", 1 << 30)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "4MB", "4M", "-1", "1.5MiB", "MiB", "9" * 16, "4  MiB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)
