"""Deleting tags, manifests and blobs: facts first; bytes are garbage collection's business."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.digest import Digest
from moorage.core.errors import BlobUnknown, ManifestUnknown, RegistryError
from moorage.core.events import Event
from moorage.metadata.blobs import unlink_blob
from moorage.metadata.events import tell
from moorage.metadata.manifests import find_manifest, remove_manifest
from moorage.metadata.repositories import find_repository
from moorage.metadata.tags import hold_tags_of, record_move, remove_tag, tag_digest
from moorage.registry.trail import Trail
from moorage.registry.writes import Writes

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.core.access import Caller
    from moorage.core.names import Reference, Tag
    from moorage.registry.parts import Parts


class Delete:
    """The use cases of deleting (distribution specification, end-9 and end-10)."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.database
        self._clock = parts.clock
        self._writes = Writes(parts.settings)
        self._trail = Trail(on=parts.audit)

    async def manifest(self, name: str, reference: Reference, caller: Caller) -> None:
        """Remove a tag alone, or a manifest with all tags that point to it; gone for everybody when this returns.

        Raises:
            Unsupported: deleting is switched off.
            ManifestUnknown: not there.
        """
        self._writes.check_delete()
        now = self._clock.now()

        def change(connection: Connection) -> None:
            if isinstance(reference, Digest):
                tags = _manifest(connection, name, reference, caller, now)
                self._trail.note(connection, "manifest.delete", caller, name, now, digest=reference, tags=tags)
            else:
                previous = _tag(connection, name, reference, caller, now)
                self._trail.note(connection, "tag.delete", caller, name, now, tag=reference, digest=previous)

        await self._database.write(change)

    async def blob(self, name: str, digest: Digest, caller: Caller) -> None:
        """Take a blob from a repository. Other repositories that link it keep it.

        Raises:
            Unsupported: deleting is switched off.
            BlobUnknown: not linked here.
        """
        self._writes.check_delete()
        now = self._clock.now()

        def change(connection: Connection) -> None:
            _blob(connection, name, digest, caller, now)
            self._trail.note(connection, "blob.delete", caller, name, now, digest=digest)

        await self._database.write(change)


def _repository(connection: Connection, name: str, absent: RegistryError) -> int:
    found = find_repository(connection, name)
    if found is None:
        raise absent
    return found


def _manifest(connection: Connection, name: str, digest: Digest, caller: Caller, now: float) -> list[str]:
    absent = ManifestUnknown(detail={"name": name, "reference": digest})
    repository = _repository(connection, name, absent)
    manifest = find_manifest(connection, repository, digest)
    held = hold_tags_of(connection, repository, manifest) if manifest is not None else None
    if manifest is None or held is None:
        raise absent
    for tag in held:
        remove_tag(connection, repository, tag)
        record_move(connection, repository, tag, digest=None, previous=digest, actor=caller.name, now=now)
    remove_manifest(connection, manifest)
    tell(connection, Event("delete", name, digest, actor=caller.name), now)
    return held


def _tag(connection: Connection, name: str, tag: Tag, caller: Caller, now: float) -> str:
    absent = ManifestUnknown(detail={"name": name, "reference": tag})
    repository = _repository(connection, name, absent)
    previous = tag_digest(connection, repository, tag, hold=True)
    if previous is None or not remove_tag(connection, repository, tag):
        raise absent
    record_move(connection, repository, tag, digest=None, previous=previous, actor=caller.name, now=now)
    tell(connection, Event("delete", name, tag=tag, actor=caller.name), now)
    return previous


def _blob(connection: Connection, name: str, digest: Digest, caller: Caller, now: float) -> None:
    absent = BlobUnknown(detail={"name": name, "digest": digest})
    if not unlink_blob(connection, _repository(connection, name, absent), digest):
        raise absent
    tell(connection, Event("delete", name, digest, actor=caller.name), now)
