"""A repository policy as Amazon ECR has it, imported as grants.

Its meaning is kept where there is one here: `Allow` and `Deny`, principals and `ecr:` actions. What has none is
reported, and nothing is imported then unless the caller wants the rest; never without a `Deny` that could not be read.
As at ECR a document takes the place of the one before: what an earlier import for the same repository made goes, but
for what the new document says too, so that importing twice is as good as once, and one without statements removes all.
"""

from __future__ import annotations

import functools
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from moorage.accounts.grants import Grants, ShownGrant
from moorage.accounts.policy_rendering import DELETING, NOTE, PULLING, PUSHING, VERSIONS, Rendered, render
from moorage.accounts.wanted_grants import WantedGrant
from moorage.core.access import DELETE, OVERWRITE, PULL, PUSH
from moorage.core.errors import Conflict, Invalid
from moorage.metadata.grants import ALLOW, AUTHENTICATED, DENY, EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from moorage.core.access import Caller

MOST_STATEMENTS = 100

_TRIES = 3
"""How often an import begins anew where others change the same grants."""

_PULL, _PUSH, _DELETE = (frozenset(word.lower() for word in words) for words in (PULLING, PUSHING, DELETING))
_PARTS = ((_PULL, (PULL,)), (_PUSH, (PUSH, OVERWRITE)), (_DELETE, (DELETE,)))
_COME_ALONG = frozenset(
    {"ecr:batchchecklayeravailability", "ecr:describeimages", "ecr:listimages", "ecr:describerepositories"}
)
"""What whoever may pull or push can do anyway."""

_NEEDS_NOTHING = frozenset({"ecr:getauthorizationtoken"})
_KNOWN = _PULL | _PUSH | _DELETE | _COME_ALONG | _NEEDS_NOTHING
_MEMBERS = {"Sid", "Effect", "Principal", "Action"}
_KINDS = ("user", "group", "robot")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something of a document that could not be taken over.

    Attributes:
        statement: its `Sid`, or `#` and its number; empty for the document itself.
        message: what, and what to do about it.
        denies: whether it stands in a statement that denies: without it, more would be allowed than was meant.
    """

    statement: str
    message: str
    denies: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import: ids of grants, and what could not be taken over."""

    made: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    problems: tuple[Problem, ...] = ()


class PolicyDocuments:
    """The use cases of policy documents.

    Args:
        grants: makes the grants, and says who may.
    """

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    async def apply(
        self,
        caller: Caller,
        project_id: int,
        document: Mapping[str, object],
        *,
        repository: str = "",
        principals: Mapping[str, str] | None = None,
        partial: bool = False,
        dry_run: bool = False,
    ) -> Imported:
        """Make the grants of a project what the document's statements say.

        Args:
            caller: an admin of the project.
            project_id: where.
            document: as parsed from JSON.
            repository: which one of the project (a glob, too); empty for all.
            principals: from ARNs (or whatever stands in `Principal`) to `user:NAME`, `group:NAME` or `robot:NAME`.
            partial: take over what can be, although something cannot; never where that is part of a `Deny`.
            dry_run: only tell.

        Raises:
            ObjectUnknown, Denied: as for `Grants.create`.
            Invalid: a principal that there is not, or a pattern outside of the project.
            Conflict: others granted the same all the while.
        """
        wanted, problems = read_document(document, repository, principals or {})
        choose = functools.partial(_plan, wanted, problems, partial=partial)
        if dry_run:
            plan = choose(await self._grants.list_for(caller, project_id, repository))
            return Imported((), plan.kept, plan.old, plan.problems)
        for _ in range(_TRIES - 1):
            with suppress(Conflict):  # somebody granted the same at this moment
                return await self._exchange(caller, project_id, repository, choose)
        return await self._exchange(caller, project_id, repository, choose)

    async def show(self, caller: Caller, project_id: int, *, repository: str = "") -> Rendered:
        """The document whose import makes the grants that imports for a repository made.

        Args:
            caller: an admin of the project.
            project_id: where.
            repository: as it was given for the import.

        Raises:
            ObjectUnknown, Denied: as for `Grants.list`.
        """
        return render([one for one in await self._grants.list_for(caller, project_id, repository) if is_imported(one)])

    async def _exchange(
        self, caller: Caller, project_id: int, repository: str, choose: Callable[[Sequence[ShownGrant]], _Plan]
    ) -> Imported:
        plan, made = await self._grants.exchange(caller, project_id, repository, choose)
        return Imported(tuple(one.grant.id for one in made), plan.kept, plan.old, plan.problems)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to become of the grants for a repository; `old` are ids of imported ones that go.

    With problems that stop it, nothing goes and nothing comes.
    """

    fresh: tuple[WantedGrant, ...]
    kept: tuple[int, ...]
    old: tuple[int, ...]
    problems: tuple[Problem, ...]


def _plan(
    wanted: Sequence[WantedGrant], problems: Sequence[Problem], there: Sequence[ShownGrant], *, partial: bool
) -> _Plan:
    plan = _compared(wanted, there)
    problems = (*problems, *plan.problems)
    if problems and (not partial or any(problem.denies for problem in problems)):
        return _Plan((), plan.kept, (), problems)
    return replace(plan, problems=problems)


def _compared(wanted: Sequence[WantedGrant], there: Sequence[ShownGrant]) -> _Plan:
    """Compare what a document says with what there is. What somebody granted by hand stays, and is not said again."""
    imported = {shown.grant.id: shown for shown in there if is_imported(shown)}
    by_hand = {_said(shown): shown for shown in there if shown.grant.id not in imported}
    known = {(_said(shown), shown.grant.note, shown.grant.expires_at): row for row, shown in imported.items()}
    fresh, kept, problems = [], set(), []
    for grant in wanted:
        said = _wanted_said(grant)
        other = by_hand.get(said)
        if other is not None and other.grant.expires_at is not None:
            problems.append(Problem(grant.note.removeprefix(NOTE), _ends(other), grant.effect == DENY))
        elif other is not None:
            kept.add(other.grant.id)
        elif (said, grant.note, None) in known:
            kept.add(known[said, grant.note, None])
        else:
            fresh.append(grant)
    old = sorted(imported.keys() - kept)
    return _Plan(tuple(fresh), tuple(sorted(kept)), tuple(old), tuple(problems))


def is_imported(shown: ShownGrant) -> bool:
    """Whether a document made that grant, so that another one may remove it."""
    return shown.grant.note.startswith(NOTE)


def _ends(shown: ShownGrant) -> str:
    return f"Grant {shown.grant.id} says the same, but has an end; take that away, or remove the grant."


def read_document(
    document: Mapping[str, object], repository: str, principals: Mapping[str, str]
) -> tuple[list[WantedGrant], list[Problem]]:
    """The grants that a document comes to, and what of it comes to none.

    Raises:
        Invalid: it is no policy document at all.
    """
    statements = document.get("Statement")
    listed = [statements] if isinstance(statements, dict) else statements
    if not isinstance(listed, list) or len(listed) > MOST_STATEMENTS:
        raise Invalid(f"A policy document has a list of up to {MOST_STATEMENTS} statements in Statement.")
    problems = [
        Problem("", f"{member} has no meaning here; leave it out.")
        for member in document
        if member not in {"Version", "Id", "Statement"}
    ]
    if document.get("Version", VERSIONS[1]) not in VERSIONS:
        problems.append(Problem("", f"The Version is none of {', '.join(VERSIONS)}."))
    grants: dict[tuple[str, ...], WantedGrant] = {}
    for number, statement in enumerate(listed, 1):
        reading = _Statement(statement, number, principals)
        for grant in reading.grants():
            grants.setdefault(_wanted_said(grant), replace(grant, pattern=repository))
        problems += reading.problems
    return list(grants.values()), problems


class _Statement:
    """One statement on its way to grants.

    Args:
        statement: as parsed from JSON.
        number: its place in the document, from 1.
        principals: see `PolicyDocuments.apply`.
    """

    def __init__(self, statement: object, number: int, principals: Mapping[str, str]) -> None:
        self._content = statement if isinstance(statement, dict) else {}
        self._sid = _sid(self._content, number)
        self._denies = self._content.get("Effect") == "Deny"
        self._principals = principals
        self.problems: list[Problem] = []

    def grants(self) -> Iterator[WantedGrant]:
        """What it comes to; `problems` is complete afterwards."""
        if self._content.get("Effect") not in ("Allow", "Deny"):
            self._report("Effect must be Allow or Deny.")
            return
        for member in self._content:
            if member not in _MEMBERS:
                self._report(_WHY.get(member, f"{member} has no meaning here; leave it out."))
        if set(self._content) - _MEMBERS:
            return
        actions = self._actions()
        for kind, name in self._whom():
            if actions:
                effect = DENY if self._denies else ALLOW
                yield WantedGrant(kind, name, actions=actions, effect=effect, note=f"{NOTE}{self._sid}")

    def _actions(self) -> tuple[str, ...]:
        words = set()
        for given in _texts(self._content.get("Action")):
            fitting = {known for known in _KNOWN if fnmatchcase(known, given.lower())}
            if not fitting:
                self._report(f"The action {given[:100]} has no meaning here; grants know pull, push and delete.")
            words |= fitting
        if not words and not self.problems:
            self._report("Action is missing.")
        actions: list[str] = []
        for needed, ours in _PARTS:
            some = words & needed
            if some == needed or (some and self._denies):
                actions += ours
            elif some:
                rest = ", ".join(sorted(needed - words))
                self._report(f"{', '.join(sorted(some))} can be allowed only together with {rest}.")
        if words & _COME_ALONG and not actions and not self.problems:
            self._report(f"{', '.join(sorted(words & _COME_ALONG))} comes with the right to pull, and not alone.")
        if words and words <= _NEEDS_NOTHING:
            self._report(f"{', '.join(sorted(words))} needs no right here; leave it out.")
        return tuple(actions)

    def _whom(self) -> list[tuple[str, str]]:
        principal = self._content.get("Principal")
        given = [principal] if isinstance(principal, str) else []
        if isinstance(principal, dict):
            given = [text for each in principal.values() for text in _texts(each)]
        found = [self._one(text) for text in given]
        if not given:
            self._report("Principal is missing.")
        return [one for one in found if one is not None]

    def _one(self, text: str) -> tuple[str, str] | None:
        if text == "*":
            # At ECR that is everybody who has proved to be somebody. Who is to be kept out is so without a login, too.
            return (EVERYBODY if self._denies else AUTHENTICATED), ""
        kind, _, name = self._principals.get(text, text).partition(":")
        if kind in _KINDS and name:
            return kind, name
        self._report(f"Nobody here is known as {text[:200]}; say which user, group or robot that is.")
        return None

    def _report(self, message: str) -> None:
        self.problems.append(Problem(self._sid, message, self._denies))


_WHY = {
    "Condition": "Conditions cannot be checked here; leave the statement out, or make grants that need none.",
    "NotAction": "NotAction cannot be taken over; list the actions in Action.",
    "NotPrincipal": "NotPrincipal cannot be taken over; list whom it is for in Principal.",
    "Resource": "A repository's policy has no Resource: it counts where it is imported.",
}


def _texts(value: object) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [text for text in listed if isinstance(text, str)]


def _sid(statement: Mapping[str, object], number: int) -> str:
    sid = statement.get("Sid")
    return sid[:100] if isinstance(sid, str) and sid.isprintable() and sid else f"#{number}"


def _said(shown: ShownGrant) -> tuple[str, ...]:
    grant = shown.grant
    return grant.principal_kind, shown.principal, grant.effect, grant.role, grant.actions


def _wanted_said(grant: WantedGrant) -> tuple[str, ...]:
    return grant.kind, grant.principal, grant.effect, grant.role, ",".join(grant.actions)
