"""Mounting: a blob that another repository has becomes readable here without its bytes being sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.events import Event
from moorage.core.media_types import OCTET_STREAM
from moorage.metadata.blobs import StoredBlob, find_linked, link_blob
from moorage.metadata.events import tell
from moorage.metadata.repositories import find_repository
from moorage.registry.trail import Trail
from moorage.registry.writes import Writes

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moorage.core.access import Caller
    from moorage.core.digest import Digest
    from moorage.registry.parts import Parts


class Mount:
    """The use case of a cross-repository mount (distribution specification, end-11)."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.database
        self._clock = parts.clock
        self._writes = Writes(parts.settings)
        self._sight = parts.sight
        self._trail = Trail(on=parts.audit)

    async def blob(self, name: str, digest: Digest, source: str | None, caller: Caller) -> bool:
        """Link a blob of `source`, which the caller may pull (None: of any such repository), in `name`.

        Returns:
            False where that is not possible for any reason; the client then uploads. The reason is not told: "hidden"
            and "absent" look the same.
        """
        self._writes.check_push(name)
        found = source if source is not None else await self._sight.source(caller.identity, digest)
        if found is None:
            return False
        now = self._clock.now()
        return await self._database.write(
            lambda connection: _mount(connection, name, digest, found, caller, now, self._trail)
        )


def _mount(
    connection: Connection, name: str, digest: Digest, source: str, caller: Caller, now: float, trail: Trail
) -> bool:
    origin = find_repository(connection, source)
    blob: StoredBlob | None = find_linked(connection, origin, digest) if origin is not None else None
    if blob is None:
        return False
    repository = trail.place(connection, name, caller, now)
    link_blob(connection, repository, digest, now)
    event = Event("mount", name, digest, OCTET_STREAM, blob.size, source=source, actor=caller.name)
    tell(connection, event, now)
    trail.note(connection, "blob.mount", caller, name, now, digest=digest, source=source)
    return True
