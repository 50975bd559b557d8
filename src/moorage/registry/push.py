"""Pushing a manifest: the one door for every way to set a tag.

One transaction checks that what the manifest names is there, stores it, moves the tags, writes their history and the
events.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from moorage.core.access import OVERWRITE
from moorage.core.digest import CANONICAL, Digest, digest_of
from moorage.core.errors import Denied, DigestInvalid, ManifestBlobUnknown, ManifestInvalid, PreconditionFailed
from moorage.core.events import Event
from moorage.core.manifest import Manifest, parse_manifest
from moorage.core.media_types import CLASSES, FOREIGN_LAYERS
from moorage.metadata.blobs import linked_digests
from moorage.metadata.events import tell
from moorage.metadata.manifests import NewManifest, add_manifest, find_manifest, known_manifests
from moorage.metadata.tags import hold_tags, point_tag, record_move, tag_digest
from moorage.registry.trail import Trail
from moorage.registry.writes import Writes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from moorage.core.access import Caller
    from moorage.core.descriptor import Descriptor
    from moorage.core.names import Reference, Tag
    from moorage.registry.parts import Parts
    from moorage.registry.settings import RegistrySettings

LARGE = 64 * 1024
"""Bytes of a manifest that is parsed in a thread; smaller ones take less time than the way there."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`If-Match` and `If-None-Match` of a PUT.

    Attributes:
        match: digests of which each tag to set must point to one; `*` for "any"; None: no condition.
        none_match: digests that no tag to set may point to; `*` for "it must not exist"; None: no condition.
    """

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None

    def check(self, current: str | None) -> None:
        """Compare with what is there now.

        Raises:
            PreconditionFailed: it does not hold.
        """
        detail = {"current": current}
        if self.match is not None and (current is None or not ({"*", current} & self.match)):
            raise PreconditionFailed(detail=detail)
        if self.none_match is not None and current is not None and {"*", current} & self.none_match:
            raise PreconditionFailed(detail=detail)


UNCONDITIONAL = Condition()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client wants pushed: `reference` from the path, `tags` from the query."""

    name: str
    reference: Reference
    tags: tuple[Tag, ...]
    content_type: str
    payload: bytes
    condition: Condition = UNCONDITIONAL
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was stored."""

    digest: Digest
    subject: Digest | None
    warnings: tuple[str, ...] = ()


class Push:
    """The use case of a manifest push."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.database
        self._clock = parts.clock
        self._rules = _Rules(parts.settings)
        self._writes = Writes(parts.settings)
        self._trail = Trail(on=parts.audit)
        self._parsing = asyncio.Semaphore(1)

    async def manifest(self, wish: Wish, caller: Caller) -> Pushed:
        """Store a manifest byte for byte and point the tags to it.

        Raises:
            DigestInvalid: the bytes do not have the digest of the path and of the `digest` parameter.
            ManifestInvalid: see `parse_manifest`; or it is here already as another type.
            ManifestBlobUnknown: it names what the repository does not have.
            PreconditionFailed: the condition does not hold; nothing is stored.
            Denied: a tag would be moved, which the caller may not; the project lets no push make a repository; or the
                operator does not want content of that class.
        """
        self._writes.check_push(wish.name)
        if len(wish.payload) > LARGE:
            # One at a time: a parsed manifest takes many times its bytes.
            async with self._parsing:
                digest, new, manifest = await asyncio.to_thread(self._read, wish)
        else:
            digest, new, manifest = self._read(wish)
        tags = tuple(dict.fromkeys(wish.tags if isinstance(wish.reference, Digest) else (wish.reference, *wish.tags)))
        now = self._clock.now()

        def change(connection: Connection) -> tuple[str, ...]:
            repository = self._trail.place(connection, wish.name, caller, now)
            hold_tags(connection, repository, tags)
            _check_condition(connection, repository, wish.condition, digest, tags)
            warnings = self._rules.check_present(connection, repository, manifest)
            stored = add_manifest(connection, repository, new, caller.name, now)
            for tag in tags:
                previous = tag_digest(connection, repository, tag)
                _check_overwrite(caller, tag, previous, digest)
                point_tag(connection, repository, tag, stored, now)
                if previous != digest:
                    record_move(
                        connection, repository, tag, digest=digest, previous=previous, actor=caller.name, now=now
                    )
            for told in tags or ("",):
                size = len(wish.payload)
                event = Event("push", wish.name, digest, manifest.media_type, size, told, actor=caller.name)
                tell(connection, event, now)
            self._trail.note(connection, "manifest.push", caller, wish.name, now, digest=digest, tags=list(tags))
            return warnings

        warnings = await self._database.write(change)
        return Pushed(digest, manifest.subject.digest if manifest.subject else None, warnings)

    def _read(self, wish: Wish) -> tuple[Digest, NewManifest, Manifest]:
        digest = _checked(wish)
        manifest = parse_manifest(wish.payload, wish.content_type)
        self._rules.check_class(manifest)
        self._rules.check_urls(manifest.layers)
        return digest, _new(manifest, digest, wish.payload), manifest


def _checked(wish: Wish) -> Digest:
    """The digest under which it is stored: that of the path or the parameter; the bytes must have both."""
    given = [each for each in (wish.reference, wish.digest) if isinstance(each, Digest)]
    found = [digest_of(wish.payload, each.algorithm) for each in given] or [digest_of(wish.payload, CANONICAL)]
    for expected, received in zip(given, found, strict=False):
        if received != expected:
            raise DigestInvalid(
                "The manifest received does not have the digest given.", {"given": expected, "received": received}
            )
    return found[0]


def _check_overwrite(caller: Caller, tag: Tag, previous: str | None, digest: Digest) -> None:
    if previous is not None and previous != digest and OVERWRITE not in caller.rights:
        raise Denied(
            f"The tag {tag} is there already, and you do not have the right to move it (overwrite); push another tag.",
            {"tag": tag},
        )


def _check_condition(
    connection: Connection, repository: int, condition: Condition, digest: Digest, tags: Sequence[Tag]
) -> None:
    """The condition holds for every tag that would be set; without any, for the manifest itself."""
    if condition is UNCONDITIONAL:
        return
    if not tags:
        condition.check(digest if find_manifest(connection, repository, digest) is not None else None)
    for tag in tags:
        condition.check(tag_digest(connection, repository, tag))


def _new(manifest: Manifest, digest: Digest, payload: bytes) -> NewManifest:
    named = [("config", manifest.config)] if manifest.config is not None else []
    named += [("foreign" if is_foreign(layer) else "layer", layer) for layer in manifest.layers]
    named += [("child", child) for child in manifest.children]
    annotations = None
    if manifest.subject is not None and manifest.annotations:
        annotations = orjson.dumps(dict(manifest.annotations)).decode()
    return NewManifest(
        digest=digest,
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type,
        subject=manifest.subject.digest if manifest.subject else None,
        annotations=annotations,
        payload=payload,
        references=tuple((kind, descriptor.digest) for kind, descriptor in named),
    )


def is_foreign(layer: Descriptor) -> bool:
    """Whether a layer's bytes live elsewhere: it is accepted without them, and they are never fetched."""
    return layer.media_type in FOREIGN_LAYERS or bool(layer.urls)


def _warnings(manifest: Manifest, absent: int) -> tuple[str, ...]:
    foreign = sum(is_foreign(layer) for layer in manifest.layers)
    warnings = []
    if absent:
        warnings.append(
            f"the manifest was stored although {absent} of the contents it names are not in this repository"
        )
    if foreign:
        warnings.append(
            f"foreign layers ({foreign}) are not kept in this registry; pulls depend on their own addresses"
        )
    return tuple(warnings)


class _Rules:
    """What a manifest may be and name (`policy.repository.classes` and `validation.*` of the configuration)."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._classes = frozenset(settings.classes)
        self._complete = not settings.sparse
        self._platforms = settings.platforms if settings.validate else "none"
        self._listed = frozenset(settings.platform_list)
        self._allow = [re.compile(pattern) for pattern in settings.url_allow if settings.validate]
        self._deny = [re.compile(pattern) for pattern in settings.url_deny if settings.validate]

    def check_present(self, connection: Connection, repository: int, manifest: Manifest) -> tuple[str, ...]:
        """Everything that must be there is there; returns what the client should be warned of.

        Raises:
            ManifestBlobUnknown: something is not, and the operator does not accept that.
        """
        blobs = [layer.digest for layer in manifest.layers if not is_foreign(layer)]
        if manifest.config is not None:
            blobs.append(manifest.config.digest)
        missing = set(blobs) - linked_digests(connection, repository, blobs)
        children = [child.digest for child in manifest.children]
        absent = set(children) - known_manifests(connection, repository, children)
        # BuildKit's caches are indexes of blobs.
        absent -= linked_digests(connection, repository, absent)
        required = {child.digest for child in manifest.children if self._must_be_there(child)}
        if self._complete and (missing or absent & required):
            raise ManifestBlobUnknown(detail={"missing": sorted(missing | (absent & required))[:100]})
        return _warnings(manifest, len(missing | absent))

    def check_class(self, manifest: Manifest) -> None:
        """Its content is of a class that may be pushed; indexes have none, as in Distribution.

        Raises:
            Denied: it is of another class, or of none that is known.
        """
        if not self._classes or manifest.config is None:
            return
        found = CLASSES.get(manifest.config.media_type)
        if found not in self._classes:
            raise Denied(
                f"This registry takes no {found or 'other artifacts'}, only: {', '.join(sorted(self._classes))}.",
                {"config": manifest.config.media_type[:200]},
            )

    def check_urls(self, layers: Sequence[Descriptor]) -> None:
        """The addresses of foreign layers are such as the operator lets pass."""
        for url in (url for layer in layers for url in layer.urls):
            allowed = not self._allow or any(pattern.search(url) for pattern in self._allow)
            if not allowed or any(pattern.search(url) for pattern in self._deny):
                raise ManifestInvalid(
                    "The manifest names an address that this registry does not accept.", {"url": url[:200]}
                )

    def _must_be_there(self, child: Descriptor) -> bool:
        if self._platforms == "none":
            return False
        return self._platforms == "all" or child.platform is None or child.platform in self._listed
