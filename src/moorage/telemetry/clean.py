"""What may stand in a log: no secrets, and nothing that looks like the end of a line or of a field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import PurePath
from urllib.parse import unquote_plus, unquote_to_bytes

REDACTED = "[redacted]"

_WORDS = (
    "authorization|authorisation|passw|passphrase|pwd|secret|token|cookie|credential|signature|assertion"
    "|api[-_]?key|access[-_]?key|private[-_]?key|signing[-_]?key"
)
_SECRET_NAME = re.compile(_WORDS, re.IGNORECASE)
# Parameters whose short names would match too much as parts of words: presigned URLs, OAuth codes.
_SECRET_EXACT = frozenset({"sig", "code", "jwt", "key"})
_QUERY_SUSPECT = re.compile(rb"://|basic|bearer|sig=|code=|jwt=|key=|" + _WORDS.encode(), re.IGNORECASE)
_SEPARATOR = re.compile(rb"([&;])")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")

# Every quantifier below is bounded or cannot overlap what follows it: texts of strangers pass through here.
_USERINFO = re.compile(r"(?<=://)[^\s\"'<>/?#]{1,1024}@")
_PAIR = re.compile(
    rf"((?:{_WORDS})[\w.-]{{0,64}}[\"']?\s{{0,8}}[=:]\s{{0,8}})"
    r"""(?:\[redacted\]|b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*'|(?:(?:basic|bearer|digest|negotiate)\s{1,8})?[^\s&"',;]+)""",
    re.IGNORECASE,
)
# "Basic dXNlcjpwYXNz" but not "Basic authentication": credentials have digits, padding or a capital inside.
_SCHEME = re.compile(r"\b([Bb]asic|[Bb]earer)\s{1,8}(?=\S{0,64}(?:[0-9=]|[a-z][A-Z]))[A-Za-z0-9._~+/=-]{8,}")

_DEPTH = 6
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", '"': '\\"'}


def is_secret_name(name: str) -> bool:
    """Whether a member, header or query parameter of this name holds a secret."""
    return name.lower() in _SECRET_EXACT or _SECRET_NAME.search(name) is not None


def redact_text(text: str) -> str:
    """`text` without the secrets that can be recognised in it.

    Those are user information in URLs, the values of `password=...`, `"token": "..."` and their like (also
    in a query), and the credentials after `Basic` and `Bearer`.
    """
    text = _USERINFO.sub(f"{REDACTED}@", text)
    text = _PAIR.sub(rf"\1{REDACTED}", text)
    return _SCHEME.sub(rf"\1 {REDACTED}", text)


def redact(value: object, name: str = "", depth: int = _DEPTH) -> object:
    """A copy of `value` for a log: secret members replaced, texts cleaned, anything unknown as its repr.

    Args:
        value: what somebody logs: a scalar, a container of them, or any object.
        name: the member that holds it; an exact `code` or `key` is no secret in a log, `api_key`
            is one.
        depth: how many more containers are opened; below that stands the cleaned repr.
    """
    if value is None or isinstance(value, bool):
        return value
    if name and _SECRET_NAME.search(name):
        return REDACTED
    if isinstance(value, int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, str | PurePath):
        return redact_text(str(value))
    if depth > 0 and isinstance(value, Mapping):
        return {str(key): redact(member, str(key), depth - 1) for key, member in value.items()}
    if depth > 0 and isinstance(value, list | tuple | AbstractSet):
        return [redact(member, "", depth - 1) for member in value]
    return redact_text(repr(value))


def redact_query(query: bytes) -> str:
    """A query string in ASCII, as it came but for the values of secret parameters, which read `[redacted]`.

    Percent-encoded names and a query inside of a value (`?next=%2Fx%3Ftoken%3D...`) are seen through.
    """
    if not query.isascii():
        query = _NOT_ASCII.sub(lambda match: b"%%%02X" % match[0][0], query)
    plain = unquote_to_bytes(query) if b"%" in query else query  # clients write sha256%3A...
    if b"%" not in plain and _QUERY_SUSPECT.search(plain) is None:
        return query.decode("ascii")
    parts = _SEPARATOR.split(query)
    parts[::2] = [_redact_parameter(part) for part in parts[::2]]
    return b"".join(parts).decode("ascii")


def _redact_parameter(part: bytes) -> bytes:
    name, equals, value = part.partition(b"=")
    if not value:
        return part
    inner = _decoded(value)
    if is_secret_name(_decoded(name)) or _PAIR.search(inner) or _SCHEME.search(inner) or _USERINFO.search(inner):
        return name + equals + REDACTED.encode()
    return part


def _decoded(text: bytes) -> str:
    """Percent-decoded until nothing changes, three times at most."""
    plain = text.decode("ascii")
    for _ in range(3):
        decoded = unquote_plus(plain)
        if decoded == plain:
            break
        plain = decoded
    return plain


def escape_controls(text: str) -> str:
    """`text` on one line: what does not print (control, bidirectional, separator characters) as an escape."""
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else _escape(char) for char in text])


def escape_quoted(text: str) -> str:
    """`text` to stand between double quotes: also quotes and backslashes escaped."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join([char if char.isprintable() and char not in '"\\' else _escape(char) for char in text])


def escape_word(text: str) -> str:
    """`text` as one word between blanks; `-` where it is empty, as Apache's logs have it."""
    return escape_quoted(text).replace(" ", "\\x20") or "-"


def _escape(char: str) -> str:
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    number = ord(char)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
