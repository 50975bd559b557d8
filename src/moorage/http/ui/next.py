"""Where to go after a login: only ever to a path of this very registry."""

from __future__ import annotations

import re
from urllib.parse import unquote

LONGEST = 1024

_PARTS = re.compile(r"[/?#]")


def safe_next(text: str, prefix: str = "") -> str:
    """The path, if it is one of ours; else empty.

    Browsers take `//host` for another site, also with a backslash or a tab between, drop control characters from an
    address before they read it, and take dots for a way upwards; a proxy may decode it once more.

    Args:
        text: what the browser was given by whoever sent it here.
        prefix: under which everything of ours is, without a slash at its end.
    """
    decoded = text
    for _ in range(3):
        if not _is_path(decoded, prefix):
            return ""
        decoded = unquote(decoded)
    return text if text.isascii() and len(text) <= LONGEST and _is_path(decoded, prefix) else ""


def _is_path(text: str, prefix: str) -> bool:
    plain = text.isprintable() and " " not in text and "\\" not in text and ".." not in _PARTS.split(text)
    return plain and text.startswith(f"{prefix}/") and not text.startswith("//")
