"""Secrets that tests send to servers, so that no log of the whole run may have one of them.

Every server of `tests.support.server.serving` is looked at when it ends, in two ways: for what has the form of one of
our secrets (tokens tell themselves), and for what was sent by the tests' own clients until then.
"""

from __future__ import annotations

import base64
import binascii
import re

LEAST = 10
"""Characters of a password that is looked for: shorter ones are words that a log may well have."""

FORMS = (
    re.compile(r"mrg_(?:pat|rob|ref|ses)_[A-Za-z0-9_-]{43}"),
    re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}"),
    re.compile(r"\b[Bb]asic (?=[a-z+/]*[A-Z0-9])[A-Za-z0-9+/]{12,}={0,2}"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    re.compile(r"\$argon2id\$|\$2[aby]\$[0-9]{2}\$"),
)
"""What a log never has, whoever's it is."""

ANNOUNCEMENTS = re.compile(
    r"^(?:The htpasswd file \S+ was missing .*|moorage: the first user is 'admin' with the password '.*)$", re.MULTILINE
)
"""The lines in which a first password that the program made up is shown, once."""

_used: set[str] = set()


def note_header(value: str) -> None:
    """Take note of the value of an `Authorization` header."""
    scheme, _, rest = value.partition(" ")
    rest = rest.strip()
    if scheme.lower() == "basic":
        note(rest)
        try:
            note(base64.b64decode(rest, validate=True).decode().partition(":")[2])
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return
    elif scheme.lower() == "bearer":
        note(rest)


def note(secret: str) -> None:
    """Take note of a secret, if it is long enough to be one."""
    if len(secret) >= LEAST and len(set(secret)) > 1 and secret.isprintable():
        _used.add(secret)


def leaked(text: str) -> list[str]:
    """What of all that stands in a text; the first characters only, since this is shown."""
    text = ANNOUNCEMENTS.sub("", text)
    found = [match.group()[:12] for form in FORMS if (match := form.search(text))]
    return found + [secret[:4] + "..." for secret in _used if secret in text]
