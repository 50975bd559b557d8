"""Requests: headers, queries and bodies are read once and to the letter."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.core.errors import RequestTimeout, UploadInterrupted
from moorage.http.request import MAX_PARAMETERS, BadQuery, parse_query
from tests.support.requests import body, request

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=8)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6))
def test_a_query_that_was_quoted_is_read_back(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in pairs)
    assert parse_query(query.encode()) == pairs


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        (b"", []),
        (b"n=5", [("n", "5")]),
        (b"n=", [("n", "")]),
        (b"n", [("n", "")]),
        (b"=5", [("", "5")]),
        (b"a=b=c", [("a", "b=c")]),
        (b"a;b=c", [("a;b", "c")]),
        (b"artifactType=application/vnd.x+json", [("artifactType", "application/vnd.x+json")]),
        (b"artifactType=application%2Fvnd.x%2Bjson", [("artifactType", "application/vnd.x+json")]),
        (b"a=%zz", [("a", "%zz")]),
        (b"a=1&a=2&a=1", [("a", "1"), ("a", "2"), ("a", "1")]),
        (b"a&&b", [("a", ""), ("", ""), ("b", "")]),
        (b"a=%00", [("a", "\0")]),
        (b"N=1", [("N", "1")]),
        ("a=é".encode(), [("a", "é")]),
    ],
)
def test_queries(query: bytes, pairs: list[tuple[str, str]]) -> None:
    """`+` stays a plus: it stands in media types, and no blank stands anywhere."""
    assert parse_query(query) == pairs


@pytest.mark.parametrize("query", [b"a=%ff", b"%c3=1", b"a=\xff", b"a=%ed%a0%80", b"a=%c0%af"])
def test_what_is_no_utf_8_is_refused(query: bytes) -> None:
    with pytest.raises(BadQuery) as refused:
        parse_query(query)
    assert refused.value.status == 400


def test_so_many_parameters_and_no_more() -> None:
    assert len(parse_query(b"&".join([b"tag=v"] * MAX_PARAMETERS))) == MAX_PARAMETERS
    with pytest.raises(BadQuery):
        parse_query(b"&".join([b"tag=v"] * (MAX_PARAMETERS + 1)))
    with pytest.raises(BadQuery):
        parse_query(b"&" * 1_000_000)


def test_a_parameter_that_is_given_twice() -> None:
    """The same value twice is what regclient sends after a retry; two values are nobody's intention."""
    assert request(query=b"digest=a&digest=a").value("digest") == "a"
    assert request(query=b"digest=a").value("other") is None
    with pytest.raises(BadQuery, match="digest"):
        request(query=b"digest=a&digest=b").value("digest")
    assert request(query=b"tag=a&x=1&tag=b").values("tag") == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "length"),
    [
        ("0", 0),
        ("17", 17),
        ("", None),
        ("-1", None),
        ("+5", None),
        ("1_0", None),
        (" 5", None),
        ("5x", None),
        ("9" * 19, None),
    ],
)
def test_the_announced_length(value: str, length: int | None) -> None:
    assert request(headers={"Content-Length": value}).content_length() == length
    assert request().content_length() is None


def test_several_lines_of_a_list_are_one_and_of_anything_else_the_last_counts() -> None:
    lines = [("Cookie", "a=1"), ("Range", "bytes=0-1"), ("Cookie", "b=2"), ("X-Forwarded-For", "a"), ("Range", "x")]
    read = request(headers=[*lines, ("X-Forwarded-For", "b, c")])
    assert read.header(b"cookie") == "a=1; b=2"
    assert read.header(b"x-forwarded-for") == "a, b, c"
    assert read.header(b"range") == "x"


async def test_a_body_in_pieces() -> None:
    one = request(messages=body(b"a", b"", b"bc", b"d"))
    assert [piece async for piece in one.body()] == [b"a", b"bc", b"d"]
    assert (one.received, one.complete) == (4, True)
    assert [piece async for piece in one.body()] == [], "it is taken once"


@pytest.mark.parametrize("messages", [body(), body(b""), [{"type": "http.request"}]])
async def test_no_body(messages: list[dict[str, object]]) -> None:
    one = request(messages=messages or None)
    assert [piece async for piece in one.body()] == []
    assert one.complete


async def test_a_client_that_leaves() -> None:
    half: dict[str, Any] = {"type": "http.request", "body": b"half", "more_body": True}
    one = request(messages=[half, {"type": "http.disconnect"}])
    pieces = one.body()
    assert await anext(pieces) == b"half"
    with pytest.raises(UploadInterrupted):
        await anext(pieces)
    assert not one.complete


async def test_a_body_that_stands_still() -> None:
    one = request(messages=[{"type": "http.request", "body": b"half", "more_body": True}], idle=0.01)
    pieces = one.body()
    assert await anext(pieces) == b"half"
    with pytest.raises(RequestTimeout) as refused:
        await anext(pieces)
    assert refused.value.status == 408


@pytest.mark.parametrize(
    ("route", "code", "resumed"),
    [
        ("upload", "BLOB_UPLOAD_INVALID", True),
        ("uploads", "BLOB_UPLOAD_INVALID", False),
        ("manifest", "MANIFEST_INVALID", False),
        ("other", "UNSUPPORTED", False),
    ],
)
async def test_who_stood_still_is_told_what_can_be_done(route: str, code: str, resumed: bool) -> None:
    one = request(messages=[], idle=0.01)
    one.route = route
    with pytest.raises(RequestTimeout) as refused:
        await anext(one.body())
    assert (refused.value.code, "resume" in refused.value.message) == (code, resumed)


async def test_to_be_told_that_the_client_has_left() -> None:
    await request(messages=[{"type": "http.request"}, {"type": "http.disconnect"}]).disconnected()
