"""`n`, `last` and the Link to the next page."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.core.errors import PaginationInvalid
from moorage.http.request import parse_query
from moorage.http.v2.paging import next_link, wanted
from tests.support.requests import request


@pytest.mark.parametrize(
    ("query", "number"),
    [(b"", None), (b"n=", None), (b"n=0", 0), (b"n=7", 7), (b"n=007", 7), (b"n=" + b"9" * 18, 10**18 - 1)],
)
def test_the_number_of_results(query: bytes, number: int | None) -> None:
    assert wanted(request(query=query)) == number


@pytest.mark.parametrize(
    "value", ["-1", "+1", "1.0", "1e3", "1_000", " 1", "1 ", "abc", "0x10", "%D9%A1", "1%00", "9" * 19, "%0A5", "null"]
)
def test_no_number(value: str) -> None:
    with pytest.raises(PaginationInvalid) as refused:
        wanted(request(query=f"n={value}".encode()))
    assert refused.value.status == 400
    assert refused.value.code == "PAGINATION_NUMBER_INVALID"


def test_a_digest_in_the_path_stays_as_it_is() -> None:
    path = "/v2/a/referrers/sha256:" + "0" * 64
    assert next_link(request(path=path), [("last", "4")]) == (b"link", f'<{path}?last=4>; rel="next"'.encode())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["n", "last", "artifactType"]), st.text(alphabet=st.characters(codec="utf-8"), max_size=10)
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["/v2/a/tags/list", "/v2/_catalog", "/v2/a.b/c__d/tags/list"]),
    st.sampled_from(["", "/registry", "/a/b"]),
)
def test_the_link_is_relative_and_is_read_back_as_it_was_meant(
    parameters: list[tuple[str, str]], path: str, prefix: str
) -> None:
    name, value = next_link(request(path=path, prefix=prefix), parameters)
    assert name == b"link"
    found = re.fullmatch(r'<([^<>;," ]+)>; rel="next"', value.decode("ascii"))
    assert found, "one link, and nothing in it that clients trip over"
    target = urlsplit(found[1])
    assert (target.scheme, target.netloc, target.fragment) == ("", "", "")
    assert unquote(target.path) == prefix + path
    assert parse_query(target.query.encode()) == parameters
    assert parse_qsl(target.query, keep_blank_values=True) == parameters, "also to who takes + for a blank"
