"""Where the bytes are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """Looking after the storage (`health.storagedriver`).

    enabled: whether `/readyz` asks for the storage, too.
    interval_seconds: how long what was seen counts, in seconds.
    threshold: how often in a row it must be missing before that is said; less than 1 means 1.
    """

    enabled: bool = True
    interval_seconds: float = 1.0
    threshold: int = 1


@dataclass(frozen=True, slots=True)
class BlobSettings:
    """The store of blobs and uploads.

    driver: "filesystem" (durable) or "inmemory" (gone when the process ends).
    root: directory that holds `docker/registry/v2/blobs/...` and `uploads/`; not used by "inmemory".
    max_threads: most file operations that may run in threads at once, in one worker process.
    watch: how it is looked after.
    """

    driver: str = "filesystem"
    root: Path = Path("/var/lib/moorage")
    max_threads: int = 16
    watch: WatchSettings = field(default_factory=WatchSettings)
