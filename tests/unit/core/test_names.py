"""Names, tags and references: what the specification's grammar takes, and nothing that only looks like it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.core.digest import Digest, digest_of
from moorage.core.errors import DigestInvalid, NameInvalid, TagInvalid
from moorage.core.names import MAX_NAME, Tag, fallback_tag, is_key, parse_name, parse_reference, parse_tag
from moorage.testing.fakes import upload_key

# The specification's own expressions, said once more with other means: `\Z` and `match`.
NAME = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\Z")
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")

NEARLY_A_NAME = st.text(alphabet="ab0._-/A \n\u0660é", max_size=12)


@given(NEARLY_A_NAME)
def test_a_name_is_taken_exactly_if_the_specification_takes_it(text: str) -> None:
    if NAME.match(text):
        assert parse_name(text) == text
    else:
        with pytest.raises(NameInvalid):
            parse_name(text)


@given(st.from_regex(NAME, fullmatch=True).filter(lambda text: len(text) <= MAX_NAME))
def test_every_name_of_the_grammar_is_taken(text: str) -> None:
    assert parse_name(text) == text


@pytest.mark.parametrize(
    "text",
    ["a", "0", "library/ubuntu", "a.b", "a_b", "a__b", "a-b", "a---b", "a/b/c/d/e/f", "blobs/uploads", "v2/tags/list"],
)
def test_names(text: str) -> None:
    assert parse_name(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "/", "a/", "/a", "a//b", "A", "aB", "a\n", "\na", " a", "a ", "a..b", "a._b", "a___b", ".a", "a.", "-a", "a-",
     "_a", "a/-b", "a/.", "..", "a/../b", "a%2fb", "a\\b", "a\0b", "é", "\u0660", "a:b", "a@b",
     "\ud800"],
)  # fmt: skip
def test_no_names(text: str) -> None:
    with pytest.raises(NameInvalid):
        parse_name(text)


def test_a_name_has_at_most_255_characters() -> None:
    assert parse_name("a" * 255)
    with pytest.raises(NameInvalid) as refused:
        parse_name("a" * 256)
    assert refused.value.detail == {"name": "a" * 255}, "an answer repeats no endless input"


def test_a_hostile_name_is_refused_quickly() -> None:
    """No input makes the expression try again and again: 200,000 characters in no time."""
    for text in ("a-" * 127 + "A", "a" + "-" * 253 + "!", "a__" * 84 + "_", "-" * 200_000, "a/" * 100_000):
        with pytest.raises(NameInvalid):
            parse_name(text)


@given(st.text(alphabet="aZ0._- \n/:é\u0660", max_size=8) | st.text(alphabet="aZ.", min_size=125, max_size=131))
def test_a_tag_is_taken_exactly_if_the_specification_takes_it(text: str) -> None:
    if TAG.match(text):
        assert parse_tag(text) == text
        assert isinstance(parse_tag(text), Tag)
    else:
        with pytest.raises(TagInvalid):
            parse_tag(text)


@pytest.mark.parametrize(
    "text", ["latest\n", "latest ", "", ".hidden", "-v", "a" * 129, "a/b", "a:b", "ä", "\u0661", "\ud800"]
)
def test_no_tags(text: str) -> None:
    with pytest.raises(TagInvalid):
        parse_tag(text)


@pytest.mark.parametrize("text", ["a", "_", "A.-_", "0", "a" * 128, "sha256-" + "0" * 64 + ".sig", "..".join("ab")])
def test_tags(text: str) -> None:
    assert parse_tag(text) == text


def test_a_reference_with_a_colon_is_meant_as_a_digest() -> None:
    digest = digest_of(b"x")
    assert isinstance(parse_reference(digest), Digest)
    assert isinstance(parse_reference("latest"), Tag)
    for text in ("sha256:abc", "latest:v1", ":", f"{digest}\n"):
        with pytest.raises(DigestInvalid):
            parse_reference(text)
    with pytest.raises(TagInvalid):
        parse_reference(".x")


def test_the_fallback_tag_of_a_subject() -> None:
    """Distribution specification, "Referrers Tag Schema": 64 characters of the hexadecimal part at most."""
    assert fallback_tag(digest_of(b"x")) == f"sha256-{digest_of(b'x').hex}"
    long = digest_of(b"x", "sha512")
    assert fallback_tag(long) == f"sha512-{long.hex[:64]}"
    assert parse_tag(fallback_tag(long)) == fallback_tag(long)


@pytest.mark.parametrize(
    "text",
    ["", "x", "\0", upload_key(1)[:-1], upload_key(1) + "0", upload_key(1).replace("-", "_"), upload_key(10).upper(),
     f"{upload_key(1)}\n", "../" + upload_key(1)[3:], "\ud800" * 36],
)  # fmt: skip
def test_no_keys(text: str) -> None:
    assert not is_key(text)


@given(st.uuids())
def test_keys(value: object) -> None:
    assert is_key(str(value))
