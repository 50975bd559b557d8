"""People and their groups, as a directory tells of them. Everything here waits and runs in threads."""

from __future__ import annotations

import unicodedata
import uuid
from typing import TYPE_CHECKING

from moorage.auth.ldap_servers import Entry, EntryError, Link
from moorage.auth.ldap_settings import CHAIN, MEMBEROF, NO_GROUPS, SEARCH
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moorage.auth.ldap_settings import LdapSettings

MOST_GROUPS = 1000
"""Groups of one person. Whoever is in more is not let in: a group that denies something could be among the rest."""

MOST_LEVELS = 20
"""How deep groups are followed."""

IN_CHAIN = "1.2.840.113556.1.4.1941"
"""Active Directory's LDAP_MATCHING_RULE_IN_CHAIN: also where the member is one of a member."""

_LONGEST_NAME = 256
_AT_ONCE = 50
_SUBJECTS = ("entryUUID", "objectGUID")
_GUID_BYTES = 16

_log = logger(__name__)


def escape(text: str) -> str:
    """`text` as a value inside of a filter (RFC 4515 section 3): nothing of it is syntax."""
    return "".join(f"\\{ord(char):02x}" if char in '*()\\\0&|!<>=~/"' else char for char in text)


def is_plain(user: str) -> bool:
    """Whether a typed name may be asked for.

    Directories ignore blanks and invisible characters when they compare (RFC 4518). Names that are written in such a
    way would be one person under many names, of whom failed logins are counted one by one.
    """
    return (
        0 < len(user) <= _LONGEST_NAME
        and user.isprintable()
        and user == user.strip()
        and "  " not in user
        and unicodedata.normalize("NFKC", user) == user
    )


def find_person(link: Link, settings: LdapSettings, user: str) -> Entry | None:
    """The one entry that the filter finds; None where it finds none or several.

    Raises:
        DirectoryError: see `Link.search`.
    """
    wanted = [settings.name_attribute, settings.mail_attribute]
    wanted += [settings.subject_attribute] if settings.subject_attribute else _SUBJECTS
    if settings.groups.how == MEMBEROF:
        wanted.append("memberOf")
    query = settings.filter.replace("{user}", escape(user))
    found = link.search(settings.base, query, wanted, 1)
    if len(found) > 1:
        _log.warning("the filter finds several people, so none is let in", directory=settings.name, user=user)
    return found[0] if len(found) == 1 else None


def name_of(person: Entry, settings: LdapSettings, typed: str) -> str:
    """What the person is called here: of several names the typed one, else the first; "" without any."""
    names = [name.lower() for name in person.texts(settings.name_attribute)]
    return typed.lower() if typed.lower() in names else (names[0] if names else "")


def subject_of(person: Entry, settings: LdapSettings) -> str:
    """What never changes about the person; the DN where the directory has nothing better.

    Raises:
        EntryError: the configured attribute is not there (or the account that searches may not see it).
    """
    names = (settings.subject_attribute,) if settings.subject_attribute else _SUBJECTS
    for name in names:
        values = person.attributes.get(name.lower(), ())
        if values:
            return _subject_text(name, values[0])
    if settings.subject_attribute:
        raise EntryError(f"{person.dn!r} has no {settings.subject_attribute} that could be seen")
    return person.dn.lower()


def _subject_text(name: str, value: bytes) -> str:
    if name.lower() == "objectguid" and len(value) == _GUID_BYTES:
        return str(uuid.UUID(bytes_le=value))
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def groups_of(link: Link, settings: LdapSettings, person: Entry, user: str) -> list[Entry] | None:
    """All groups of the person, nested ones too, each once; None where the directory is not asked for any.

    Raises:
        DirectoryError: see `Link.search`; or there are too many.
    """
    how = settings.groups.how
    if how == NO_GROUPS:
        return None
    if how == CHAIN:
        return _checked(_listing(link, settings, [person.dn], f":{IN_CHAIN}:"), person)
    found: dict[str, Entry] = {}
    if how == SEARCH:
        level = _listing(link, settings, [user if settings.groups.by_name else person.dn])
    else:
        level = _read(link, settings, person.texts("memberOf"), found)
    depth = 1
    nested = settings.groups.nested and not settings.groups.by_name
    while fresh := {group.dn.lower(): group for group in level if group.dn.lower() not in found}:
        found |= fresh
        _checked(found.values(), person)
        if not nested or depth >= MOST_LEVELS:
            break
        depth += 1
        if how == SEARCH:
            level = _listing(link, settings, [group.dn for group in fresh.values()])
        else:
            above = [dn for group in fresh.values() for dn in group.texts("memberOf")]
            level = _read(link, settings, above, found)
    return list(found.values())


def _checked(groups: Iterable[Entry], person: Entry) -> list[Entry]:
    found = list(groups)
    if len(found) > MOST_GROUPS:
        raise EntryError(f"{person.dn!r} is in more than {MOST_GROUPS} groups")
    return found


def _listing(link: Link, settings: LdapSettings, members: list[str], rule: str = "") -> list[Entry]:
    """The groups that list one of these members."""
    groups = settings.groups
    found: list[Entry] = []
    for start in range(0, len(members), _AT_ONCE):
        some = "".join(f"({groups.member}{rule}={escape(each)})" for each in members[start : start + _AT_ONCE])
        query = f"(&{groups.filter}(|{some}))"
        found += link.search(groups.base, query, [groups.name], MOST_GROUPS)
    return found


def _read(link: Link, settings: LdapSettings, names: Iterable[str], known: dict[str, Entry]) -> list[Entry]:
    """The entries with these DNs that are not known yet; what cannot be seen is left out."""
    fresh = {name.lower(): name for name in names if name.lower() not in known}
    if len(fresh) > MOST_GROUPS:
        raise EntryError(f"somebody is in more than {MOST_GROUPS} groups")
    found: list[Entry] = []
    for name in fresh.values():
        found += link.search(name, "(objectClass=*)", [settings.groups.name, "memberOf"], 1, deep=False)
    return found


def group_names(groups: list[Entry], settings: LdapSettings) -> tuple[str, ...]:
    """The names of groups here, each once."""
    names = (name for group in groups for name in group.texts(settings.groups.name)[:1])
    return tuple(dict.fromkeys(names))


def is_in(groups: list[Entry], wanted: str, settings: LdapSettings) -> bool:
    """Whether one of the groups is `wanted`, a DN or a name."""
    plain = _plain_dn(wanted)
    return any(
        plain == _plain_dn(group.dn) or wanted.lower() in (name.lower() for name in group.texts(settings.groups.name))
        for group in groups
    )


def _plain_dn(dn: str) -> str:
    return ",".join(part.strip() for part in dn.lower().split(","))
