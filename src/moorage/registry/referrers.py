"""Listing referrers: what names a manifest as its subject (distribution specification, "Listing Referrers").

Clients that found no referrers API kept an index under the tag `sha256-<hex>`; what it lists is part of the answer,
so that nothing attached before is lost (specification, "Enabling the Referrers API").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from moorage.core.manifest import MAX_MEDIA_TYPE
from moorage.core.media_types import OCI_INDEX
from moorage.core.names import fallback_tag
from moorage.metadata.manifests import payload_of
from moorage.metadata.referrers import Referrer, list_referrers, referring
from moorage.metadata.repositories import find_repository
from moorage.metadata.tags import tag_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from moorage.core.digest import Digest
    from moorage.registry.parts import Parts

PAGE_BYTES = 4 * 1024 * 1024 - 1024
"""Room for descriptors on one page: several clients read no second page, and none takes 4 MiB or more. What is around
them takes about a hundred bytes."""

_STEP = 500


@dataclass(frozen=True, slots=True)
class ReferrersPage:
    """Descriptors as JSON, oldest first; `next_after` is where the next page goes on, None at the end."""

    descriptors: list[bytes]
    next_after: int | None


class Referrers:
    """The use case of listing referrers."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.database

    async def of(
        self, name: str, subject: Digest, types: tuple[str, ...], wanted: int | None, after: int
    ) -> ReferrersPage:
        """The referrers of `subject` in a repository; none where either is unknown.

        Args:
            name: of the repository.
            subject: need not be there itself.
            types: artifact types of which to list any (the union); all where empty.
            wanted: descriptors on the page at most; None: as many as fit.
            after: where the page before ended, 0 for the first.
        """
        return await self._database.read(lambda connection: _page(connection, name, subject, types, wanted, after))


def _page(
    connection: Connection, name: str, subject: Digest, types: tuple[str, ...], wanted: int | None, after: int
) -> ReferrersPage:
    repository = find_repository(connection, name)
    storable = tuple(kind for kind in types if "\0" not in kind)  # PostgreSQL takes no text with a NUL in it
    if repository is None or wanted == 0 or (types and not storable):
        return ReferrersPage([], None)
    page = _Filling(wanted)
    seen = after // 2
    if after == 0 or after % 2:
        listed = _from_fallback_tag(connection, repository, subject, storable)
        for number, descriptor in enumerate(listed[seen:], seen):
            if not page.add(descriptor):
                return ReferrersPage(page.descriptors, _in_fallback(number))
        after, seen = _in_fallback(len(listed)), 0
    while True:
        rows = list_referrers(connection, repository, subject, types=storable, after=seen, limit=_STEP, room=PAGE_BYTES)
        for row in rows:
            if not page.add(_descriptor(row)):
                return ReferrersPage(page.descriptors, after)
            seen = row.id
            after = _in_facts(seen)
        if len(rows) < _STEP and sum(row.size for row in rows) < PAGE_BYTES:
            return ReferrersPage(page.descriptors, None)


def _in_fallback(number: int) -> int:
    """Where a page goes on that ended before entry `number` of the fallback tag's index: odd."""
    return 2 * number + 1


def _in_facts(key: int) -> int:
    """Where a page goes on that ended with the manifest of that id: even. The fallback tag's entries come first."""
    return 2 * key


class _Filling:
    def __init__(self, wanted: int | None) -> None:
        self._wanted = wanted
        self._room = PAGE_BYTES
        self.descriptors: list[bytes] = []

    def add(self, descriptor: bytes) -> bool:
        """Take one more, unless the page is full; the first one always fits (see `_as_json`)."""
        if len(descriptor) > self._room or len(self.descriptors) == self._wanted:
            return False
        self.descriptors.append(descriptor)
        self._room -= len(descriptor) + 1
        return True


def _descriptor(row: Referrer) -> bytes:
    members: dict[str, object] = {"mediaType": row.media_type, "digest": row.digest, "size": row.size}
    if row.artifact_type:
        members["artifactType"] = row.artifact_type
    if row.annotations:
        members["annotations"] = orjson.Fragment(row.annotations)
    return _as_json(members)


def _as_json(members: Mapping[str, object]) -> bytes:
    """An entry that fits on a page: one that is larger keeps what leads to the manifest, which has the rest."""
    whole = orjson.dumps(members)
    if len(whole) <= PAGE_BYTES:
        return whole
    kept = {name: members[name] for name in ("mediaType", "digest", "size")}
    kind = members.get("artifactType")
    if isinstance(kind, str) and len(kind) <= MAX_MEDIA_TYPE:
        kept["artifactType"] = kind
    return orjson.dumps(kept)


def _from_fallback_tag(connection: Connection, repository: int, subject: Digest, types: tuple[str, ...]) -> list[bytes]:
    digest = tag_digest(connection, repository, fallback_tag(subject))
    payload = payload_of(connection, repository, digest, OCI_INDEX) if digest else None
    if payload is None:
        return []
    listed = orjson.loads(payload).get("manifests") or []
    known = referring(connection, repository, subject, (descriptor["digest"] for descriptor in listed))
    seen: set[str] = set()
    found: list[bytes] = []
    for descriptor in listed:
        if types and descriptor.get("artifactType") not in types:
            continue
        if descriptor["digest"] in known or descriptor["digest"] in seen:
            continue
        seen.add(descriptor["digest"])
        found.append(_as_json(descriptor))
    return found
