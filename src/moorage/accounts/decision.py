"""The decision who may do what on a repository, with the reasons for it. Everything else asks this.

What is allowed is the union of what grants on the chain of projects allow (to oneself, one's groups, everybody who is
authenticated, everybody), and pull where the innermost project is public; less whatever a grant denies. What a robot
of a project is granted outside of it does not count. A credential of limited scopes gets no more than those say, but
never less than anonymous.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from moorage.core.access import ADMIN, EVERYTHING, NOTHING, OVERWRITE, PULL, PUSH
from moorage.core.globs import matches
from moorage.core.scopes import parse_scopes
from moorage.metadata.access_tokens import find_token
from moorage.metadata.grants import DENY, EVERYBODY, grants_on, project_of_robot
from moorage.metadata.projects import chain_of, is_within
from moorage.metadata.users import find_user

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection

    from moorage.core.access import Identity, Scope
    from moorage.metadata.grants import Grant
    from moorage.metadata.projects import Project

SYSTEM, ADMIN_OF_ALL, GRANT, PUBLIC, ROBOT, SCOPES = "system", "admin", "grant", "public", "robot", "scopes"


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that had a say.

    Attributes:
        kind: `admin` (of the whole system), `system` (the program itself), `grant`, `public` (the project),
            `robot` (bound to its project) or `scopes` (of the credential).
        actions: what it gave, or took away.
        gives: whether it gave.
        grant: which one, for kind `grant`.
        project: where.
    """

    kind: str
    actions: frozenset[str]
    gives: bool
    grant: Grant | None = None
    project: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What an identity may do on a name, the project it belongs to, and every rule that had a say, in order."""

    actions: frozenset[str]
    project: Project
    reasons: tuple[Reason, ...]


def decide(connection: Connection, identity: Identity, name: str, now: float) -> Decision:
    """What `identity` may do on the repository or project `name`, whether there is one or not."""
    identity = owner_of(connection, identity)
    chain = chain_of(connection, name)
    given = grants_on(connection, identity, [project.id for project in chain], now) if not is_almighty(identity) else []
    public = chain[-1].name if chain[-1].public else None
    reasons = weigh(identity, given, home_of(connection, identity), name, public)
    return Decision(allowed_by(reasons), chain[-1], tuple(reasons))


def weigh(identity: Identity, given: Iterable[Grant], home: str | None, name: str, public: str | None) -> list[Reason]:
    """The rules that have a say about a name, without asking the database.

    Args:
        identity: who; see `owner_of`.
        given: all grants that count for it now on the chain of projects; others do no harm.
        home: what a robot is bound to; see `home_of`.
        name: of the repository or project.
        public: the name of its project where that is public, else None.
    """
    reasons = list(_given(identity, given, name, public))
    for_all = allowed_by(reason for reason in reasons if _is_for_all(reason))
    allowed = allowed_by(reasons)
    for kind, kept, where in _limits(identity, home, name):
        lost = allowed - kept - for_all
        if kind == ROBOT:
            lost -= allowed_by(reason for reason in reasons if not _is_for_robots(reason))
        reasons.append(Reason(kind, lost, gives=False, project=where))
        allowed -= lost
    return reasons


def is_almighty(identity: Identity) -> bool:
    """Whether grants do not limit it; the scopes of a credential still do."""
    return identity.admin or identity.kind == "system"


def home_of(connection: Connection, identity: Identity) -> str | None:
    """The project that a robot is bound to; None for everybody else, and for robots of the system."""
    return project_of_robot(connection, identity.id) if identity.kind == "robot" and identity.id else None


def owner_of(connection: Connection, identity: Identity) -> Identity:
    """Whom a registry token was given to, and as far as the credential went that it was got with.

    The token says neither what its owner may beyond it, nor whether that is an admin; so it is looked up, and only
    where somebody asks for more than the token allows by itself (mounts, lists).
    """
    if identity.access is None:
        return identity
    user = find_user(connection, identity.id) if identity.kind == "user" and identity.id else None
    gone = identity.kind == "user" and (user is None or user.disabled)
    scopes = () if gone else _scopes_of(connection, identity.pat)
    return replace(identity, access=None, admin=user is not None and user.admin, scopes=scopes)


def _scopes_of(connection: Connection, pat: int) -> tuple[Scope, ...] | None:
    """What a personal access token narrows its owner to; one that was revoked leaves nothing."""
    if not pat:
        return None
    token = find_token(connection, pat)
    if token is None:
        return ()
    return tuple(parse_scopes(token.scopes)) if token.scopes else None


def narrowed(scopes: tuple[Scope, ...], name: str) -> frozenset[str]:
    """What the scopes of a credential leave on a repository: Docker's `push` moves tags too, `*` is everything."""
    words: frozenset[str] = NOTHING.union(
        *(scope.actions for scope in scopes if scope.type == "repository" and matches(scope.name, name))
    )
    if "*" in words:
        return EVERYTHING
    return words | {OVERWRITE} if PUSH in words else words


def _given(identity: Identity, given: Iterable[Grant], name: str, public: str | None) -> Iterator[Reason]:
    if is_almighty(identity):
        yield Reason(SYSTEM if identity.kind == "system" else ADMIN_OF_ALL, EVERYTHING, gives=True)
        return
    for grant in given:
        words = _words_on(grant, name) if is_within(name, grant.project) else NOTHING
        if words:
            yield Reason(GRANT, words, gives=grant.effect != DENY, grant=grant, project=grant.project)
    if public is not None:
        yield Reason(PUBLIC, frozenset({PULL}), gives=True, project=public)


def _words_on(grant: Grant, name: str) -> frozenset[str]:
    """What a grant says about a name in its project.

    `admin` is about a project as a whole: with a pattern it is never given, though the project's own name may fit. It
    is taken away where the pattern takes all that is below.
    """
    words = grant.words() if matches(grant.pattern, name) else NOTHING
    if not grant.pattern:
        return words
    if grant.effect != DENY:
        return words - {ADMIN}
    below = grant.pattern.endswith("/**") and matches(grant.pattern[:-3], name)
    return words | (grant.words() & {ADMIN}) if below else words


def _limits(identity: Identity, home: str | None, name: str) -> list[tuple[str, frozenset[str], str]]:
    """What narrows an identity: its kind, what is left by it, and the project that a robot is bound to."""
    limits = []
    if home is not None and not is_within(name, home):
        limits.append((ROBOT, NOTHING, home))
    if identity.scopes is not None:
        limits.append((SCOPES, narrowed(identity.scopes, name), ""))
    return limits


def allowed_by(reasons: Iterable[Reason]) -> frozenset[str]:
    """What some rules come to; one that takes away wins."""
    gathered = list(reasons)
    given: frozenset[str] = NOTHING.union(*(reason.actions for reason in gathered if reason.gives))
    return given.difference(*(reason.actions for reason in gathered if not reason.gives))


def _is_for_all(reason: Reason) -> bool:
    """Whether anonymous has it too: no credential may have less. What takes away counts in any case."""
    everybody = reason.grant is not None and reason.grant.principal_kind == EVERYBODY
    return reason.kind == PUBLIC or everybody or not reason.gives


def _is_for_robots(reason: Reason) -> bool:
    """Whether it was given to a robot by name."""
    return reason.gives and reason.grant is not None and reason.grant.principal_kind == "robot"
