"""What the operator decides about one directory (LDAP, Active Directory)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

SEARCH, MEMBEROF, CHAIN, NO_GROUPS = "search", "memberof", "chain", "none"


@dataclass(frozen=True, slots=True)
class LdapGroups:
    """How the groups of a person are found.

    how: "search" (groups that list the person), "memberof" (the person lists them), "chain" (search with Active
        Directory's rule LDAP_MATCHING_RULE_IN_CHAIN, which finds nested ones at once), or "none".
    base: where groups are; of "search" and "chain".
    filter: what else a group has to fulfil; of "search" and "chain".
    member: attribute of a group that lists its members.
    by_name: that attribute holds user names (posixGroup's memberUid) and no DNs; such groups do not nest.
    name: attribute that becomes the name of the group here.
    nested: whether groups of groups count.
    """

    how: str = NO_GROUPS
    base: str = ""
    filter: str = "(objectClass=*)"
    member: str = "member"
    by_name: bool = False
    name: str = "cn"
    nested: bool = True


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """One directory.

    Attributes:
        name: what it is called here; its users' source is `ldap:<name>`, so it must not change.
        urls: `ldap://` or `ldaps://host[:port]`, tried in this order.
        starttls: switch to TLS on `ldap://` before anything else is said.
        ca: PEM file of the authorities to trust; None for the system's.
        bind_dn, bind_password: the account that searches; both empty for anonymous searches.
        bind_password_file: holds the password where the configuration does not; read at each bind.
        base: where people are.
        filter: what finds a person; `{user}` is what was typed, escaped.
        name_attribute, mail_attribute: what becomes the user's name and address here.
        subject_attribute: what never changes about a person; "" for entryUUID or objectGUID, whichever there is.
        groups: see `LdapGroups`.
        required_group: DN or name of a group without which nobody comes in; "" for none.
        admin_group: DN or name of the group whose members are admins of the system; "" leaves that to us.
        connect_seconds: longest that making a connection may take, TLS included.
        seconds: longest that one login may take altogether.
        connections: most connections, and so logins at the same time, of one worker.
    """

    name: str
    urls: tuple[str, ...]
    base: str
    starttls: bool = False
    ca: Path | None = None
    bind_dn: str = ""
    bind_password: str = field(default="", repr=False)
    bind_password_file: Path | None = None
    filter: str = "(uid={user})"
    name_attribute: str = "uid"
    mail_attribute: str = "mail"
    subject_attribute: str = ""
    groups: LdapGroups = field(default_factory=LdapGroups)
    required_group: str = ""
    admin_group: str = ""
    connect_seconds: float = 3.0
    seconds: float = 10.0
    connections: int = 4
