"""Globs: what they match, and that none takes long."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.core.globs import fits, literal_prefix, matches, may_meet

PIECES = st.lists(st.sampled_from(["*", "**", "/", "a", "b", "ab"]), max_size=6)
TEXTS = st.text("ab/", max_size=8)


@given(PIECES.map("".join), TEXTS)
def test_it_says_what_a_regular_expression_says(glob: str, text: str) -> None:
    written = {"**": ".*", "*": "[^/]*"}
    pattern = "".join(written.get(piece, re.escape(piece)) for piece in re.split(r"(\*\*|\*)", glob))
    assert fits(glob, text) is (re.fullmatch(pattern, text) is not None)


@pytest.mark.parametrize("name", ["", "a", "a/b"])
def test_an_empty_glob_matches_every_name_and_fits_nothing_else(name: str) -> None:
    assert matches("", name)
    assert fits("", name) is (name == "")


def test_many_stars_go_over_each_place_once() -> None:
    asked = 0

    class Text(str):
        __slots__ = ()

        def startswith(self, *arguments: object) -> bool:
            nonlocal asked
            asked += 1
            return super().startswith(*arguments)  # type: ignore[arg-type]

        def find(self, *arguments: object) -> int:
            nonlocal asked
            asked += 1
            return super().find(*arguments)  # type: ignore[arg-type]

    text = Text("a" * 255)
    assert not fits("*a" * 100 + "b", text)
    assert asked <= 201 * 256


@pytest.mark.parametrize(("glob", "prefix"), [("team/*", "team/"), ("team", "team"), ("**", ""), ("a*b", "a")])
def test_what_all_that_match_begin_with(glob: str, prefix: str) -> None:
    assert literal_prefix(glob) == prefix


@given(PIECES.map("".join), PIECES.map("".join), TEXTS)
def test_globs_that_both_fit_something_may_meet(one: str, other: str, name: str) -> None:
    if matches(one, name) and matches(other, name):
        assert may_meet(one, other)


@pytest.mark.parametrize(
    ("one", "other", "meets"),
    [
        ("team/secret/**", "team/*/x", True),
        ("team/secret/**", "team/app/**", False),
        ("team/secret/**", "team/secret/x", True),
        ("team/secret/**", "team/secret", False),
        ("**/x", "team/**/y", False),
        ("", "team", True),
    ],
)
def test_globs_that_may_meet(one: str, other: str, meets: bool) -> None:
    assert may_meet(one, other) is may_meet(other, one) is meets
