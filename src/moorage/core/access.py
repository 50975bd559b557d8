"""Who asks, what there is to be allowed, and what was.

Actions on a repository: `pull`; `push` (new content, new tags); `overwrite` (move a tag that is there); `delete`;
`admin` (of a project: settings, grants, robots). Docker's scopes know pull, push and delete.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PULL, PUSH, OVERWRITE, DELETE, ADMIN = "pull", "push", "overwrite", "delete", "admin"

NOTHING: frozenset[str] = frozenset()
EVERYTHING: frozenset[str] = frozenset({PULL, PUSH, OVERWRITE, DELETE, ADMIN})

ROLES: dict[str, frozenset[str]] = {
    "reader": frozenset({PULL}),
    "writer": frozenset({PULL, PUSH, OVERWRITE}),
    "maintainer": frozenset({PULL, PUSH, OVERWRITE, DELETE}),
    "admin": EVERYTHING,
}
"""What each role allows; a grant names one of them, or actions one by one."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One resource and the actions asked for on it, or allowed: `repository:team/app:pull,push`.

    type: `repository` or `registry`, or what a client made up (it is then granted nothing).
    actions: words as the client wrote them; `*` is all that may be granted.
    """

    type: str
    name: str
    actions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Binding:
    """Which project and repository a name means now: a name that was deleted and made again means others.

    repository: 0 where nothing was pushed to that name yet.
    """

    project: int
    repository: int

    def holds(self, project: int, repository: int) -> bool:
        """Whether what the name means now, by the ids of its project and of its repository, is what it meant."""
        return self.project == project and self.repository in (0, repository)


@dataclass(frozen=True, slots=True)
class TokenAccess:
    """What a Bearer token allows on one repository, and which one it was given for (None: another issuer's token)."""

    actions: frozenset[str]
    binding: Binding | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who was identified.

    Attributes:
        name: as shown in logs and in the tag history; empty for anonymous. A robot's is `<project>+<name>`.
        kind: `anonymous`, `user`, `robot`, or `external` (an issuer of `auth.token` vouches for a name of its own).
        id: of the row in `users` or `robots`; 0 where there is none (anonymous, htpasswd, external).
        admin: may do everything on the whole system.
        credential: how it was proved, for the audit log: `password`, `pat:<id>`, `secret:<id>`, `token:<jti>`,
            `session`, `certificate`, `oidc:<rule>`, `refresh:<id>`, `ldap:<name>`; `cli` for the user of the operating
            system who works on a root without a server; empty for anonymous.
        scopes: what the credential narrows its owner's rights to (a personal access token's); None: not at all.
        access: by repository name, what a Bearer token of ours allows; None for every other credential. With a
            token, nothing else is asked: it was asked when the token was given.
        catalog: whether a Bearer token allows the catalog; without meaning where `access` is None.
        pat: id of the personal access token that this is or goes back to (refresh tokens, Bearer tokens); 0: to none.
    """

    name: str
    kind: str = "user"
    id: int = 0
    admin: bool = False
    credential: str = ""
    scopes: tuple[Scope, ...] | None = None
    access: dict[str, TokenAccess] | None = field(default=None, hash=False)
    catalog: bool = False
    pat: int = 0


ANONYMOUS = Identity("", "anonymous")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for one use case, and from where: what the audit log wants to know.

    Attributes:
        identity: who.
        rights: the actions that are allowed on the repository (or project) that the request names.
        address: of the client, behind trusted proxies too; empty where there is none (CLI, jobs).
        request_id: of the request, as in the logs.
        bound: what the repository has to be for the rights to hold, where nobody has looked yet: the lookup that reads
            its content compares. None everywhere else.
    """

    identity: Identity
    rights: frozenset[str] = EVERYTHING
    address: str = ""
    request_id: str = ""
    bound: Binding | None = None

    @property
    def name(self) -> str:
        """The identity's name."""
        return self.identity.name


SYSTEM = Caller(Identity("", "system", admin=True, credential="system"))
"""The program itself: jobs, migrations, the first admin."""
