"""Keys: directories (LDAP, Active Directory) whose users come in with their passwords there."""

from __future__ import annotations

from moorage.config.keys import Key, Kind, Source


def _own(name: str, kind: Kind, note: str, example: str = "", default: str = "") -> Key:
    return Key(f"auth.local.ldap[].{name}", kind, note, example=example, default=default, source=Source.OWN)


_DEFAULT_FILTER = (
    "(uid={user}), with `activedirectory` (&(objectCategory=person)(objectClass=user)(sAMAccountName={user}))"
)

LDAP = (
    Key(
        "auth.local.ldap",
        Kind.ENTRIES,
        "Directories whose users come in with their passwords there, asked in this order after our own users.",
        example="[{name: corp, urls: ['ldaps://ldap.example.com'], basedn: 'ou=people,dc=example,dc=com'}]",
        source=Source.OWN,
    ),
    _own(
        "name",
        Kind.TEXT,
        "What the directory is called here. Required; its users are known by it, so it must not change.",
        "corp",
    ),
    _own(
        "urls",
        Kind.TEXTS,
        "Servers, tried in this order: `ldaps://host[:636]` or `ldap://host[:389]`. Required.",
        "['ldaps://ldap1.example.com', 'ldaps://ldap2.example.com']",
    ),
    _own("starttls", Kind.FLAG, "Switch to TLS on `ldap://` before anything else is said.", "true", "false"),
    _own(
        "ca",
        Kind.PATH,
        "PEM file of the authorities to trust. The certificate must be for the host of the URL.",
        "/etc/moorage/ldap-ca.pem",
        "the system's",
    ),
    Key(
        "auth.local.ldap[].type",
        Kind.WORD,
        "Which defaults count for `filter`, `attributes` and `groups`.",
        example="activedirectory",
        default="ldap",
        source=Source.OWN,
        choices=("ldap", "activedirectory"),
    ),
    _own(
        "binddn",
        Kind.TEXT,
        "The account that searches for people and groups.",
        "cn=moorage,ou=services,dc=example,dc=com",
        "none: searches are anonymous",
    ),
    Key(
        "auth.local.ldap[].bindpassword",
        Kind.TEXT,
        "Its password.",
        example="a-secret",
        source=Source.OWN,
        secret=True,
    ),
    Key(
        "auth.local.ldap[].bindpasswordfile",
        Kind.PATH,
        "File with that password; read whenever it is needed.",
        example="/run/secrets/ldap",
        source=Source.OWN,
    ),
    _own("basedn", Kind.TEXT, "Where people are. Required.", "ou=people,dc=example,dc=com"),
    _own(
        "filter",
        Kind.TEXT,
        "What finds a person; `{user}` is what was typed, escaped. It must find exactly one entry.",
        "(&(objectClass=inetOrgPerson)(uid={user}))",
        _DEFAULT_FILTER,
    ),
    _own("attributes", Kind.SECTION, "Where an entry says what we want to know."),
    _own("attributes.name", Kind.TEXT, "The user's name here.", "uid", "uid (sAMAccountName)"),
    _own("attributes.mail", Kind.TEXT, "The user's mail address.", "mail", "mail"),
    _own(
        "attributes.subject",
        Kind.TEXT,
        "What never changes about a person, also when the name does.",
        "entryUUID",
        "entryUUID or objectGUID, else the DN",
    ),
    _own("groups", Kind.SECTION, "Groups of the directory that become groups here, by name."),
    Key(
        "auth.local.ldap[].groups.how",
        Kind.WORD,
        "`search`: groups that list the person. `memberof`: groups that the person's `memberOf` lists. `chain`: as "
        "`search`, with Active Directory's rule that follows nested groups. `none`: groups are managed here.",
        example="memberof",
        default="search (chain) when `groups.basedn` is given, else none",
        source=Source.OWN,
        choices=("search", "memberof", "chain", "none"),
    ),
    _own("groups.basedn", Kind.TEXT, "Where groups are.", "ou=groups,dc=example,dc=com"),
    _own("groups.filter", Kind.TEXT, "What else a group must fulfil.", "(objectClass=groupOfNames)", "(objectClass=*)"),
    _own("groups.member", Kind.TEXT, "Attribute of a group that lists its members.", "uniqueMember", "member"),
    Key(
        "auth.local.ldap[].groups.members",
        Kind.WORD,
        "What that attribute holds: DNs, or user names as `memberUid` does (such groups do not nest).",
        example="names",
        default="dns",
        source=Source.OWN,
        choices=("dns", "names"),
    ),
    _own("groups.name", Kind.TEXT, "Attribute that is the group's name here.", "cn", "cn"),
    _own("groups.nested", Kind.FLAG, "Whether groups of groups count.", "false", "true"),
    _own(
        "requiredgroup",
        Kind.TEXT,
        "DN or name of a group; whoever is not in it does not come in.",
        "cn=registry,ou=groups,dc=example,dc=com",
    ),
    _own(
        "admingroup",
        Kind.TEXT,
        "DN or name of the group whose members are admins of the system; others then are not.",
        "cn=registry-admins,ou=groups,dc=example,dc=com",
        "none: admins are made here",
    ),
    Key(
        "auth.local.ldap[].connecttimeout",
        Kind.DURATION,
        "Longest that making a connection may take, and a bind of the account that searches.",
        example="2s",
        default="3s",
        source=Source.OWN,
        least=0.1,
        unit_required=True,
    ),
    Key(
        "auth.local.ldap[].timeout",
        Kind.DURATION,
        "Longest that one login may take; after that it is answered with 503.",
        example="5s",
        default="10s",
        source=Source.OWN,
        least=0.5,
        unit_required=True,
    ),
    Key(
        "auth.local.ldap[].connections",
        Kind.COUNT,
        "Most connections of each worker.",
        example="8",
        default="4",
        source=Source.OWN,
        least=1,
    ),
)
