"""Secrets that we make: long and random, so that a fast hash is enough to keep them and to find them again.

`mrg_<kind>_<43 characters>`: the prefix lets scanners of leaked secrets find them, and tells us what to look up.
"""

from __future__ import annotations

import hashlib
import secrets

PAT, ROBOT, REFRESH, SESSION = "pat", "rob", "ref", "ses"


def new_secret(kind: str) -> str:
    """A secret with 256 bits of chance."""
    return f"mrg_{kind}_{secrets.token_urlsafe(32)}"


def kind_of(secret: str) -> str:
    """`pat`, `rob`, `ref` or `ses`; empty for what is none of ours."""
    parts = secret.split("_", 2)
    known = len(parts) == 3 and parts[0] == "mrg" and parts[1] in (PAT, ROBOT, REFRESH, SESSION)
    return parts[1] if known and len(secret) == 51 else ""


def hash_secret(secret: str) -> str:
    """What is kept of a secret, and what it is looked up by: equal time for every guess, 64 hex digits."""
    return hashlib.sha256(secret.encode()).hexdigest()
