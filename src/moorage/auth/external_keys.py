"""The keys that tokens of another server are verified with: files of the operator, read again when they change."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from moorage.auth.oidc_tokens import IssuerKey
from moorage.core.errors import ManifestInvalid
from moorage.core.strict_json import decode_object
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from pathlib import Path

    from moorage.auth.external_settings import ExternalSettings

_CHECK_EVERY = 1.0
_LARGEST = 4 << 20
_FINGERPRINT_BYTES = 30

_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """What the files hold.

    roots: certificates of the bundle.
    by_id: keys by what tokens call them.
    by_thumbprint: the same keys by their thumbprint (RFC 7638), which nobody chooses.
    """

    roots: tuple[x509.Certificate, ...] = ()
    by_id: dict[str, IssuerKey] = field(default_factory=dict)
    by_thumbprint: dict[str, IssuerKey] = field(default_factory=dict)


class KeyFiles:
    """The keys of one issuer. Not for several threads.

    The files are looked at no more than once a second. What cannot be read changes nothing; at the start it leaves no
    key, and no token is valid then.

    Args:
        settings: where they are.
        monotonic: seconds, for the distance between two looks.
    """

    def __init__(self, settings: ExternalSettings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._files = [file for file in (settings.bundle, settings.jwks) if file is not None]
        self._settings = settings
        self._monotonic = monotonic
        self._seen: list[tuple[int, int, int] | None] | None = None
        self._looked_at = float("-inf")
        self._keys = TrustedKeys()

    def current(self) -> TrustedKeys:
        """The keys as the files have them now; the same object for as long as nothing changed."""
        now = self._monotonic()
        if now - self._looked_at < _CHECK_EVERY:
            return self._keys
        self._looked_at = now
        seen = [_signature(file) for file in self._files]
        if seen != self._seen:
            self._seen = seen
            try:
                self._keys = read_files(self._settings)
                _log.info("keys of the token issuer read", keys=len(self._keys.by_thumbprint))
            except (OSError, ValueError) as error:
                _log.error("keys of the token issuer cannot be read; those of before stay", reason=str(error))
        return self._keys


def read_files(settings: ExternalSettings) -> TrustedKeys:
    """Read the bundle and the JWK set.

    Raises:
        OSError: a file cannot be read.
        ValueError: it is not what it should be, or there is no key in them at all.
    """
    roots = () if settings.bundle is None else tuple(x509.load_pem_x509_certificates(_read(settings.bundle)))
    found = TrustedKeys(roots)
    for root in roots:
        jwk = jwk_of(root)
        if jwk is not None:
            key = _add(found, jwk, thumbprint_of(jwk))
            found.by_id[libtrust_id(root)] = key
    if settings.jwks is not None:
        for entry in _entries(settings.jwks):
            try:
                _add(found, entry, str(entry.get("kid", "")))
            except ValueError as error:
                _log.warning("key of the token issuer is passed over", kid=str(entry.get("kid", "")), reason=str(error))
    if not found.by_thumbprint:
        raise ValueError("there is no key in the files of auth.token")
    return found


def _add(found: TrustedKeys, jwk: dict[str, Any], name: str) -> IssuerKey:
    key = IssuerKey(jwk)
    if name:
        found.by_id[name] = key
    found.by_thumbprint[thumbprint_of(jwk)] = key
    return key


def _entries(file: Path) -> list[dict[str, Any]]:
    try:
        entries = decode_object(_read(file)).get("keys")
    except ManifestInvalid as error:
        raise ValueError(f"{file} is no JWK set: {error.message}") from None
    if not isinstance(entries, list):
        raise ValueError(f"{file} is no JWK set: it has no list `keys`")  # noqa: TRY004 - of a file
    return [entry for entry in entries if isinstance(entry, dict)]


def jwk_of(certificate: x509.Certificate) -> dict[str, Any] | None:
    """The public key of a certificate as JWK; None for kinds that no token is signed with."""
    key = certificate.public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if isinstance(key, RSAPublicKey):
        return dict(RSAKey.import_key(pem).as_dict(private=False))
    if isinstance(key, EllipticCurvePublicKey):
        return dict(ECKey.import_key(pem).as_dict(private=False))
    if isinstance(key, Ed25519PublicKey):
        return dict(OKPKey.import_key(pem).as_dict(private=False))
    return None


def thumbprint_of(jwk: dict[str, Any]) -> str:
    """The thumbprint of a public key (RFC 7638) with SHA-256.

    Raises:
        ValueError: it is no key.
    """
    public = {name: value for name, value in jwk.items() if name in ("kty", "n", "e", "crv", "x", "y")}
    try:
        return str(import_key(public).thumbprint())
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ValueError("not a key that can be read") from error


def libtrust_id(certificate: x509.Certificate) -> str:
    """What libtrust, and so Distribution 2 and its token servers, calls the certificate's key: `ABCD:EFGH:...`."""
    der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(der).digest()[:_FINGERPRINT_BYTES]).decode()
    return ":".join(text[at : at + 4] for at in range(0, len(text), 4))


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        data = opened.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"{file} is larger than {_LARGEST} bytes")
    return data


def _signature(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
