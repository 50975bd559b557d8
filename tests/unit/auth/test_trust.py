"""Conditions of trust rules: what they accept, and what cannot be written."""

from __future__ import annotations

import time
from typing import Any

import pytest

from moorage.auth.trust import BadCondition, claim_at, fits_glob, looks_like_token, parse_conditions, warnings_about
from moorage.http.ui.next import safe_next

ISSUER = "https://id.example.com"
GITHUB = "https://token.actions.githubusercontent.com"


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("acme/*", "acme/app", True),
        ("acme/*", "acme/", True),
        ("acme/*", "acme/a/b", False),
        ("acme/*", "acme-evil/app", False),
        ("acme/**", "acme/a/b", True),
        ("*", "a/b", False),
        ("a*c*e", "abcde", True),
        ("a*c*e", "abcd", False),
        ("a**z", "a/b/z", True),
        ("a", "a\n", False),
        ("a.c", "abc", False),
        ("[a]", "a", False),
        ("?", "a", False),
        ("", "", True),
        ("", "a", False),
        ("***/x", "a/b/x", True),
        ("*", "x" * 2000, False),
    ],
)
def test_globs(pattern: str, text: str, *, fits: bool) -> None:
    assert fits_glob(pattern, text) is fits


def test_a_glob_never_takes_long() -> None:
    begun = time.process_time()
    assert not fits_glob("**a" * 300 + "b", "a" * 1024)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("condition", "claims", "holds"),
    [
        ({"claim": "a", "equals": "b"}, {"a": "b"}, True),
        ({"claim": "a", "equals": "b"}, {"a": "B"}, False),
        ({"claim": "a", "equals": "b"}, {"a": ["b"]}, False),
        ({"claim": "a", "equals": "b"}, {}, False),
        ({"claim": "a", "equals": True}, {"a": True}, True),
        ({"claim": "a", "equals": True}, {"a": "true"}, False),
        ({"claim": "a", "equals": True}, {"a": 1}, False),
        ({"claim": "a", "equals": 1}, {"a": True}, False),
        ({"claim": "a", "equals": 1}, {"a": 1.0}, False),
        ({"claim": "a", "equals": False}, {"a": None}, False),
        ({"claim": "a", "one_of": ["b", 2]}, {"a": 2}, True),
        ({"claim": "a", "one_of": ["b", 2]}, {"a": "2"}, False),
        ({"claim": "a", "glob": "1*"}, {"a": 12}, False),
        ({"claim": ["a", "b"], "equals": "c"}, {"a": {"b": "c"}}, True),
        ({"claim": ["a", "b"], "equals": "c"}, {"a.b": "c"}, False),
        ({"claim": "a.b", "equals": "c"}, {"a": {"b": "c"}}, False),
        ({"claim": "a.b", "equals": "c"}, {"a.b": "c"}, True),
        ({"claim": ["a", "b"], "equals": "c"}, {"a": "b"}, False),
    ],
)
def test_conditions(condition: dict[str, Any], claims: dict[str, Any], *, holds: bool) -> None:
    [parsed] = parse_conditions(ISSUER, [condition])
    assert parsed.holds(claims) is holds
    assert parsed.as_json() == condition


@pytest.mark.parametrize(
    "written",
    [
        None,
        [],
        {},
        ["repository"],
        [{"claim": "a"}],
        [{"equals": "b"}],
        [{"claim": "a", "equals": "b", "glob": "c"}],
        [{"claim": "a", "equals": "b", "more": 1}],
        [{"claim": "a", "like": "b"}],
        [{"claim": "", "equals": "b"}],
        [{"claim": [], "equals": "b"}],
        [{"claim": ["a"] * 6, "equals": "b"}],
        [{"claim": ["a", 1], "equals": "b"}],
        [{"claim": 1, "equals": "b"}],
        [{"claim": "a", "equals": ""}],
        [{"claim": "a", "equals": None}],
        [{"claim": "a", "equals": ["b"]}],
        [{"claim": "a", "equals": {"b": 1}}],
        [{"claim": "a", "equals": "b" * 2000}],
        [{"claim": "a", "one_of": []}],
        [{"claim": "a", "one_of": "b"}],
        [{"claim": "a", "one_of": ["b"] * 101}],
        [{"claim": "a", "glob": 1}],
        [{"claim": "a", "glob": "**"}],
        [{"claim": "a", "glob": "*/*"}],
        [{"claim": "sub", "glob": "repo:acme/*"}],
        [{"claim": "aud", "equals": "b"}],
        [{"claim": "iss", "equals": "b"}],
        [{"claim": "exp", "equals": 1}],
        [{"claim": "a", "equals": "b"}] * 21,
    ],
)
def test_conditions_that_cannot_be(written: object) -> None:
    with pytest.raises(BadCondition):
        parse_conditions(ISSUER, written)


@pytest.mark.parametrize(
    ("condition", "accepted"),
    [
        ({"claim": "repository", "equals": "acme/app"}, True),
        ({"claim": "repository_owner", "equals": "acme"}, True),
        ({"claim": "repository", "glob": "acme/*"}, True),
        ({"claim": "sub", "equals": "repo:acme/app:ref:refs/heads/main"}, True),
        ({"claim": "ref", "equals": "refs/heads/main"}, False),
        ({"claim": "repository", "glob": "*/app"}, False),
        ({"claim": "repository", "glob": "acme*"}, False),
        ({"claim": "repository", "glob": "/*a"}, False),
        ({"claim": "repository_owner", "glob": "acme*"}, False),
        ({"claim": ["repository", "x"], "equals": "acme/app"}, False),
    ],
)
def test_a_rule_for_an_issuer_of_everybody_says_whose_job_it_is(condition: dict[str, Any], *, accepted: bool) -> None:
    if accepted:
        assert parse_conditions(GITHUB, [condition])
    else:
        with pytest.raises(BadCondition, match="whose job"):
            parse_conditions(GITHUB, [condition])


def test_a_condition_on_sub_is_warned_about() -> None:
    assert warnings_about(parse_conditions(ISSUER, [{"claim": "sub", "equals": "x"}]))
    assert not warnings_about(parse_conditions(ISSUER, [{"claim": "a", "equals": "x"}]))


def test_small_things() -> None:
    assert claim_at({"a": {"b": 1}}, ("a", "b")) == 1
    assert claim_at({"a": [1]}, ("a", "0")) is None
    assert looks_like_token("eyJ.eyJ.x")
    assert not looks_like_token("mrg_pat_x.y.z")
    assert not looks_like_token("eyJ.x")


@pytest.mark.parametrize("path", ["/", "/a/b?c=d&e=f#g", "/a//b", "/%C3%A4"])
def test_paths_of_ours(path: str) -> None:
    assert safe_next(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "//a",
        "///a",
        "/\\a",
        "\\a",
        "http:a",
        "/%2fa",
        "/%252fa",
        "/%5ca",
        "/a b",
        "/\ta",
        "/a\n",
        "/%0aa",
        "/\x7f",
    ],
)
def test_paths_that_are_not(path: str) -> None:
    assert safe_next(path) == ""
