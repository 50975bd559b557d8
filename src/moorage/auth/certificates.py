"""Client certificates as a proxy in front passes them on (RFC 9440): read, checked, and mapped to a name.

The proxy has proved that the client holds the key. Everything else is checked here again, so that a proxy that asks for
certificates without looking at them lets nobody in.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from moorage.auth.certificate_chain import LONGEST_CHAIN, ChainRefused, check_chain
from moorage.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from moorage.auth.certificate_settings import CertificateRule, CertificateSettings
    from moorage.core.clock import Clock

LONGEST_HEADER = 32_768
MOST_KNOWN = 1000
KNOWN_SECONDS = 60.0
"""How long the result of a check is remembered."""

_CHECK_EVERY = 1.0
_SEQUENCE = re.compile(r":([A-Za-z0-9+/]*={0,2}):", re.ASCII)
_ANY = {"subject": r"[^/,@\\+]*", "dns": r"[^.]*", "email": r"[^@]*", "uri": r"[^/]*"}
_KINDS: dict[str, type[x509.GeneralName]] = {
    "dns": x509.DNSName,
    "email": x509.RFC822Name,
    "uri": x509.UniformResourceIdentifier,
}

_log = logger(__name__)


class CertificateRefused(Exception):
    """The certificate is not accepted; the message is for the log."""


class Certificates:
    """Checks certificates and finds the rule that fits. Not for several threads.

    The files are looked at once a second; what cannot be read leaves what was read before, and at the start nothing, so
    that no certificate is accepted.

    Args:
        settings: authorities, revocation lists, rules.
        clock: for what is valid now.
        monotonic: seconds, for the distance between two looks.
    """

    def __init__(
        self, settings: CertificateSettings, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._rules = [(rule, _regex(rule)) for rule in settings.rules]
        self._files = [settings.authorities, *settings.revocations]
        self._seen: list[tuple[int, int, int] | None] | None = None
        self._looked_at = float("-inf")
        self._roots: list[x509.Certificate] = []
        self._lists: list[x509.CertificateRevocationList] = []
        self._known: dict[tuple[str, str], tuple[float, CertificateRule | None]] = {}

    def rule_of(self, header: str, chain: str) -> CertificateRule | None:
        """The rule for a certificate that is valid; None where none fits.

        Args:
            header: the value of `Client-Cert`.
            chain: the value of `Client-Cert-Chain`, or nothing.

        Raises:
            CertificateRefused: it cannot be read, or is not valid.
        """
        self._look()
        now = self._clock.now()
        found = self._known.get((header, chain))
        if found is not None and now < found[0]:
            return found[1]
        leaf, between = read_header(header, chain)
        self._check(leaf, between, now)
        rule = next((rule for rule, regex in self._rules if _fits(leaf, rule.part, regex)), None)
        if len(self._known) >= MOST_KNOWN:
            del self._known[next(iter(self._known))]
        until = min(now + KNOWN_SECONDS, leaf.not_valid_after_utc.timestamp())
        self._known[header, chain] = (until, rule)
        return rule

    def _check(self, leaf: x509.Certificate, between: Sequence[x509.Certificate], now: float) -> None:
        try:
            chain = check_chain(leaf, between, self._roots, now)
            usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except ChainRefused as error:
            raise CertificateRefused(str(error)) from None
        except (x509.ExtensionNotFound, ValueError):
            raise CertificateRefused("it does not say that it is for clients") from None
        if ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
            raise CertificateRefused("it is not for clients")
        if self._settings.revocations:
            for one, issuer in pairwise(chain):
                self._check_revocation(one, issuer, now)

    def _check_revocation(self, one: x509.Certificate, issuer: x509.Certificate, now: float) -> None:
        lists = [each for each in self._lists if _is_signed(each, issuer)]
        fresh = [each for each in lists if self._settings.allow_stale or _is_fresh(each, now)]
        if any(each.get_revoked_certificate_by_serial_number(one.serial_number) for each in lists):
            raise CertificateRefused("it was revoked")
        if not fresh:
            raise CertificateRefused("there is no revocation list of its issuer that is up to date")

    def _look(self) -> None:
        now = self._monotonic()
        if now - self._looked_at < _CHECK_EVERY:
            return
        self._looked_at = now
        seen = [_signature(file) for file in self._files]
        if seen == self._seen:
            return
        self._seen = seen
        try:
            roots = x509.load_pem_x509_certificates(self._settings.authorities.read_bytes())
            lists = [_read_list(file) for file in self._settings.revocations]
        except (OSError, ValueError) as error:
            _log.error("files of client certificates cannot be read; those of before stay", reason=str(error))
            return
        self._roots, self._lists = roots, lists
        self._known.clear()


def read_header(header: str, chain: str) -> tuple[x509.Certificate, list[x509.Certificate]]:
    """The certificate of `Client-Cert`, and those of `Client-Cert-Chain` (RFC 9440 section 2).

    Raises:
        CertificateRefused: a header cannot be read.
    """
    if len(header) + len(chain) > LONGEST_HEADER:
        raise CertificateRefused("the header is too long")
    others = [each.strip(" \t") for each in chain.split(",")] if chain.strip(" \t") else []
    if len(others) > LONGEST_CHAIN:
        raise CertificateRefused("the chain is too long")
    return _read(header.strip(" \t")), [_read(each) for each in others]


def _read(item: str) -> x509.Certificate:
    found = _SEQUENCE.fullmatch(item)
    if found is None:
        raise CertificateRefused("the header is no byte sequence")
    try:
        return x509.load_der_x509_certificate(base64.b64decode(found[1], validate=True))
    except ValueError:
        raise CertificateRefused("the header holds no certificate") from None


def _read_list(file: Path) -> x509.CertificateRevocationList:
    """A revocation list, PEM or DER.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none, or one whose critical extensions narrow what it is about.
    """
    data = file.read_bytes()
    pem = data.lstrip().startswith(b"-----BEGIN")
    found = x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)
    if any(each.critical for each in found.extensions):
        raise ValueError(f"{file} is about some certificates only (a critical extension)")
    return found


def _is_signed(revocations: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    if revocations.issuer != issuer.subject:
        return False
    try:
        return revocations.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _is_fresh(revocations: x509.CertificateRevocationList, now: float) -> bool:
    ends = revocations.next_update_utc
    return ends is not None and now < ends.timestamp()


def _regex(rule: CertificateRule) -> re.Pattern[str]:
    flags = re.IGNORECASE if rule.part == "dns" else 0
    return re.compile(_ANY[rule.part].join(re.escape(text) for text in rule.pattern.split("*")), flags)


def _fits(leaf: x509.Certificate, part: str, regex: re.Pattern[str]) -> bool:
    if part == "subject":
        return regex.fullmatch(leaf.subject.rfc4514_string()) is not None
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return any(regex.fullmatch(name.value) for name in names if isinstance(name, _KINDS[part]))


def _signature(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
