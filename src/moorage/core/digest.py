"""Digests: `algorithm:hex` (image specification, descriptor.md "Digests").

Both registered algorithms are understood. The type is a `str` that was checked, so that it can go into paths, queries
and headers without a second look.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from moorage.core.errors import DigestInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    Hash = hashlib._Hash  # noqa: SLF001 - the name that typeshed gives to what `hashlib.new` returns

HEX_LENGTH = {"sha256": 64, "sha512": 128}
CANONICAL = "sha256"

_DIGEST = re.compile(r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})", re.ASCII)
_HASHES: dict[str, Callable[..., Hash]] = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}


class Digest(str):
    """A checked digest. Make one with `parse_digest` or `digest_of`, never directly from input."""

    __slots__ = ()

    @property
    def algorithm(self) -> str:
        """`sha256` or `sha512`."""
        return self[:6]

    @property
    def hex(self) -> str:
        """The part after the colon, lower case."""
        return self[7:]


def parse_digest(text: str) -> Digest:
    """Check `text` and return it as a digest.

    Raises:
        DigestInvalid: it is not `sha256:` and 64, or `sha512:` and 128 lower-case hexadecimal digits.
    """
    if _DIGEST.fullmatch(text) is None:
        raise DigestInvalid(
            "The digest must be sha256: and 64, or sha512: and 128 lower-case hexadecimal digits.",
            {"digest": text[:200]},
        )
    return Digest(text)


def looks_like_digest(reference: str) -> bool:
    """Whether a reference is meant as a digest: a tag never contains a colon."""
    return ":" in reference


def new_hash(algorithm: str) -> Hash:
    """A fresh hash of a known algorithm.

    Raises:
        DigestInvalid: the algorithm is not one of `HEX_LENGTH`.
    """
    make = _HASHES.get(algorithm)
    if make is None:
        raise DigestInvalid(
            f"The digest algorithm must be one of {', '.join(HEX_LENGTH)}.", {"algorithm": algorithm[:50]}
        )
    return make()


def digest_of(data: bytes, algorithm: str = CANONICAL) -> Digest:
    """The digest of `data`, all of it at once (for manifests and other small content)."""
    return Digest(f"{algorithm}:{_HASHES[algorithm](data).hexdigest()}")


def digest_from(algorithm: str, running: Hash) -> Digest:
    """The digest that a running hash has come to."""
    return Digest(f"{algorithm}:{running.hexdigest()}")


def check_content(wanted: Digest, found: Digest) -> None:
    """Whether what was received is what was announced.

    Raises:
        DigestInvalid: it has another digest.
    """
    if found != wanted:
        raise DigestInvalid(
            "The content received does not have the digest given.", {"given": wanted, "received": found}
        )
