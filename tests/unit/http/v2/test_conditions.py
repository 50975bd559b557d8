"""Conditional requests: entity tags are quoted digests."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.core.digest import digest_of
from moorage.http.v2.conditions import MAX_TAGS, condition, not_modified
from moorage.registry.push import UNCONDITIONAL
from tests.support.requests import request

MINE, OTHER = digest_of(b"mine"), digest_of(b"other")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f'"{MINE}"', True),
        (f'W/"{MINE}"', True),
        (MINE, True),
        ("*", True),
        (f'"{OTHER}", "{MINE}"', True),
        (f'"{OTHER}","{MINE}"', True),
        (f' W/"{OTHER}" , "{MINE}" ', True),
        (f"{OTHER}, {MINE}", True),
        (f'"a,b", "{MINE}"', True),
        (f'"{OTHER}"', False),
        (f'"{MINE}x"', False),
        ("", False),
        ('""', False),
        ('"', False),
        ("é", False),
    ],
)
def test_not_modified(header: str, expected: bool) -> None:
    assert not_modified(request(headers={"If-None-Match": header}), MINE) is expected


def test_without_the_header_it_is_sent() -> None:
    assert not not_modified(request(), MINE)


def test_without_conditions_there_is_none() -> None:
    assert condition(request()) is UNCONDITIONAL


def test_both_conditions() -> None:
    found = condition(request(headers={"If-Match": f'"{MINE}", "{OTHER}"', "If-None-Match": "*"}))
    assert found.match == frozenset({MINE, OTHER})
    assert found.none_match == frozenset({"*"})


def test_a_condition_that_names_nothing_is_one_that_never_holds() -> None:
    """An empty If-Match is not "no condition": who wrote it wanted one."""
    found = condition(request(headers={"If-Match": ""}))
    assert found.match == frozenset()
    assert found.none_match is None


@given(st.lists(st.text(alphabet="abc:,-. \t", max_size=6), max_size=8), st.booleans())
def test_tags_that_were_quoted_are_read_back(tags: list[str], weak: bool) -> None:
    header = ", ".join(f'{"W/" if weak else ""}"{tag}"' for tag in tags)
    found = condition(request(headers={"If-Match": header, "If-None-Match": header}))
    assert found.none_match == frozenset(tags)
    assert found.match == (frozenset() if weak else frozenset(tags))


def test_if_match_takes_no_weak_tag() -> None:
    """RFC 9110 section 13.1.1: it compares strongly."""
    found = condition(request(headers={"If-Match": f'W/"{MINE}", "{OTHER}"'}))
    assert found.match == frozenset({OTHER})


def test_not_more_tags_than_anybody_needs() -> None:
    header = ",".join(f'"{number}"' for number in range(10_000))
    found = condition(request(headers={"If-Match": header})).match
    assert found is not None
    assert len(found) == MAX_TAGS


@pytest.mark.parametrize(
    "header",
    [
        "a" + " " * 4_000 + "!",
        "a" * 4_000 + "!",
        '"a" ' * 5_000,
        "W/" * 10_000,
        "a," * 10_000,
        '"' * 19_999,
    ],
)
def test_a_hostile_header_costs_nothing(header: str) -> None:
    begun = time.process_time()
    not_modified(request(headers={"If-None-Match": header}), MINE)
    assert time.process_time() - begun < 0.1
