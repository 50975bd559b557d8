"""Where to go after a login: only ever to a path of this very site."""

from __future__ import annotations

from urllib.parse import unquote

LONGEST = 1024


def safe_next(text: str) -> str:
    """The path, if it is one of ours; else empty.

    Browsers take `//host` for another site, also with a backslash or a tab between, and drop control characters from
    an address before they read it; a proxy may decode it once more.
    """
    decoded = text
    for _ in range(3):
        if not _is_path(decoded):
            return ""
        decoded = unquote(decoded)
    return text if text.isascii() and len(text) <= LONGEST and _is_path(decoded) else ""


def _is_path(text: str) -> bool:
    plain = text.isprintable() and " " not in text and "\\" not in text
    return plain and text.startswith("/") and not text.startswith("//")
