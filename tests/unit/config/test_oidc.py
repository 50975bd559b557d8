"""`auth.local.oidc` and `auth.local.issuers`: what they come to, and what is refused with a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moorage.auth.settings import IssuerSettings, OidcSettings
from moorage.config import Loaded

Read = Callable[..., Loaded]

RIGHT: dict[str, Any] = {"name": "corp", "issuer": "https://id.example.com", "clientid": "moorage"}


def load(read: Read, local: dict[str, Any]) -> Loaded:
    return read(json.dumps({"storage": {"filesystem": {"rootdirectory": "/srv"}}, "auth": {"local": local}}))


def test_the_least(read: Read) -> None:
    loaded = load(read, {"oidc": [RIGHT]})
    local = loaded.settings.local
    assert local is not None
    assert local.oidc == (OidcSettings("corp", "https://id.example.com", "moorage"),)
    assert local.issuers == (IssuerSettings("https://id.example.com"),)
    assert loaded.errors == ()


def test_everything(read: Read) -> None:
    written = {
        **RIGHT,
        "clientsecretfile": "/run/secret",
        "scopes": ["openid", "groups"],
        "usernameclaim": "email",
        "usernamedomain": "@example.com",
        "groupsclaim": ["realm_access", "roles"],
        "requiredgroup": "users",
        "admingroup": "admins",
        "create": False,
        "title": "Corp",
        "ca": "/etc/ca.pem",
    }
    jobs = {"issuer": "http://ci.example.com", "insecure": True, "jwksfile": "/etc/keys.json"}
    loaded = load(read, {"oidc": [written], "issuers": [jobs]})
    local = loaded.settings.local
    assert local is not None
    assert local.oidc == (
        OidcSettings(
            "corp",
            "https://id.example.com",
            "moorage",
            client_secret_file=Path("/run/secret"),
            scopes=("openid", "groups"),
            username_claim=("email",),
            groups_claim=("realm_access", "roles"),
            username_domain="example.com",
            admin_group="admins",
            required_group="users",
            create=False,
            title="Corp",
        ),
    )
    assert set(local.issuers) == {
        IssuerSettings("https://id.example.com", ca=Path("/etc/ca.pem")),
        IssuerSettings("http://ci.example.com", insecure=True, jwks=Path("/etc/keys.json")),
    }
    assert loaded.errors == ()


@pytest.mark.parametrize(
    ("local", "key"),
    [
        ({"oidc": [{**RIGHT, "name": ""}]}, "auth.local.oidc[0].name"),
        ({"oidc": [{**RIGHT, "name": "With Blank"}]}, "auth.local.oidc[0].name"),
        ({"oidc": [RIGHT, RIGHT]}, "auth.local.oidc[1].name"),
        ({"oidc": [{**RIGHT, "issuer": ""}]}, "auth.local.oidc[0].issuer"),
        ({"oidc": [{**RIGHT, "issuer": "http://id.example.com"}]}, "auth.local.oidc[0].issuer"),
        ({"oidc": [{**RIGHT, "clientid": ""}]}, "auth.local.oidc[0].clientid"),
        ({"oidc": [{**RIGHT, "clientsecret": "a", "clientsecretfile": "b"}]}, "auth.local.oidc[0].clientsecret"),
        ({"oidc": [{**RIGHT, "scopes": ["email"]}]}, "auth.local.oidc[0].scopes"),
        ({"oidc": [{**RIGHT, "admingroup": "a"}]}, "auth.local.oidc[0].admingroup"),
        ({"oidc": [{**RIGHT, "requiredgroup": "a"}]}, "auth.local.oidc[0].requiredgroup"),
        ({"issuers": [{"insecure": True}]}, "auth.local.issuers[0].issuer"),
        ({"issuers": [{"issuer": "http://ci.example.com"}]}, "auth.local.issuers[0].issuer"),
    ],
)
def test_what_is_wrong(read: Read, local: dict[str, Any], key: str) -> None:
    assert [finding.key for finding in load(read, local).errors] == [key]


def test_the_secret_is_never_shown(read: Read) -> None:
    loaded = load(read, {"oidc": [{**RIGHT, "clientsecret": "hush-hush"}]})
    assert loaded.errors == ()
    assert "hush-hush" not in repr(loaded.settings)
