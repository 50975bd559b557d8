"""Certificate authorities, certificates and revocation lists for tests, made in the test."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)
PEM = serialization.Encoding.PEM


@dataclass
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(PEM)

    @property
    def key_pem(self) -> bytes:
        written: bytes = self.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return written

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Certificate and key as files."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.pem)
        key.write_bytes(self.key_pem)
        return certificate, key


def subject(name: str, unit: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if unit:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return x509.Name(parts)


def _builder(name: x509.Name, issuer: x509.Name, key: Any, start: dt.datetime, end: dt.datetime) -> Any:
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)


class Authority(Pair):
    """An authority that issues certificates; below another one where `above` is given."""

    def __init__(self, name: str = "Test authority", above: Authority | None = None) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        signer = key if above is None else above.key
        issuer = subject(name) if above is None else above.certificate.subject
        builder = _builder(subject(name), issuer, key.public_key(), NOW - DAY, NOW + 3650 * DAY)
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(identifier, critical=False)
        super().__init__(builder.sign(signer, hashes.SHA256()), key)

    def issue(
        self,
        name: str = "somebody",
        *,
        unit: str = "",
        dns: tuple[str, ...] = (),
        uris: tuple[str, ...] = (),
        emails: tuple[str, ...] = (),
        addresses: tuple[str, ...] = (),
        server: bool = False,
        start: dt.datetime = NOW - DAY,
        end: dt.datetime = NOW + 30 * DAY,
        key: Any = None,
    ) -> Pair:
        """A certificate for clients, or for servers."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        names: list[x509.GeneralName] = [x509.DNSName(each) for each in dns]
        names += [x509.UniformResourceIdentifier(each) for each in uris]
        names += [x509.RFC822Name(each) for each in emails]
        names += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
        builder = _builder(subject(name, unit), self.certificate.subject, key.public_key(), start, end)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return Pair(builder.sign(self.key, hashes.SHA256()), key)

    def revoke(self, *pairs: Pair, until: dt.datetime = NOW + 7 * DAY, signer: Any = None) -> bytes:
        """A revocation list, as PEM."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(NOW - 2 * DAY).next_update(until)
        for pair in pairs:
            revoked = x509.RevokedCertificateBuilder().serial_number(pair.certificate.serial_number)
            builder = builder.add_revoked_certificate(revoked.revocation_date(NOW - DAY).build())
        return builder.sign(signer or self.key, hashes.SHA256()).public_bytes(PEM)
