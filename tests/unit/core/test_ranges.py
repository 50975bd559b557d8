"""`Range` and `Content-Range`: compared with a second, plain reading of the rules."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.core.errors import RangeNotSatisfiable, UploadInvalid
from moorage.core.ranges import MAX_RANGE_HEADER, MAX_RANGES, parse_chunk_range, parse_range

SIZES = st.integers(0, 50)
NUMBERS = st.integers(0, 60)
PARTS = st.one_of(
    st.tuples(NUMBERS, NUMBERS).map(lambda pair: f"{min(pair)}-{max(pair)}"),
    NUMBERS.map(lambda first: f"{first}-"),
    NUMBERS.map(lambda last: f"-{last}"),
)


def wanted(part: str, size: int) -> set[int]:
    """The places in the content that one part names (RFC 9110 section 14.1.2)."""
    first, _, last = part.partition("-")
    if not first:
        return set(range(max(0, size - int(last)), size))
    return set(range(int(first), min(size, int(last) + 1 if last else size)))


@given(SIZES, st.lists(PARTS, min_size=1, max_size=6), st.sampled_from(["", " ", "\t", " \t "]))
def test_the_spans_are_what_the_parts_name(size: int, parts: list[str], blank: str) -> None:
    header = "bytes=" + ",".join(f"{blank}{part}{blank}" for part in parts)
    places = [wanted(part, size) for part in parts]
    if not any(places):
        with pytest.raises(RangeNotSatisfiable) as refused:
            parse_range(header, size)
        assert refused.value.headers == (("content-range", f"bytes */{size}"),)
        return
    spans = parse_range(header, size)
    satisfiable = [place for place in places if place]
    if len(satisfiable) > 1 and sum(len(place) for place in satisfiable) > size:
        assert spans is None, "more than the content would be sent"
    else:
        assert spans is not None
        assert [set(range(*span)) for span in spans] == satisfiable
        assert all(0 <= start < stop <= size for start, stop in spans)


@given(st.text(alphabet="bytes=0123-, \t+_x\u0660", max_size=30), SIZES)
def test_whatever_is_written_gives_spans_within_the_content_or_none(header: str, size: int) -> None:
    for text in (header, f"bytes={header}"):
        try:
            spans = parse_range(text, size)
        except RangeNotSatisfiable:
            continue
        assert spans is None or spans
        assert all(0 <= start < stop <= size for start, stop in spans or [])


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-", [(0, 100)]),
        ("bytes=99-", [(99, 100)]),
        ("bytes=50-1000", [(50, 100)]),
        ("bytes=-1", [(99, 100)]),
        ("bytes=-1000", [(0, 100)]),
        ("BYTES=1-2", [(1, 3)]),
        ("bytes =1-2", [(1, 3)]),
        ("bytes= 1-2 , 5-6", [(1, 3), (5, 7)]),
        ("bytes=5-6,1-2", [(5, 7), (1, 3)]),
        ("bytes=0-9,200-300", [(0, 10)]),
        ("bytes=0-99999999999999999", [(0, 100)]),
        ("bytes=50-" + "9" * 20, [(50, 100)]),
        ("bytes=50-" + "9" * 4000, [(50, 100)]),
        ("bytes=-" + "9" * 4000, [(0, 100)]),
        ("bytes=" + "0" * 4000 + "7-", [(7, 100)]),
    ],
)
def test_ranges(header: str, spans: list[tuple[int, int]]) -> None:
    assert parse_range(header, 100) == spans


@pytest.mark.parametrize(
    "header",
    ["", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=a-b", "bytes=1", "bytes=1-2,", "items=0-5", "bytes=+1-5",
     "bytes=1_0-20", "bytes=0x1-5", "bytes=\u0661-\u0662", "bytes=1.5-2", "bytes=1--2", "bytes=--1",
     "bytes=1-2-3", "bytes=0-5;",
     "=0-5", "bytes=" + "9" * 5000 + "-"],
)  # fmt: skip
def test_what_cannot_be_read_is_ignored(header: str) -> None:
    assert parse_range(header, 100) is None


@pytest.mark.parametrize(
    "header",
    ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=500-0", "bytes=9-3", "bytes=200-,300-", f"bytes={'9' * 30}-"],
)
def test_what_lies_outside_is_told(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as refused:
        parse_range(header, 100)
    assert refused.value.status == 416


def test_of_nothing_no_byte_can_be_had() -> None:
    for header in ("bytes=0-", "bytes=0-0", "bytes=-1"):
        with pytest.raises(RangeNotSatisfiable):
            parse_range(header, 0)


def test_many_ranges_are_answered_whole_and_at_once() -> None:
    """CVE-2025-62727: no header makes us count for long."""
    many = "bytes=" + ",".join(f"{number}-{number}" for number in range(MAX_RANGES))
    spans = parse_range(many, 1000)
    assert spans is not None
    assert len(spans) == MAX_RANGES
    begun = time.process_time()
    for header in (
        "bytes=" + ",".join(["0-1"] * 10_000),
        "bytes=" + "0-1," * 10_000,
        "bytes=" + " " * 100_000,
        "bytes=" + "0" * 100_000,
        "bytes=" + ",".join(["0-"] * (MAX_RANGES + 1)),
        "bytes=" + " \t" * (MAX_RANGE_HEADER // 2 - 10) + "x",
    ):
        assert parse_range(header, 1000) is None
    assert time.process_time() - begun < 0.1


@given(
    st.integers(0, 10**18),
    st.integers(0, 10**18),
    st.sampled_from(["{}-{}", "bytes {}-{}/*", "bytes={}-{}", "bytes {}-{}/99", " {}-{} "]),
)
def test_the_place_of_a_chunk(first: int, length: int, form: str) -> None:
    assert parse_chunk_range(form.format(first, first + length)) == (first, first + length + 1)


@pytest.mark.parametrize(
    "header",
    ["", "-", "0-", "-5", "5", "5-3", "a-b", "0-5,6-7", "bytes 0-5,6-9", "bytes */5", "+0-5", "0-5\n0", "0 - 5",
     "\u0660-\u0665", "0-5/", "1_0-20", "0-" + "9" * 20, "bytes  0-5", "0-5/x", "octets 0-5"],
)  # fmt: skip
def test_no_place_of_a_chunk(header: str) -> None:
    with pytest.raises(UploadInvalid) as refused:
        parse_chunk_range(header)
    assert refused.value.status == 400
