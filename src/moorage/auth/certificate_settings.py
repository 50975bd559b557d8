"""What the operator decides about client certificates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CertificateRule:
    """Whose certificate that is.

    part: "subject" (RFC 4514), "dns", "email" or "uri" (of the subject's alternative names; SPIFFE ids are URIs).
    pattern: the whole text; `*` is anything without a separator.
    user, robot: name of an account here, exactly one of them.
    """

    part: str
    pattern: str
    user: str = ""
    robot: str = ""


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """Client certificates that a proxy in front passes on.

    authorities: PEM file of the authorities that issue them.
    rules: whose they are; the first that fits counts.
    revocations: files with revocation lists; with any, each issuer of a certificate needs one that is not out of date.
    allow_stale: take a revocation list that is out of date all the same.
    """

    authorities: Path
    rules: tuple[CertificateRule, ...]
    revocations: tuple[Path, ...] = ()
    allow_stale: bool = False
