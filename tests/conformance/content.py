"""The data sets of section D: what is pushed, how it is tagged, which referrers must be found."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import secrets
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = LAYER + "+gzip"
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"
FOREIGN_GZIP = FOREIGN + "+gzip"
OCTETS = "application/octet-stream"
KIND_ONE = "application/vnd.example.conformance.one.v1"
KIND_TWO = "application/vnd.example.conformance.two.v1+json"
PLATFORMS = (
    {"os": "linux", "architecture": "amd64"},
    {"os": "linux", "architecture": "arm64", "variant": "v8"},
)
NOTES = {"org.example.conformance": 'a note with ünicode, "quotes" and <angles>'}

Descriptor = dict[str, Any]


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """Return `algorithm:hex` of these bytes."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


@dataclass(frozen=True)
class Blob:
    """Bytes and the digest that a client announces for them (not always the right one)."""

    data: bytes
    digest: str

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Blob:
        """Return the blob of these bytes."""
        return cls(data, digest_of(data, algorithm))

    @classmethod
    def random(cls, size: int, algorithm: str = "sha256") -> Blob:
        """Return a blob of that many random bytes."""
        return cls.of(secrets.token_bytes(size), algorithm)


@dataclass(frozen=True)
class Manifest:
    """A manifest as it goes over the wire."""

    body: bytes
    media_type: str
    digest: str
    subject: str | None = None

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor by which another manifest refers to this one."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body)}


@dataclass
class DataSet:
    """A named set of content.

    manifests: in the order of pushing, children first.
    tags: tag -> digest of the manifest.
    referrers: subject -> descriptors that its referrers list has to hold.
    by_parameter: tags are set with `?tag=` while pushing by digest, not by pushing to the tag.
    spoiled: digests whose manifest has other bytes than the digest says: it must be refused.
    """

    name: str
    algorithm: str = "sha256"
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: list[Manifest] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    referrers: dict[str, list[Descriptor]] = field(default_factory=dict)
    by_parameter: bool = False
    spoiled: bool = False

    def blob(self, data: bytes, media_type: str, *, inline: bool = False) -> Descriptor:
        """Add a blob and return its descriptor, with the bytes in it if asked."""
        digest = digest_of(data, self.algorithm)
        self.blobs[digest] = data
        made: Descriptor = {"mediaType": media_type, "digest": digest, "size": len(data)}
        if inline:
            made["data"] = base64_of(data)
        return made

    def layer(self, *, compressed: bool = True, inline: bool = False) -> tuple[Descriptor, str]:
        """Add a layer with one file in it; return its descriptor and the digest of the uncompressed tar."""
        tar = tar_of_one_file()
        plain = digest_of(tar, self.algorithm)
        if compressed:
            return self.blob(gzip.compress(tar, mtime=0), LAYER_GZIP, inline=inline), plain
        return self.blob(tar, LAYER, inline=inline), plain

    def add(self, document: dict[str, Any], tag: str | None = None) -> Manifest:
        """Add a manifest with this content; note what its subject's referrers must show."""
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        subject = document.get("subject", {}).get("digest")
        made = Manifest(body, document["mediaType"], digest_of(body, self.algorithm), subject)
        self.manifests.append(made)
        if subject:
            self.referrers.setdefault(subject, []).append(referrer_of(document, made))
        if tag:
            self.tags[tag] = made.digest
        return made

    def image(
        self,
        tag: str | None = None,
        *,
        layers: int = 2,
        compressed: bool = True,
        inline: bool = False,
        platform: dict[str, str] | None = None,
        more: dict[str, Any] | None = None,
        custom: bool = False,
    ) -> Manifest:
        """Add an image: layers, a configuration, a manifest; `more` are further members of the manifest."""
        made = [self.layer(compressed=compressed, inline=inline) for _ in range(layers)]
        return self.image_of(
            [layer for layer, _ in made],
            [plain for _, plain in made],
            tag,
            inline=inline,
            platform=platform,
            more=more,
            custom=custom,
        )

    def image_of(
        self,
        layers: list[Descriptor],
        diff_ids: list[str],
        tag: str | None = None,
        *,
        inline: bool = False,
        platform: dict[str, str] | None = None,
        more: dict[str, Any] | None = None,
        custom: bool = False,
    ) -> Manifest:
        """Add an image with these layers."""
        config: dict[str, Any] = {
            "author": "conformance " + secrets.token_hex(8),
            **(platform or PLATFORMS[0]),
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            **unknown_members(custom=custom),
        }
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "config": self.blob(json.dumps(config).encode(), OCI_CONFIG, inline=inline),
            "layers": layers,
            **(more or {}),
            **unknown_members(custom=custom),
        }
        return self.add(document, tag)

    def artifact(
        self,
        tag: str | None = None,
        *,
        kind: str = KIND_ONE,
        layer: bytes | None = None,
        layer_type: str = KIND_ONE,
        more: dict[str, Any] | None = None,
    ) -> Manifest:
        """Add an artifact: the empty configuration, one layer, an `artifactType`."""
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_IMAGE,
            "artifactType": kind,
            "config": self.blob(b"{}", OCI_EMPTY),
            "layers": [self.blob(layer if layer is not None else secrets.token_bytes(2048), layer_type)],
            **(more or {}),
        }
        return self.add(document, tag)

    def index(
        self,
        children: Sequence[tuple[Descriptor, dict[str, str] | None]],
        tag: str | None = None,
        *,
        more: dict[str, Any] | None = None,
        custom: bool = False,
    ) -> Manifest:
        """Add an index of these children, each with its platform or none."""
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [
                {**child, **({"platform": platform} if platform else {}), **unknown_members(custom=custom)}
                for child, platform in children
            ],
            **(more or {}),
            **unknown_members(custom=custom),
        }
        return self.add(document, tag)

    def images_index(self, tag: str | None = None, *, custom: bool = False, **members: Any) -> Manifest:
        """Add an index of one image a platform; `members` go into the index."""
        children = [
            (self.image(platform=dict(platform), custom=custom).descriptor, dict(platform)) for platform in PLATFORMS
        ]
        return self.index(children, tag, more=members, custom=custom)


def base64_of(data: bytes) -> str:
    """Return the bytes in base64, as the `data` member of a descriptor has them."""
    return base64.b64encode(data).decode()


def tar_of_one_file() -> bytes:
    """Return a tar archive with one small random file."""
    content = f"lucky number {secrets.randbelow(2**62)}\n".encode()
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w") as archive:
        member = tarfile.TarInfo("./conformance.txt")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return kept.getvalue()


def unknown_members(*, custom: bool) -> dict[str, Any]:
    """Return members that no specification knows, or none."""
    if not custom:
        return {}
    token = secrets.token_hex(6)
    return {
        f"org.example.{token}": "kept",
        "x-nested": {"list": [1, 2.5, -3e10, None, True], "text": "späte Grüße"},
    }


def referrer_of(document: dict[str, Any], made: Manifest) -> Descriptor:
    """Return the descriptor that the referrers list of the subject has to hold for this manifest."""
    found = made.descriptor
    kind = document.get("artifactType")
    if not kind and made.media_type == OCI_IMAGE:
        kind = document["config"]["mediaType"]
    if kind:
        found["artifactType"] = kind
    if document.get("annotations"):
        found["annotations"] = document["annotations"]
    return found


def unique_notes() -> dict[str, str]:
    """Return annotations, one of them found nowhere else."""
    return {**NOTES, "org.example." + secrets.token_hex(8): secrets.token_hex(8)}


def image(data: DataSet) -> None:
    data.image("image")


def image_uncompressed(data: DataSet) -> None:
    data.image("image-uncompressed", compressed=False)


def large_manifest(data: DataSet) -> None:
    notes = {f"large-annotation-{number}": "A" * 10_000 for number in range(390)}
    data.image("large-manifest", more={"annotations": notes})


def index(data: DataSet) -> None:
    data.images_index("index")


def nested_index(data: DataSet) -> None:
    inner = [data.images_index().descriptor for _ in range(2)]
    data.index([(child, None) for child in inner], "index-of-index")


def empty_index(data: DataSet) -> None:
    data.index([], "empty-index")


def artifact(data: DataSet) -> None:
    data.artifact("artifact")


def artifact_index(data: DataSet) -> None:
    children = [(data.artifact().descriptor, dict(platform)) for platform in PLATFORMS]
    data.index(children, "artifact-index", more={"artifactType": KIND_ONE})


def artifact_without_layers(data: DataSet) -> None:
    data.artifact("artifact-without-layers", layer=b"{}", layer_type=OCI_EMPTY)


def artifacts_with_subject(data: DataSet) -> None:
    subject = data.image("image").descriptor
    data.image(more={"subject": subject})
    data.artifact("tagged-artifact-1", more={"subject": subject, "annotations": unique_notes()})
    data.artifact(
        "tagged-artifact-2",
        kind=KIND_TWO,
        layer_type=OCTETS,
        more={"subject": subject, "annotations": unique_notes()},
    )


def index_with_subject(data: DataSet) -> None:
    subject = data.images_index("index").descriptor
    more = {"subject": subject, "annotations": unique_notes()}
    children = [
        (
            data.artifact(more={"subject": subject, "annotations": unique_notes()}).descriptor,
            dict(platform),
        )
        for platform in PLATFORMS
    ]
    data.index(children, "tagged-artifact", more={"artifactType": KIND_ONE, **more})
    data.index([], more=more)


def missing_subject(data: DataSet) -> None:
    absent = secrets.token_bytes(64)
    subject = {"mediaType": OCI_IMAGE, "digest": digest_of(absent, data.algorithm), "size": 123}
    data.artifact("tagged-artifact", more={"subject": subject, "annotations": unique_notes()})


def data_field(data: DataSet) -> None:
    data.image("data-field", inline=True)


def non_distributable_layers(data: DataSet) -> None:
    foreign = []
    for media_type in (FOREIGN_GZIP, FOREIGN):
        digest = digest_of(secrets.token_bytes(32), data.algorithm)
        where = "https://store.example.com/blobs/" + digest.replace(":", "/")
        foreign.append({"mediaType": media_type, "digest": digest, "size": 123456, "urls": [where]})
    here, plain = data.layer()
    diff_ids = [*(str(layer["digest"]) for layer in foreign), plain]
    data.image_of([*foreign, here], diff_ids, "non-distributable-image")


def custom_fields(data: DataSet) -> None:
    data.images_index("custom-fields", custom=True)


def no_layers(data: DataSet) -> None:
    data.image("no-layers", layers=0)


def sparse(data: DataSet) -> None:
    whole = data.image("sparse-image")
    del data.blobs[json.loads(whole.body)["layers"][0]["digest"]]
    there = data.image(platform=dict(PLATFORMS[0])).descriptor
    absent = {
        "mediaType": OCI_IMAGE,
        "digest": digest_of(secrets.token_bytes(64), data.algorithm),
        "size": 1024,
    }
    data.index([(there, dict(PLATFORMS[0])), (absent, dict(PLATFORMS[1]))], "sparse-index")


def by_digest_only(data: DataSet) -> None:
    data.images_index()


def tag_param(data: DataSet) -> None:
    top = data.images_index(data.name)
    for number, manifest in enumerate(data.manifests):
        data.tags[f"{data.name}-{number}"] = manifest.digest
    assert list(data.tags.values()).count(top.digest) == 2
    data.by_parameter = True


def bad_digest_image(data: DataSet) -> None:
    right = data.image()
    data.manifests = [Manifest(right.body + b"  ", right.media_type, right.digest)]
    data.spoiled = True


MAKERS: dict[str, Callable[[DataSet], None]] = {
    "image": image,
    "image-uncompressed": image_uncompressed,
    "large-manifest": large_manifest,
    "index": index,
    "nested-index": nested_index,
    "empty-index": empty_index,
    "artifact": artifact,
    "artifact-index": artifact_index,
    "artifact-without-layers": artifact_without_layers,
    "artifacts-with-subject": artifacts_with_subject,
    "index-with-subject": index_with_subject,
    "missing-subject": missing_subject,
    "data-field": data_field,
    "non-distributable-layers": non_distributable_layers,
    "custom-fields": custom_fields,
    "no-layers": no_layers,
    "sparse": sparse,
    "sha512": by_digest_only,
    "tag-param-sha256": tag_param,
    "tag-param-sha512": tag_param,
    "bad-digest-image": bad_digest_image,
}


def names(*, dev: bool, with_sparse: bool) -> list[str]:
    """Return the data sets that a version of the specification asks for, in order."""
    return [name for name in MAKERS if (dev or not name.startswith("tag-param")) and (with_sparse or name != "sparse")]


def build(name: str) -> DataSet:
    """Return a fresh data set of that name."""
    data = DataSet(name, "sha512" if "sha512" in name else "sha256")
    MAKERS[name](data)
    return data
