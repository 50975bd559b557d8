"""What an identity gets to see in lists: the catalog, projects. Whole pages, and nothing hidden is walked past.

Names are sorted, and what somebody may see lies in few stretches of them: the subtrees of granted projects, the
beginnings of granted patterns, and public projects. The list goes from stretch to stretch.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import merge
from itertools import groupby, islice
from typing import TYPE_CHECKING

from sqlalchemy import select

from moorage.accounts.decision import decide, owner_of
from moorage.core.access import PULL
from moorage.core.globs import literal_prefix, matches
from moorage.metadata.grants import DENY, grants_to, project_of_robot
from moorage.metadata.pages import Page
from moorage.metadata.projects import find_project_by_name, is_within, list_projects, list_public_projects
from moorage.metadata.repositories import list_repositories
from moorage.metadata.tables import repositories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from moorage.core.access import Identity, Scope
    from moorage.metadata.grants import Grant
    from moorage.metadata.projects import Project

_END = "\U0010ffff"
_FIRST, _BATCH = 16, 128
"""Rows of the first query of a stretch, and of each after it."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Names from `start` on and before `stop` that fit `glob`."""

    start: str
    stop: str
    glob: str = ""


def visible_repositories(connection: Connection, identity: Identity, after: str, limit: int, now: float) -> list[str]:
    """Up to `limit` names of repositories after `after` that the identity may pull, in byte order."""
    identity = owner_of(connection, identity)
    if identity.kind == "system" or (identity.admin and identity.scopes is None):
        return list_repositories(connection, after, limit)
    given = [] if identity.admin else grants_to(connection, identity, now)
    stretches = [_Stretch("", _END)] if identity.admin else _own(connection, identity, given)
    if identity.scopes is not None:
        stretches = _cut(stretches, identity.scopes)
    walks = [_walk(connection, stretch, after) for stretch in stretches]
    walks.append(_public(connection, after))
    names = _once(merge(*walks))
    if identity.scopes is not None or any(grant.effect == DENY for grant in given):
        names = (name for name in names if PULL in decide(connection, identity, name, now).actions)
    return list(islice(names, limit))


def visible_projects(connection: Connection, identity: Identity, page: Page, now: float) -> list[Project]:
    """A page of projects that the identity may do something in.

    Those are the public ones, and what is granted: the subtrees of granted projects, in each of which a page is looked
    for, so that hidden ones in between are never walked.
    """
    given = [] if identity.admin else grants_to(connection, identity, now)
    roots = sorted({""} if identity.admin else {grant.project for grant in given if grant.effect != DENY})
    outer = [name for name in roots if not any(is_within(name, other) for other in roots if other != name)]
    walks = [_projects_below(connection, name, page) for name in outer]
    walks.append(_pages(lambda part: list_public_projects(connection, part), page))
    merged = merge(*walks, key=lambda project: project.name)
    found = (next(same) for _, same in groupby(merged, key=lambda project: project.name))
    seen = (project for project in found if decide(connection, identity, project.name, now).actions)
    return list(islice(seen, page.limit))


def _projects_below(connection: Connection, name: str, page: Page) -> Iterator[Project]:
    """A project and those nested in it, as far as the page wants them."""
    if name and name > page.after and name.startswith(page.prefix):
        own = find_project_by_name(connection, name)
        if own is not None:
            yield own
    below = f"{name}/" if name else ""
    narrower = max(below, page.prefix, key=len)
    if narrower.startswith(below) and narrower.startswith(page.prefix):
        yield from _pages(lambda part: list_projects(connection, part), Page(page.after, page.limit, narrower))


def _pages(fetch: Callable[[Page], list[Project]], page: Page) -> Iterator[Project]:
    after = page.after
    while True:
        found = fetch(Page(after, _BATCH, page.prefix))
        yield from (project for project in found if project.name)
        if len(found) < _BATCH:
            return
        after = found[-1].name


def _own(connection: Connection, identity: Identity, given: list[Grant]) -> list[_Stretch]:
    """Where grants let the identity pull; a robot's own only at home."""
    home = project_of_robot(connection, identity.id) if identity.kind == "robot" and identity.id else None
    found: list[_Stretch] = []
    for grant in given:
        if grant.effect == DENY or PULL not in grant.words():
            continue
        bound = home if grant.principal_kind == "robot" else None
        if bound is None or is_within(grant.project, bound):
            found += _stretches(grant.project, grant.pattern)
        elif is_within(bound, grant.project):
            found += _stretches(bound, grant.pattern)
    return _reduced(found)


def _stretches(project: str, pattern: str) -> list[_Stretch]:
    whole = [(project, f"{project}\0"), (f"{project}/", f"{project}0")] if project else [("", _END)]
    begin = literal_prefix(pattern)
    cut = [(max(start, begin), min(stop, begin + _END)) for start, stop in whole]
    return [_Stretch(start, stop, pattern) for start, stop in cut if start < stop]


def _reduced(found: list[_Stretch]) -> list[_Stretch]:
    """Without those that lie in another one that takes every name."""
    whole = [stretch for stretch in found if not stretch.glob]
    kept: list[_Stretch] = []
    for stretch in dict.fromkeys(found):
        others = (other for other in whole if other != stretch)
        if not any(other.start <= stretch.start and stretch.stop <= other.stop for other in others):
            kept.append(stretch)
    return kept


def _cut(stretches: list[_Stretch], scopes: tuple[Scope, ...]) -> list[_Stretch]:
    """What of the stretches lies where the scopes of a credential let it look."""
    looked_at = [_Stretch(begin, begin + _END) for begin in {literal_prefix(scope.name) for scope in scopes}]
    return [
        _Stretch(max(one.start, other.start), min(one.stop, other.stop), one.glob)
        for one in stretches
        for other in looked_at
        if max(one.start, other.start) < min(one.stop, other.stop)
    ]


def _walk(connection: Connection, stretch: _Stretch, after: str) -> Iterator[str]:
    """Names of a stretch behind `after`, fetched in batches."""
    column, size = repositories.c.name, _FIRST
    # NUL stands for "the very next name" and is no character of PostgreSQL's texts.
    low = column >= stretch.start if stretch.start > after else column > after
    high = column <= stretch.stop[:-1] if stretch.stop.endswith("\0") else column < stretch.stop
    while True:
        names = list(connection.scalars(select(column).where(low, high).order_by(column).limit(size)))
        yield from (name for name in names if matches(stretch.glob, name))
        if len(names) < size:
            return
        low, size = column > names[-1], _BATCH


def _public(connection: Connection, after: str) -> Iterator[str]:
    """Names behind `after` in public projects."""
    name, size = repositories.c.name, _FIRST
    while True:
        statement = select(name).where(repositories.c.public, name > after).order_by(name).limit(size)
        names = list(connection.scalars(statement))
        yield from names
        if len(names) < size:
            return
        after, size = names[-1], _BATCH


def _once(names: Iterator[str]) -> Iterator[str]:
    last = None
    for name in names:
        if name != last:
            yield name
        last = name
