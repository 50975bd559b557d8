"""Images, indexes, artifacts and referrers of random content; the same ones for the same seed.

Nothing here talks to a registry: each builder gives the bytes, their digest and what must be pushed before.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from moorage.core.digest import Digest, digest_of
from moorage.core.media_types import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
PLATFORMS = (("amd64", "linux"), ("arm64", "linux"), ("riscv64", "linux"), ("amd64", "windows"))

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Content:
    """Some bytes and what they are.

    Attributes:
        media_type: as a descriptor of it says.
        data: the bytes.
        digest: of the bytes.
        platform: `(architecture, os)` for the entry in an index, where it has one.
        artifact_type: as in the entry of an index or a list of referrers, where it has one.
    """

    media_type: str
    data: bytes
    digest: Digest
    platform: tuple[str, str] | None = None
    artifact_type: str = ""

    def descriptor(self, **more: object) -> Json:
        """Its descriptor (image specification, descriptor.md), with further members."""
        members: Json = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}
        if self.platform is not None:
            members["platform"] = {"architecture": self.platform[0], "os": self.platform[1]}
        if self.artifact_type:
            members["artifactType"] = self.artifact_type
        return members | more


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest and what must be there before it is pushed.

    Attributes:
        manifest: of the image, index or artifact itself.
        blobs: config and layers, or what a cache lists.
        children: manifests that an index lists, each with its own blobs.
    """

    manifest: Content
    blobs: tuple[Content, ...] = ()
    children: tuple[Image, ...] = field(default=())

    @property
    def digest(self) -> Digest:
        """The manifest's digest."""
        return self.manifest.digest

    def all(self) -> Iterator[Image]:
        """This one after all that it lists, in an order in which they can be pushed."""
        for child in self.children:
            yield from child.all()
        yield self


class RandomImages:
    """Builds one after the other.

    Args:
        seed: the same one gives the same bytes.
        algorithm: of all digests.
    """

    def __init__(self, seed: int = 0, algorithm: str = "sha256") -> None:
        self._random = random.Random(seed)  # noqa: S311 - content for tests, no secret
        self._algorithm = algorithm

    def blob(self, size: int = 64, media_type: str = "application/octet-stream") -> Content:
        """`size` random bytes."""
        return self._content(media_type, self._random.randbytes(size))

    def layer(self, size: int = 64) -> Content:
        """A layer that can be unpacked: one file of `size` random bytes in a compressed archive."""
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            entry = tarfile.TarInfo(f"file-{self._random.getrandbits(32):08x}")
            entry.size = size
            archive.addfile(entry, io.BytesIO(self._random.randbytes(size)))
        return self._content(LAYER, gzip.compress(raw.getvalue(), compresslevel=1, mtime=0))

    def image(
        self,
        layers: int = 2,
        size: int = 64,
        platform: tuple[str, str] = PLATFORMS[0],
        annotations: Mapping[str, str] | None = None,
    ) -> Image:
        """An image of `layers` layers with a file of `size` bytes each."""
        packed = [self.layer(size) for _ in range(layers)]
        config = self._json(
            CONFIG,
            {
                "architecture": platform[0],
                "os": platform[1],
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [self._diff_id(layer) for layer in packed]},
            },
        )
        manifest = self._manifest(config, packed, {"annotations": dict(annotations)} if annotations else {})
        return Image(self._as(manifest, platform=platform), (config, *packed))

    def index(self, children: int = 2, annotations: Mapping[str, str] | None = None) -> Image:
        """An index of images for different platforms (at most as many as `PLATFORMS`)."""
        return self.index_of(
            tuple(self.image(1, platform=PLATFORMS[number]) for number in range(children)), annotations
        )

    def index_of(self, children: tuple[Image, ...], annotations: Mapping[str, str] | None = None) -> Image:
        """An index of the given manifests, nested ones too."""
        members: Json = {"manifests": [child.manifest.descriptor() for child in children]}
        if annotations:
            members["annotations"] = dict(annotations)
        return Image(self._index(members), (), children)

    def cache(self, layers: int = 2) -> Image:
        """An index as BuildKit's caches are: its entries are blobs, the last one the cache's config."""
        entries = [self.layer() for _ in range(layers)]
        entries.append(self._json("application/vnd.buildkit.cacheconfig.v0", {"layers": self._random.getrandbits(32)}))
        return Image(self._index({"manifests": [entry.descriptor() for entry in entries]}), tuple(entries))

    def artifact(
        self,
        artifact_type: str = "application/vnd.example.thing",
        subject: Content | None = None,
        annotations: Mapping[str, str] | None = None,
        size: int = 64,
    ) -> Image:
        """An artifact with the empty config (image specification, manifest.md "Guidelines for Artifact Usage").

        Args:
            artifact_type: what it is.
            subject: what it refers to; it need not be pushed.
            annotations: of the manifest.
            size: of its one blob, in bytes.
        """
        config, blob = self._content(OCI_EMPTY, b"{}"), self.blob(size)
        members: Json = {"artifactType": artifact_type}
        if subject is not None:
            members["subject"] = subject.descriptor()
        if annotations:
            members["annotations"] = dict(annotations)
        manifest = self._manifest(config, [blob], members)
        return Image(self._as(manifest, artifact_type=artifact_type), (config, blob))

    def referrers(self, subject: Content, types: tuple[str, ...]) -> list[Image]:
        """One artifact of each type, in order, that refers to `subject`."""
        return [self.artifact(artifact_type, subject) for artifact_type in types]

    def _manifest(self, config: Content, layers: list[Content], more: Json) -> Content:
        members: Json = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.descriptor(),
            "layers": [layer.descriptor() for layer in layers],
        }
        return self._json(OCI_MANIFEST, members | more)

    def _index(self, members: Json) -> Content:
        return self._json(OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX} | members)

    def _diff_id(self, layer: Content) -> str:
        return digest_of(gzip.decompress(layer.data), self._algorithm)

    def _json(self, media_type: str, document: Json) -> Content:
        return self._content(media_type, json.dumps(document, separators=(",", ":")).encode())

    def _content(self, media_type: str, data: bytes) -> Content:
        return Content(media_type, data, digest_of(data, self._algorithm))

    def _as(self, content: Content, platform: tuple[str, str] | None = None, artifact_type: str = "") -> Content:
        return Content(content.media_type, content.data, content.digest, platform, artifact_type)
