"""Where the bytes are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BlobSettings:
    """The store of blobs and uploads.

    driver: "filesystem" (durable) or "inmemory" (gone when the process ends).
    root: directory that holds `docker/registry/v2/blobs/...` and `uploads/`; not used by "inmemory".
    max_threads: most file operations that may run in threads at once, in one worker process.
    """

    driver: str = "filesystem"
    root: Path = Path("/var/lib/moorage")
    max_threads: int = 16
