"""Media types that have a meaning to a registry."""

from __future__ import annotations

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"

IMAGES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = IMAGES | INDEXES

CLASSES = {
    "application/vnd.docker.container.image.v1+json": "image",
    "application/vnd.oci.image.config.v1+json": "image",
    "application/vnd.docker.plugin.v1+json": "plugin",
}
"""What a manifest holds, by the media type of its config: Distribution's classes (`handlers/manifests.go`)."""

FOREIGN_LAYERS = frozenset(
    {
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    }
)
"""Layers whose bytes live elsewhere: accepted without being there, never fetched."""

OCTET_STREAM = "application/octet-stream"
JSON = "application/json"


def essence(content_type: str) -> str:
    """The media type without parameters and blanks: `a/b; charset=utf-8` -> `a/b`."""
    return content_type.partition(";")[0].strip()
