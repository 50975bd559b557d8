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

from moorage.accounts.decision import allowed_by, home_of, is_almighty, owner_of, weigh
from moorage.core.access import PULL
from moorage.core.globs import literal_prefix, matches
from moorage.metadata.blobs import find_source, links_from, source_among
from moorage.metadata.grants import DENY, grants_to
from moorage.metadata.pages import Page
from moorage.metadata.projects import find_project_by_name, is_within, list_projects, list_public_projects
from moorage.metadata.repositories import list_repositories
from moorage.metadata.tables import repositories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import ColumnElement, Connection

    from moorage.core.access import Identity, Scope
    from moorage.metadata.grants import Grant
    from moorage.metadata.projects import Project

_END = "\U0010ffff"
_FIRST, _BATCH = 16, 128
"""Rows of the first query of a stretch, and of each after it."""

MOST_SOURCES = 500
"""Repositories that are looked at for a mount that names none: a millisecond on SQLite, where that is all one does."""

MOST_HOLDERS = 1000
"""Of those that have the blob, how many are looked at for who sees more repositories than that."""

_MOST_WEIGHED = 20_000
"""Grants that are weighed for that, in some 15 milliseconds: who has more than twenty looks at fewer repositories."""

MOST_LOOKED_AT = 1000
"""Names that are looked at for one page of a search: 4 to 15 ms on SQLite, where that is all one does."""

PROJECT, REPOSITORY = "project", "repository"

_Found = tuple[str, bool]
"""A repository's name, and whether it is public."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Names from `start` on and before `stop` that fit `glob`."""

    start: str
    stop: str
    glob: str = ""


@dataclass(frozen=True, slots=True)
class _View:
    """What decides about what somebody sees.

    Attributes:
        identity: who; the owner, where a Bearer token asks.
        given: grants that count for them now.
        home: what a robot is bound to.
        stretches: where grants let them pull, as far as the scopes of their credential go.
    """

    identity: Identity
    given: list[Grant]
    home: str | None
    stretches: list[_Stretch]

    @property
    def is_whole(self) -> bool:
        """Whether all there is is seen: nothing has to be looked for."""
        return not self.is_broken and _Stretch("", _END) in self.stretches

    @property
    def is_broken(self) -> bool:
        """Whether something in the stretches may be hidden."""
        return self.identity.scopes is not None or any(grant.effect == DENY for grant in self.given)

    def shows(self, name: str, *, public: bool) -> bool:
        """Whether a repository may be pulled."""
        return PULL in self.allows(name, public=public)

    def allows(self, name: str, *, public: bool) -> frozenset[str]:
        """What may be done on a repository or project."""
        return allowed_by(weigh(self.identity, self.given, self.home, name, "" if public else None))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for.

    Attributes:
        text: a part of a name.
        kinds: of `project` and `repository`.
        after: name and kind of the last one of the page before; empty for the beginning.
        limit: how many are wanted.
    """

    text: str
    kinds: tuple[str, ...] = (PROJECT, REPOSITORY)
    after: tuple[str, str] = ("", "")
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found; `id`: a project's."""

    name: str
    kind: str
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A page of what was found, and where the next one begins behind; None: that was all."""

    hits: list[Hit]
    next: tuple[str, str] | None


class _Bound:
    """Of each stretch so many rows are looked at.

    Attributes:
        most: how many.
        reached: whether some stretch has more.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.reached = False

    def first(self, rows: Iterator[_Found]) -> Iterator[_Found]:
        """The first of them."""
        for number, row in enumerate(rows):
            if number == self.most:
                self.reached = True
                return
            yield row


def visible_repositories(connection: Connection, identity: Identity, after: str, limit: int, now: float) -> list[str]:
    """Up to `limit` names of repositories after `after` that the identity may pull, in byte order."""
    view = _view(connection, identity, now)
    if view.is_whole:
        return list_repositories(connection, after, limit)
    return list(islice(_seen(connection, view, after), limit))


def visible_source(connection: Connection, identity: Identity, digest: str, now: float) -> str | None:
    """The name of a repository that links a blob and that the identity may pull.

    Of those that it sees, the first `MOST_SOURCES` are looked at; where there are more, the first `MOST_HOLDERS` of
    those that link the blob as well; all of them where it sees everything.
    """
    view = _view(connection, identity, now)
    if view.is_whole:
        return find_source(connection, digest)
    bound = _Bound(MOST_SOURCES)
    names = list(islice(_seen(connection, view, "", bound), MOST_SOURCES))
    found = source_among(connection, digest, names)
    if found is not None or not (bound.reached or len(names) == MOST_SOURCES):
        return found
    return _holder(connection, view, digest)


def _holder(connection: Connection, view: _View, digest: str) -> str | None:
    """As `visible_source`, by who links the blob. Its neighbours are weighed, too, so that the time tells nothing."""
    most = max(1, min(MOST_HOLDERS, _MOST_WEIGHED // (len(view.given) + 1)))
    links = links_from(connection, digest, most)
    shown = [(link, name) for link, name, public in links if view.shows(name, public=public)]
    return next((name for link, name in shown if link == digest), None)


def _view(connection: Connection, identity: Identity, now: float) -> _View:
    who = owner_of(connection, identity)
    home = home_of(connection, who)
    given = [] if is_almighty(who) else grants_to(connection, who, now)
    stretches = [_Stretch("", _END)] if is_almighty(who) else _own(given, home)
    return _View(who, given, home, stretches if who.scopes is None else _cut(stretches, who.scopes))


def _seen(connection: Connection, view: _View, after: str, bound: _Bound | None = None) -> Iterator[str]:
    """Names of repositories behind `after` that may be pulled; with a bound, out of the first of each stretch."""
    walks = [_walk(connection, stretch, after, bound) for stretch in view.stretches]
    found = _once(merge(*walks, _public(connection, after, bound)))
    return (name for name, public in found if not view.is_broken or view.shows(name, public=public))


def visible_projects(connection: Connection, identity: Identity, page: Page, now: float) -> list[Project]:
    """A page of projects that the identity may do something in.

    Those are the public ones, and what is granted: the subtrees of granted projects, in each of which a page is looked
    for, so that hidden ones in between are never walked.
    """
    return list(islice(_projects(connection, _view(connection, identity, now), page), page.limit))


def search(connection: Connection, identity: Identity, wanted: Wanted, now: float) -> Found:
    """Projects and repositories of those that the identity sees, whose names have a text in them, in byte order.

    Names are looked at one after the other along the index, at most `MOST_LOOKED_AT` of those that are seen; what is
    hidden neither counts nor is told of, so that it makes no difference to the answer.
    """
    view = _view(connection, identity, now)
    found: list[Hit] = []
    last: tuple[str, str] | None = None
    for looked, hit in enumerate(_hits(connection, view, wanted)):
        if looked >= MOST_LOOKED_AT:
            return Found(found, last)
        if wanted.text in hit.name:
            if len(found) == wanted.limit:
                return Found(found, (found[-1].name, found[-1].kind))
            found.append(hit)
        last = (hit.name, hit.kind)
    return Found(found, None)


def _hits(connection: Connection, view: _View, wanted: Wanted) -> Iterator[Hit]:
    """All that is seen behind `wanted.after`."""
    name, kind = wanted.after
    # The repository of that name comes after the project of that name: begin at the last text before it.
    before = f"{name[:-1]}{chr(ord(name[-1]) - 1)}{_END}" if name and kind == PROJECT else name
    repositories_ = (Hit(each, REPOSITORY) for each in _names(connection, view, before))
    projects = (Hit(each.name, PROJECT, each.id) for each in _projects(connection, view, Page(name)))
    walks = {REPOSITORY: repositories_, PROJECT: projects}
    return merge(*(walks[each] for each in wanted.kinds), key=lambda hit: (hit.name, hit.kind))


def _names(connection: Connection, view: _View, after: str) -> Iterator[str]:
    """Names of repositories behind `after` that are seen."""
    if not view.is_whole:
        return _seen(connection, view, after)
    name = repositories.c.name
    return (each for each, _ in _batches(connection, name > after, name < _END))


def _projects(connection: Connection, view: _View, page: Page) -> Iterator[Project]:
    """Projects from the beginning of a page on, without end, in which something may be done."""
    everywhere = is_almighty(view.identity)
    roots = sorted({""} if everywhere else {grant.project for grant in view.given if grant.effect != DENY})
    outer = [name for name in roots if not any(is_within(name, other) for other in roots if other != name)]
    walks = [_projects_below(connection, name, page) for name in outer]
    walks.append(_pages(lambda part: list_public_projects(connection, part), page))
    merged = merge(*walks, key=lambda project: project.name)
    found = (next(same) for _, same in groupby(merged, key=lambda project: project.name))
    return (project for project in found if view.allows(project.name, public=project.public))


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


def _own(given: list[Grant], home: str | None) -> list[_Stretch]:
    """Where grants let somebody pull; what is granted to a robot itself counts at its home only."""
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


def _walk(connection: Connection, stretch: _Stretch, after: str, bound: _Bound | None) -> Iterator[_Found]:
    """Of a stretch, what is behind `after` and fits."""
    name = repositories.c.name
    low = name >= stretch.start if stretch.start > after else name > after
    # NUL stands for "the very next name" and is no character of PostgreSQL's texts.
    high = name <= stretch.stop[:-1] if stretch.stop.endswith("\0") else name < stretch.stop
    rows = _batches(connection, low, high)
    return (row for row in (bound.first(rows) if bound else rows) if matches(stretch.glob, row[0]))


def _public(connection: Connection, after: str, bound: _Bound | None) -> Iterator[_Found]:
    """What is behind `after` in public projects."""
    rows = _batches(connection, repositories.c.name > after, repositories.c.public)
    return bound.first(rows) if bound else rows


def _batches(connection: Connection, low: ColumnElement[bool], also: ColumnElement[bool]) -> Iterator[_Found]:
    """Repositories from a name on, fetched in batches."""
    name, size = repositories.c.name, _FIRST
    while True:
        statement = select(name, repositories.c.public).where(low, also).order_by(name).limit(size)
        rows = [(str(row[0]), bool(row[1])) for row in connection.execute(statement)]
        yield from rows
        if len(rows) < size:
            return
        low, size = name > rows[-1][0], _BATCH


def _once(found: Iterator[_Found]) -> Iterator[_Found]:
    last = None
    for name, public in found:
        if name != last:
            yield name, public
        last = name
