"""Repository names, tags and references (distribution specification, "Pulling manifests").

`fullmatch` with ASCII only: `$` would let a trailing newline through, and Unicode digits would pass for digits.
"""

from __future__ import annotations

import re
from functools import lru_cache

from moorage.core.digest import Digest, looks_like_digest, parse_digest
from moorage.core.errors import NameInvalid, TagInvalid

MAX_NAME = 255
"""Characters; clients keep host, slash and name within 255 (specification, "Pulling manifests")."""

_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class Tag(str):
    """A checked tag. Make one with `parse_tag`."""

    __slots__ = ()


Reference = Tag | Digest


@lru_cache(maxsize=1024)
def parse_name(text: str) -> str:
    """Check a repository name. What was good lately is known to be: a name is asked for many times.

    Raises:
        NameInvalid: outside the grammar, or longer than `MAX_NAME`.
    """
    if len(text) > MAX_NAME or _NAME.fullmatch(text) is None:
        raise NameInvalid(
            "A repository name is made of lower-case letters and digits, joined by single '.', '_', '__' or dashes, "
            f"in parts separated by '/', {MAX_NAME} characters at most.",
            {"name": text[:MAX_NAME]},
        )
    return text


def parse_tag(text: str) -> Tag:
    """Check a tag.

    Raises:
        TagInvalid: outside the grammar (128 characters of letters, digits, '_', '.', '-'; no '.' or '-' first).
    """
    if _TAG.fullmatch(text) is None:
        raise TagInvalid(
            "A tag has up to 128 letters, digits, '_', '.' or '-', and does not begin with '.' or '-'.",
            {"tag": text[:200]},
        )
    return Tag(text)


def parse_reference(text: str) -> Reference:
    """A tag or a digest; whatever holds a colon is meant as a digest and never taken for a tag.

    Raises:
        DigestInvalid, TagInvalid: neither of the two.
    """
    return parse_digest(text) if looks_like_digest(text) else parse_tag(text)


def is_key(text: str) -> bool:
    """Whether a text is written like the key of an upload session (a lower-case UUID): safe in a path and a query."""
    return _KEY.fullmatch(text) is not None


def fallback_tag(subject: Digest) -> str:
    """The tag under which clients without a referrers API keep the referrers of `subject`.

    Distribution specification, "Referrers Tag Schema": the hexadecimal part is cut after 64 characters.
    """
    return f"{subject.algorithm}-{subject.hex[:64]}"
