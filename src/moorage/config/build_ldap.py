"""From values to the settings of directories."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from moorage.auth.ldap_settings import CHAIN, MEMBEROF, NO_GROUPS, SEARCH, LdapGroups, LdapSettings
from moorage.config.check import Values

LIST = "auth.local.ldap"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_AD_FILTER = "(&(objectCategory=person)(objectClass=user)(sAMAccountName={user}))"
_AD_GROUPS = "(objectClass=group)"


def build_ldap(values: Values) -> tuple[LdapSettings, ...]:
    """Return the settings of `auth.local.ldap`; what does not fit together goes to the report."""
    found = tuple(_directory(values, f"{LIST}[{index}]") for index in range(values.length(LIST)))
    names = [each.name for each in found]
    for index, name in enumerate(names):
        if name in names[:index]:
            _error(values, f"{LIST}[{index}].name", f"{name!r} is the name of another directory; choose one")
    return found


def _directory(values: Values, path: str) -> LdapSettings:
    ad = values.text(f"{path}.type").lower() == "activedirectory"
    for name in ("name", "basedn"):
        if not values.text(f"{path}.{name}"):
            values.report.error(f"{path}.{name}", "is missing; it is required", values.origin(path))
    name = values.text(f"{path}.name")
    if name and not _NAME.fullmatch(name):
        _error(values, f"{path}.name", "may hold lower-case letters, digits and dashes only, 32 at most")
    default = LdapSettings("", (), "")
    groups = _groups(values, f"{path}.groups", ad=ad)
    required = values.text(f"{path}.requiredgroup")
    admins = values.text(f"{path}.admingroup")
    if groups.how == NO_GROUPS and (required or admins):
        which = "requiredgroup" if required else "admingroup"
        _error(values, f"{path}.{which}", "needs `groups`, which say how groups are found")
    file = values.text(f"{path}.bindpasswordfile")
    return LdapSettings(
        name=name,
        urls=_urls(values, path),
        base=values.text(f"{path}.basedn"),
        starttls=values.flag(f"{path}.starttls", default=False),
        ca=_path(values, f"{path}.ca"),
        bind_dn=_bind_dn(values, path),
        bind_password=values.text(f"{path}.bindpassword"),
        bind_password_file=Path(file).absolute() if file else None,
        filter=_filter(values, f"{path}.filter", _AD_FILTER if ad else default.filter, person=True),
        name_attribute=values.text(f"{path}.attributes.name", "sAMAccountName" if ad else default.name_attribute),
        mail_attribute=values.text(f"{path}.attributes.mail", default.mail_attribute),
        subject_attribute=values.text(f"{path}.attributes.subject", "objectGUID" if ad else ""),
        groups=groups,
        required_group=required,
        admin_group=admins,
        connect_seconds=values.seconds(f"{path}.connecttimeout", default.connect_seconds),
        seconds=values.seconds(f"{path}.timeout", default.seconds),
        connections=values.count(f"{path}.connections", default.connections),
    )


def _groups(values: Values, path: str, *, ad: bool) -> LdapGroups:
    default = LdapGroups()
    base = values.text(f"{path}.basedn")
    usual = NO_GROUPS if not base else CHAIN if ad else SEARCH
    how = values.text(f"{path}.how", usual).lower()
    if how in (SEARCH, CHAIN) and not base:
        _error(values, f"{path}.how", f"is `{how}`, which needs `groups.basedn`")
    if how in (MEMBEROF, NO_GROUPS) and base:
        message = f"has no effect with `how: {how}`; remove one of them"
        values.report.warning(f"{path}.basedn", message, values.origin(f"{path}.basedn"))
    by_name = values.text(f"{path}.members").lower() == "names"
    if by_name and how != SEARCH:
        _error(values, f"{path}.members", "is `names`, which only `how: search` can look for")
    return LdapGroups(
        how=how,
        base=base,
        filter=_filter(values, f"{path}.filter", _AD_GROUPS if ad else default.filter, person=False),
        member=values.text(f"{path}.member", default.member),
        by_name=by_name,
        name=values.text(f"{path}.name", default.name),
        nested=values.flag(f"{path}.nested", default=default.nested),
    )


def _bind_dn(values: Values, path: str) -> str:
    dn, password = values.text(f"{path}.binddn"), values.text(f"{path}.bindpassword")
    file = values.text(f"{path}.bindpasswordfile")
    if password and file:
        _error(values, f"{path}.bindpassword", "and `bindpasswordfile` are both given; remove one of them")
    if dn and not (password or file):
        _error(values, f"{path}.binddn", "needs `bindpassword` or `bindpasswordfile`: without, the bind is anonymous")
    if not dn and (password or file):
        which = "bindpassword" if password else "bindpasswordfile"
        _error(values, f"{path}.{which}", "needs `binddn`, the account that it belongs to")
    return dn


def _urls(values: Values, path: str) -> tuple[str, ...]:
    urls = values.texts(f"{path}.urls")
    if not urls:
        values.report.error(f"{path}.urls", "is missing; at least one server is required", values.origin(path))
    for url in urls:
        if not _is_url(url):
            _error(values, f"{path}.urls", f"has {url!r}, which is not `ldap://host[:port]` or `ldaps://host[:port]`")
        elif url.startswith("ldap:") and not values.flag(f"{path}.starttls", default=False):
            message = f"has {url!r}: passwords go over the network as plain text; use `ldaps://`, or `starttls: true`"
            values.report.warning(f"{path}.urls", message, values.origin(f"{path}.urls"))
    return urls


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username or parts.password)
        return parts.scheme in ("ldap", "ldaps") and bool(parts.hostname) and plain and parts.port != 0
    except ValueError:
        return False


def _filter(values: Values, path: str, default: str, *, person: bool) -> str:
    written = values.text(path, default)
    if not (written.startswith("(") and written.endswith(")") and written.count("(") == written.count(")")):
        _error(values, path, f"is {written!r}, which is no filter: it needs its parentheses, as in `{default}`")
    if person and "{user}" not in written:
        _error(values, path, "does not hold `{user}`, and so would find anybody")
    return written


def _path(values: Values, path: str) -> Path | None:
    written = values.text(path)
    return Path(written).absolute() if written else None


def _error(values: Values, path: str, message: str) -> None:
    values.report.error(path, message, values.origin(path))
