"""The operator's switches on changes."""

from __future__ import annotations

import re

import pytest

from moorage.core.errors import Denied, ReadOnly, Unsupported
from moorage.registry.settings import RegistrySettings
from moorage.registry.writes import Writes


def test_without_switches_everything_may_be_changed() -> None:
    writes = Writes(RegistrySettings())
    writes.check_push("any/name")
    writes.check_delete()


def test_read_only() -> None:
    writes = Writes(RegistrySettings(readonly=True, delete_enabled=False))
    with pytest.raises(ReadOnly):
        writes.check_push("any/name")
    with pytest.raises(ReadOnly):
        writes.check_delete()


def test_no_deleting() -> None:
    writes = Writes(RegistrySettings(delete_enabled=False))
    writes.check_push("any/name")
    with pytest.raises(Unsupported, match=r"storage\.delete\.enabled"):
        writes.check_delete()


@pytest.mark.parametrize(
    ("patterns", "name", "allowed"),
    [
        (("^team/",), "team/app", True),
        (("^team/",), "other/team/app", False),
        (("team",), "other/team/app", True),
        (("^a$", "^b$"), "b", True),
        (("^a$", "^b$"), "bb", False),
    ],
)
def test_patterns_match_anywhere_unless_they_say_otherwise(patterns: tuple[str, ...], name: str, allowed: bool) -> None:
    writes = Writes(RegistrySettings(repository_allow=patterns))
    if allowed:
        writes.check_push(name)
    else:
        with pytest.raises(Denied) as refused:
            writes.check_push(name)
        assert refused.value.status == 403


def test_a_pattern_that_is_none_is_found_at_the_start() -> None:
    with pytest.raises(re.error):
        Writes(RegistrySettings(repository_allow=("(",)))
