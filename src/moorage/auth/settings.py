"""How people prove who they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class HtpasswdSettings:
    """Users in an Apache htpasswd file with bcrypt hashes.

    realm: shown in the `WWW-Authenticate: Basic realm="..."` challenge.
    path: the file, as the configuration names it; it may not exist yet, which the auth room deals with.
    """

    realm: str
    path: Path
