"""Descriptors (image specification, descriptor.md): what a manifest says of other content."""

from __future__ import annotations

from dataclasses import dataclass

from moorage.core.digest import Digest


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One content that a manifest names.

    Attributes:
        media_type: as written, without interpretation.
        digest: of the content.
        size: in bytes.
        platform: `(architecture, os)` of an index's child, where given.
        urls: where a foreign layer may be had; never fetched by us.
    """

    media_type: str
    digest: Digest
    size: int
    platform: tuple[str, str] | None = None
    urls: tuple[str, ...] = ()
