"""The use cases of a registry with everything they need, and the steps that tests take through them."""

from __future__ import annotations

import json
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from moorage.auth.ports import Sight
from moorage.blobs.checked import CheckedBlobs, CheckedUploads
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.filesystem_uploads import FilesystemUploads
from moorage.blobs.memory import MemoryBlobs, MemoryUploads
from moorage.core.access import Caller, Identity
from moorage.core.digest import Digest, digest_of
from moorage.core.names import Tag, parse_reference
from moorage.metadata.database import Database
from moorage.metadata.repositories import find_repository
from moorage.metadata.tables import events, tag_history
from moorage.registry.chunk import Chunk
from moorage.registry.delete import Delete
from moorage.registry.listing import Listing
from moorage.registry.mount import Mount
from moorage.registry.parts import Parts
from moorage.registry.pull import Pull
from moorage.registry.push import UNCONDITIONAL, Condition, Push, Pushed, Wish
from moorage.registry.referrers import Referrers
from moorage.registry.settings import RegistrySettings
from moorage.registry.settle import Settling
from moorage.registry.sight import OpenSight
from moorage.registry.upload import Uploads
from moorage.testing.blob_store import Store
from moorage.testing.fakes import CountedIds, HeldClock
from moorage.testing.random_images import Content, Image
from moorage.testing.streams import pieces

ALICE = Caller(Identity("alice"))


def memory_store() -> Store:
    """Bytes in memory, inside the wrapper that the program uses."""
    blobs = MemoryBlobs()
    return Store(CheckedBlobs(blobs), CheckedUploads(MemoryUploads(blobs)))


def filesystem_store(root: Path, executor: Executor) -> Store:
    """Bytes below a directory, inside the same wrapper."""
    return Store(CheckedBlobs(FilesystemBlobs(root, executor)), CheckedUploads(FilesystemUploads(root, executor)))


class Registry:
    """A registry without doors.

    Args:
        database: its facts; open.
        store: its bytes.
        clock: stands still.
        ids: those of upload sessions; shared by the processes of one registry.
        settings: the operator's rules.
        audit: whether changes are written to the audit log.
        sight: what each gets to see; all by default.
    """

    def __init__(
        self,
        database: Database,
        store: Store | None = None,
        clock: HeldClock | None = None,
        ids: CountedIds | None = None,
        settings: RegistrySettings | None = None,
        *,
        audit: bool = False,
        sight: Sight | None = None,
    ) -> None:
        self.database = database
        self.store = store or memory_store()
        self.clock = clock or HeldClock()
        self.ids = ids or CountedIds()
        self.settings = settings or RegistrySettings()
        bytes_ = (self.store.blobs, self.store.uploads)
        parts = Parts(database, *bytes_, self.settings, self.clock, self.ids, sight or OpenSight(database), audit)
        self.settling = Settling(parts.database, parts.blobs, on=True)
        self.uploads = Uploads(parts, self.settling)
        self.mount = Mount(parts)
        self.push = Push(parts)
        self.pull = Pull(parts)
        self.delete = Delete(parts)
        self.listing = Listing(parts)
        self.referrers = Referrers(parts)

    def having(self, **settings: Any) -> Registry:
        """The same registry under other rules."""
        changed = replace(self.settings, **settings)
        return Registry(self.database, self.store, self.clock, self.ids, changed)

    async def push_blob(self, name: str, content: Content | bytes) -> Digest:
        """Push a blob as most clients do: POST, then PUT with the bytes."""
        data = content if isinstance(content, bytes) else content.data
        digest = digest_of(content) if isinstance(content, bytes) else content.digest
        session = await self.uploads.begin(name, ALICE)
        await self.uploads.finish(name, session.id, digest, Chunk(pieces(data)), ALICE)
        return digest

    async def push_blobs(self, name: str, image: Image) -> None:
        """Push all that must be there before an image's manifest, the manifests of its children too."""
        for one in image.all():
            for blob in one.blobs:
                await self.push_blob(name, blob)
            if one is not image:
                await self.push_manifest(name, one, one.digest)

    async def push_manifest(
        self,
        name: str,
        image: Image | Content,
        reference: str = "latest",
        *tags: str,
        condition: Condition = UNCONDITIONAL,
        content_type: str | None = None,
    ) -> Pushed:
        """Push a manifest alone."""
        manifest = image.manifest if isinstance(image, Image) else image
        wish = Wish(
            name=name,
            reference=parse_reference(reference),
            tags=tuple(Tag(tag) for tag in tags),
            content_type=manifest.media_type if content_type is None else content_type,
            payload=manifest.data,
            condition=condition,
        )
        return await self.push.manifest(wish, ALICE)

    async def push_image(self, name: str, image: Image, reference: str = "latest", *tags: str) -> Pushed:
        """Push an image with all that belongs to it."""
        await self.push_blobs(name, image)
        return await self.push_manifest(name, image, reference, *tags)

    async def digest_of_tag(self, name: str, reference: str = "latest") -> str:
        """What a tag points to."""
        return (await self.pull.manifest(name, parse_reference(reference))).digest

    async def history(self, name: str, tag: str = "latest") -> list[tuple[str | None, str | None]]:
        """What a tag was moved from and to, oldest first: (digest, previous)."""

        def query(connection: Connection) -> list[tuple[str | None, str | None]]:
            mine = (tag_history.c.repository_id == find_repository(connection, name), tag_history.c.name == tag)
            statement = select(tag_history.c.digest, tag_history.c.previous).where(*mine).order_by(tag_history.c.id)
            return [(row[0], row[1]) for row in connection.execute(statement)]

        return await self.database.read(query)

    async def told(self, name: str) -> list[dict[str, Any]]:
        """The events of a repository, oldest first."""
        statement = select(events.c.payload).where(events.c.repository == name).order_by(events.c.id)
        return await self.database.read(lambda c: [json.loads(payload) for payload in c.scalars(statement)])

    async def count(self, table: Any, *conditions: Any) -> int:
        """How many rows a table has."""
        statement = select(func.count()).select_from(table).where(*conditions)
        return await self.database.read(lambda c: int(c.execute(statement).scalar_one()))
