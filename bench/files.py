"""The bytes that are served and pushed: the same for every registry, random, and so incompressible."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path

KB = 1000
MB = 1000 * KB
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ACCEPT = (
    "Accept: application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    f"{OCI_MANIFEST}, application/vnd.oci.image.index.v1+json, */*"
)
_PIECE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Blob:
    """A file on disk and the digest it must be served under."""

    path: Path
    size: int
    digest: str


def sha256(data: bytes) -> str:
    """The digest string of some bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def make_blob(folder: Path, size: int, seed: int = 1) -> Blob:
    """Write a file of `size` pseudo-random bytes (the same ones for the same seed) and return it."""
    source = random.Random(f"{seed}-{size}")
    digest = hashlib.sha256()
    path = folder / f"blob-{seed}-{size}"
    with path.open("wb") as file:
        left = size
        while left:
            piece = source.randbytes(min(left, _PIECE))
            digest.update(piece)
            file.write(piece)
            left -= len(piece)
    return Blob(path, size, "sha256:" + digest.hexdigest())


def descriptor(media_type: str, data: bytes) -> dict[str, object]:
    """An OCI descriptor of some bytes."""
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}


def manifest(config: bytes, layers: list[bytes]) -> bytes:
    """An OCI image manifest over a config and layers."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, config),
            "layers": [descriptor(OCI_LAYER, layer) for layer in layers],
        },
        separators=(",", ":"),
    ).encode()


@dataclass(frozen=True, slots=True)
class Image:
    """A small image: blobs (layers first, then the config) and the manifest over them."""

    blobs: list[bytes]
    manifest: bytes


def make_image(source: random.Random, layers: int = 5, layer_size: int = 2048) -> Image:
    """A new image of random layers; `source` decides the bytes."""
    data = [source.randbytes(layer_size) for _ in range(layers)]
    config = (
        b'{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["%s"]}}'
        % b'","'.join(sha256(layer).encode() for layer in data)
    )
    return Image([*data, config], manifest(config, data))
