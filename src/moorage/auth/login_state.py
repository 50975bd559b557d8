"""What must be remembered while somebody is at an OIDC provider: kept by the browser, sealed, not by us.

The cookie is encrypted and cannot be changed (AES-256-GCM), is good for one provider and ten minutes, and holds what
the answer is compared with: so an answer counts only in the browser that the question went out from.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import asdict, dataclass

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LIFE_SECONDS = 600.0

_NONCE = 12
_LONGEST = 4096
_PURPOSE = b"moorage login state 1"


@dataclass(frozen=True, slots=True, repr=False)
class LoginState:
    """One login that was begun.

    Attributes:
        provider: its name.
        state: comes back in the answer's address.
        nonce: comes back in the ID token.
        verifier: of PKCE (RFC 7636 section 4.1).
        next: where to go after it, a path of ours; empty for nowhere in particular.
        expires_at: seconds since 1970.
    """

    provider: str
    state: str
    nonce: str
    verifier: str
    next: str
    expires_at: float


def new_state(provider: str, where: str, now: float) -> LoginState:
    """A login that begins now, with 256 bits of chance in each of its three texts."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return LoginState(provider, state, nonce, verifier, where, now + LIFE_SECONDS)


class StateSeal:
    """Seals and opens.

    Args:
        secret: the operator's, of any length, the same on all instances.
    """

    def __init__(self, secret: str) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), 32, None, _PURPOSE).derive(secret.strip().encode()))

    def seal(self, state: LoginState) -> str:
        """The text for the cookie: URL-safe characters."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._cipher.encrypt(nonce, orjson.dumps(asdict(state)), state.provider.encode())
        return base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()

    def open(self, text: str, provider: str, now: float) -> LoginState | None:
        """What was sealed for this provider; None for anything else, and for what is too old."""
        if len(text) > _LONGEST:
            return None
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            plain = self._cipher.decrypt(data[:_NONCE], data[_NONCE:], provider.encode())
        except (binascii.Error, ValueError, InvalidTag):
            return None
        state = LoginState(**orjson.loads(plain))
        return state if now < state.expires_at else None
