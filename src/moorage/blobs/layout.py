"""Where things are on disk: Distribution's blob layout, and our uploads beside it.

<root>/docker/registry/v2/blobs/<algorithm>/<first 2 of hex>/<hex>/data
<root>/uploads/<key>
"""

from __future__ import annotations

from pathlib import Path

from moorage.core.digest import Digest

BLOBS = Path("docker/registry/v2/blobs")
UPLOADS = Path("uploads")
_BLOBS = str(BLOBS)


def blob_location(digest: Digest) -> str:
    """A blob's path below the root, as the `blobs` table keeps it."""
    return f"{_BLOBS}/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}/data"


def digest_at(location: str) -> Digest:
    """The other way round."""
    algorithm, _, encoded, _ = location.rsplit("/", 3)
    return Digest(f"{algorithm.rpartition('/')[2]}:{encoded}")
