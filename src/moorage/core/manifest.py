"""Manifests: from bytes to what a registry must know of them (image specification, manifest.md and image-index.md).

The bytes themselves are stored as they came; this reads them once, at push.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.core.descriptor import Descriptor
from moorage.core.digest import Digest, parse_digest
from moorage.core.errors import DigestInvalid, ManifestInvalid
from moorage.core.media_types import (
    DOCKER_SCHEMA1,
    DOCKER_SCHEMA1_SIGNED,
    INDEXES,
    MANIFESTS,
    OCI_ARTIFACT,
    OCI_INDEX,
    OCI_MANIFEST,
    essence,
)
from moorage.core.strict_json import decode_object, refuse_look_alikes

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SIZE = 2**63 - 1
MAX_MEDIA_TYPE = 255

_TOP = {
    name.lower(): name
    for name in (
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "manifests",
        "subject",
        "annotations",
    )
}
_PLATFORM = {name: name for name in ("architecture", "os", "os.version", "os.features", "variant", "features")}
_DESCRIPTOR = {
    name.lower(): name
    for name in ("mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType")
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a registry knows of a manifest.

    Attributes:
        media_type: under which it is stored and served.
        config: an image's config; None for an index.
        layers: an image's layers, in order.
        children: an index's entries, in order.
        subject: what this manifest refers to, if anything.
        artifact_type: own `artifactType`, else an image's config media type, else empty (specification,
            "Listing Referrers").
        annotations: own annotations.
    """

    media_type: str
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    subject: Descriptor | None
    artifact_type: str
    annotations: Mapping[str, str]

    @property
    def is_index(self) -> bool:
        """Whether it lists other manifests."""
        return self.media_type in INDEXES


def parse_manifest(data: bytes, content_type: str) -> Manifest:
    """Read a manifest that is pushed with `content_type` (may be empty: then `mediaType` counts, or else its members).

    Raises:
        ManifestInvalid: not strict JSON, of no known type, type and content at odds (CVE-2021-41190: an image that is
            also an
            index), or members of the wrong kind.
    """
    document = decode_object(data)
    refuse_look_alikes(document, _TOP)
    media_type = _media_type(document, essence(content_type).lower())
    version = document.get("schemaVersion")
    if not isinstance(version, int) or version != 2:  # 2.0 is a 2 to Python, and no number at all to Go
        raise ManifestInvalid("The manifest's schemaVersion must be 2.")
    is_index = media_type in INDEXES
    for member in ("config", "layers") if is_index else ("manifests",):
        if member in document:
            raise ManifestInvalid(f"A manifest of type {media_type} must not have the member {member!r}.")
    subject = _descriptor(document["subject"], "subject") if document.get("subject") is not None else None
    annotations = _annotations(document.get("annotations"))
    artifact_type = _text(document, "artifactType")
    if is_index:
        children = _descriptors(document, "manifests")
        return Manifest(media_type, None, (), children, subject, artifact_type, annotations)
    if "config" not in document:
        raise ManifestInvalid("An image manifest needs a config descriptor.")
    config = _descriptor(document["config"], "config")
    layers = _descriptors(document, "layers")
    return Manifest(media_type, config, layers, (), subject, artifact_type or config.media_type, annotations)


def _media_type(document: Mapping[str, object], content_type: str) -> str:
    own = _text(document, "mediaType")
    if DOCKER_SCHEMA1 in (own, content_type) or DOCKER_SCHEMA1_SIGNED in (own, content_type):
        raise ManifestInvalid("Docker schema 1 manifests are no longer accepted; push with a newer client.")
    if OCI_ARTIFACT in (own, content_type):
        raise ManifestInvalid(f"{OCI_ARTIFACT} was withdrawn; push an image manifest with an artifactType.")
    if own and content_type and own != content_type:
        raise ManifestInvalid(
            f"The Content-Type {content_type[:100]!r} and the manifest's mediaType {own[:100]!r} differ; "
            "send the latter as Content-Type."
        )
    media_type = own or content_type or _guess(document)
    if media_type not in MANIFESTS:
        raise ManifestInvalid(
            f"The manifest type {media_type[:100]!r} is not known; use one of {', '.join(sorted(MANIFESTS))}."
        )
    return media_type


def _guess(document: Mapping[str, object]) -> str:
    """OCI manifests of the first days carry no mediaType; their members tell them apart."""
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST if "config" in document else ""


def _descriptors(document: Mapping[str, object], member: str) -> tuple[Descriptor, ...]:
    values = document.get(member)
    if values is None and (member in document or member == "layers"):
        values = []  # Go writes an empty list as null, and some artifacts leave `layers` out
    if not isinstance(values, list):
        raise ManifestInvalid(f"The manifest's {member} must be a list.")
    return tuple(_descriptor(value, f"{member}[{number}]") for number, value in enumerate(values))


def _descriptor(value: object, where: str) -> Descriptor:
    if not isinstance(value, dict):
        raise ManifestInvalid(f"The manifest's {where} must be a descriptor object.")
    refuse_look_alikes(value, _DESCRIPTOR)
    size = value.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_SIZE:
        raise ManifestInvalid(f"The size of the manifest's {where} must be a whole number of bytes.")
    return Descriptor(
        media_type=_text(value, "mediaType", where),
        digest=_digest(value.get("digest"), where),
        size=size,
        platform=_platform(value.get("platform"), where),
        urls=_urls(value.get("urls"), where),
    )


def _digest(value: object, where: str) -> Digest:
    if not isinstance(value, str):
        raise ManifestInvalid(f"The manifest's {where} needs a digest.")
    try:
        return parse_digest(value)
    except DigestInvalid as error:
        raise ManifestInvalid(f"The digest of the manifest's {where} is not valid: {error.message}") from None


def _text(value: Mapping[str, object], member: str, where: str = "") -> str:
    text = value.get(member)
    if text is None:
        return ""
    if not isinstance(text, str) or len(text) > MAX_MEDIA_TYPE or not text.isprintable():
        owner = f"{where}.{member}" if where else member
        raise ManifestInvalid(f"The manifest's {owner} must be a text of at most {MAX_MEDIA_TYPE} characters.")
    return text


def _platform(value: object, where: str) -> tuple[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ManifestInvalid(f"The platform of the manifest's {where} must be an object.")
    refuse_look_alikes(value, _PLATFORM)
    return _text(value, "architecture", where), _text(value, "os", where)


def _urls(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(url, str) for url in value):
        raise ManifestInvalid(f"The urls of the manifest's {where} must be a list of texts.")
    return tuple(value)


def _annotations(value: object) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ManifestInvalid("The manifest's annotations must map texts to texts.")
    return value
