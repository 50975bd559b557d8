"""What the command line decides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Overrides:
    """Options of `moorage serve`; None leaves the decision to the environment and the file.

    host, port: TCP address to listen on.
    root: directory for everything that the program keeps; wins over `storage.filesystem.rootdirectory`.
    workers: number of worker processes, at least 1.
    auth: "none" (open, whatever the file says) or "local" (accounts of the registry itself).
    """

    host: str | None = None
    port: int | None = None
    root: Path | None = None
    workers: int | None = None
    auth: str | None = None
