"""What becomes of a provider's claims."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.auth.login_state import StateSeal, new_state
from moorage.auth.oidc import arrival_of
from moorage.auth.settings import OidcSettings
from moorage.core.errors import Denied

CLAIMS = {"sub": "1", "preferred_username": "ann", "email": "ann.b@example.com", "email_verified": True}
EMAIL: dict[str, Any] = {"username_claim": ("email",)}
GROUPS: dict[str, Any] = {"groups_claim": ("groups",)}


def settings(**more: Any) -> OidcSettings:
    return OidcSettings("corp", "https://id.example.com", "moorage", **more)


@pytest.mark.parametrize(
    ("how", "claims", "name"),
    [
        ({}, {}, "ann"),
        (EMAIL, {}, "ann.b"),
        ({**EMAIL, "username_domain": "Example.com"}, {}, "ann.b"),
        ({"username_domain": "example.com"}, {"preferred_username": "bob@example.com"}, "bob"),
        ({"username_claim": ("https://x.example/name",)}, {"https://x.example/name": "cleo"}, "cleo"),
        ({"username_claim": ("a", "b")}, {"a": {"b": "dan"}}, "dan"),
    ],
)
def test_names(how: dict[str, Any], claims: dict[str, Any], name: str) -> None:
    arrival = arrival_of(settings(**how), {**CLAIMS, **claims})
    assert (arrival.source, arrival.subject, arrival.name) == ("oidc:corp", "1", name)


@pytest.mark.parametrize(
    ("how", "claims"),
    [
        ({}, {"preferred_username": ""}),
        ({}, {"preferred_username": None}),
        ({}, {"preferred_username": ["ann"]}),
        (EMAIL, {"email_verified": False}),
        (EMAIL, {"email_verified": None}),
        (EMAIL, {"email_verified": "true"}),
        (EMAIL, {"email": "ann"}),
        ({**EMAIL, "username_domain": "example.com"}, {"email": "ann@evil.example"}),
        ({**EMAIL, "username_domain": "example.com"}, {"email": "ann@evil.example@notexample.com"}),
        ({"username_domain": "example.com"}, {"preferred_username": "ann"}),
        ({**GROUPS, "required_group": "staff"}, {}),
        ({**GROUPS, "required_group": "staff"}, {"groups": "staffs"}),
        ({**GROUPS, "required_group": "staff"}, {"groups": [["staff"]]}),
        ({**GROUPS, "required_group": "staff"}, {"groups": ["staff"], "_claim_names": {"groups": "src1"}}),
    ],
)
def test_who_may_not_come_in(how: dict[str, Any], claims: dict[str, Any]) -> None:
    with pytest.raises(Denied):
        arrival_of(settings(**how), {**CLAIMS, **claims})


@pytest.mark.parametrize(
    ("how", "claims", "groups", "admin"),
    [
        ({}, {"groups": ["a"]}, None, None),
        (GROUPS, {"groups": ["a", "b", 1, "", None]}, ("a", "b"), None),
        (GROUPS, {"groups": "a"}, ("a",), None),
        (GROUPS, {}, (), None),
        (GROUPS, {"_claim_names": {"groups": "src1"}}, None, None),
        ({**GROUPS, "admin_group": "root"}, {"groups": ["root"]}, ("root",), True),
        ({**GROUPS, "admin_group": "root"}, {"groups": ["roots"]}, ("roots",), False),
        ({**GROUPS, "admin_group": "root"}, {}, (), False),
        ({**GROUPS, "admin_group": "root"}, {"_claim_names": {"groups": "src1"}}, None, None),
        ({"groups_claim": ("realm_access", "roles")}, {"realm_access": {"roles": ["x"]}}, ("x",), None),
    ],
)
def test_groups_and_admins(
    how: dict[str, Any], claims: dict[str, Any], groups: tuple[str, ...] | None, *, admin: bool | None
) -> None:
    arrival = arrival_of(settings(**how), {**CLAIMS, **claims})
    assert (arrival.groups, arrival.admin) == (groups, admin)


def test_an_address_that_was_not_checked_is_not_kept() -> None:
    assert arrival_of(settings(), CLAIMS).email == "ann.b@example.com"
    assert arrival_of(settings(), {**CLAIMS, "email_verified": False}).email == ""


def test_the_seal_of_a_login_that_was_begun() -> None:
    seal, state = StateSeal("s" * 32), new_state("corp", "/x", 100.0)
    text = seal.seal(state)
    assert seal.open(text, "corp", 699.0) == state
    assert seal.open(text, "corp", 700.0) is None
    assert seal.open(text, "other", 200.0) is None
    assert StateSeal("t" * 32).open(text, "corp", 200.0) is None
    assert seal.seal(state) != text
    assert state.verifier not in text
    for wrong in ("", "a", text[:-4], text + "AAAA", text[:20] + "é" + text[21:], "A" * 5000):
        assert seal.open(wrong, "corp", 200.0) is None
