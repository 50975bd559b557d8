"""What every use case is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moorage.auth.ports import Sight
    from moorage.blobs.ports import BlobStore, UploadStore
    from moorage.core.clock import Clock, Ids
    from moorage.metadata.database import Database
    from moorage.registry.settings import RegistrySettings


@dataclass(frozen=True, slots=True)
class Parts:
    """The ports and settings that the use cases work with.

    sight: what of all that is there each gets to see.
    audit: whether changes are written to the audit log.
    """

    database: Database
    blobs: BlobStore
    uploads: UploadStore
    settings: RegistrySettings
    clock: Clock
    ids: Ids
    sight: Sight
    audit: bool = False
