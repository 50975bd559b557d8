"""Directories in the configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from moorage.auth.ldap_settings import LdapGroups, LdapSettings
from moorage.config import Loaded

Read = Callable[..., Loaded]

LEAST = {"name": "corp", "urls": ["ldaps://ldap.example.com"], "basedn": "dc=example,dc=com"}


def load(read: Read, *directories: dict[str, Any]) -> Loaded:
    tree = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": "/srv/images"}},
        "auth": {"local": {"ldap": list(directories)}},
    }
    return read(orjson.dumps(tree).decode())


def settings_of(read: Read, **more: Any) -> LdapSettings:
    loaded = load(read, LEAST | more)
    assert loaded.findings == ()
    local = loaded.settings.local
    assert local is not None
    return local.ldap[0]


def test_little(read: Read) -> None:
    assert settings_of(read) == LdapSettings("corp", ("ldaps://ldap.example.com",), "dc=example,dc=com")


def test_active_directory(read: Read) -> None:
    found = settings_of(read, type="ActiveDirectory", groups={"basedn": "dc=example,dc=com"})
    assert "sAMAccountName={user}" in found.filter
    assert (found.name_attribute, found.subject_attribute) == ("sAMAccountName", "objectGUID")
    assert found.groups == LdapGroups("chain", "dc=example,dc=com", "(objectClass=group)")


def test_all(read: Read) -> None:
    found = settings_of(
        read,
        urls=["ldap://a:1389", "ldaps://[::1]:636/"],
        starttls=True,
        ca="/etc/ca.pem",
        binddn="cn=x",
        bindpassword="hidden-password",
        filter="(mail={user})",
        attributes={"name": "cn", "mail": "email", "subject": "nsUniqueId"},
        groups={"how": "search", "basedn": "ou=g", "member": "memberUid", "members": "names", "name": "description"},
        requiredgroup="staff",
        admingroup="admins",
        connecttimeout="1s",
        timeout="2s",
        connections=9,
    )
    assert found == LdapSettings(
        "corp",
        ("ldap://a:1389", "ldaps://[::1]:636/"),
        "dc=example,dc=com",
        starttls=True,
        ca=Path("/etc/ca.pem"),
        bind_dn="cn=x",
        bind_password="hidden-password",
        filter="(mail={user})",
        name_attribute="cn",
        mail_attribute="email",
        subject_attribute="nsUniqueId",
        groups=LdapGroups("search", "ou=g", member="memberUid", by_name=True, name="description"),
        required_group="staff",
        admin_group="admins",
        connect_seconds=1.0,
        seconds=2.0,
        connections=9,
    )
    assert "hidden-password" not in repr(found)


@pytest.mark.parametrize(
    ("more", "at", "severity"),
    [
        ({"name": ""}, "name", "error"),
        ({"name": "Corp!"}, "name", "error"),
        ({"basedn": ""}, "basedn", "error"),
        ({"urls": []}, "urls", "error"),
        ({"urls": ["http://x"]}, "urls", "error"),
        ({"urls": ["ldap://x/dc=a?uid"]}, "urls", "error"),
        ({"urls": ["ldaps://x:99999"]}, "urls", "error"),
        ({"urls": ["ldap://x"]}, "urls", "warning"),
        ({"filter": "(uid=alice)"}, "filter", "error"),
        ({"filter": "uid={user}"}, "filter", "error"),
        ({"binddn": "cn=x"}, "binddn", "error"),
        ({"bindpassword": "x"}, "bindpassword", "error"),
        ({"binddn": "cn=x", "bindpassword": "x", "bindpasswordfile": "/x"}, "bindpassword", "error"),
        ({"requiredgroup": "x"}, "requiredgroup", "error"),
        ({"groups": {"how": "chain"}}, "groups.how", "error"),
        ({"groups": {"how": "memberof", "members": "names"}}, "groups.members", "error"),
        ({"groups": {"how": "memberof", "basedn": "x"}}, "groups.basedn", "warning"),
    ],
)
def test_what_does_not_fit_is_said(read: Read, more: dict[str, Any], at: str, severity: str) -> None:
    found = [(each.key, each.severity) for each in load(read, LEAST | more).findings]
    assert found == [(f"auth.local.ldap[0].{at}", severity)]


def test_two_directories_with_one_name(read: Read) -> None:
    found = [each.key for each in load(read, LEAST, LEAST).findings]
    assert found == ["auth.local.ldap[1].name"]
