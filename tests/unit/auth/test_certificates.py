"""Client certificates in `Client-Cert`: read, checked, mapped, revoked."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from moorage.auth.certificate_settings import CertificateRule, CertificateSettings
from moorage.auth.certificates import CertificateRefused, Certificates
from moorage.core.clock import SystemClock
from tests.support.certificates import DAY, NOW, Authority, Pair

SPIFFE = "spiffe://example.org/ns/ci/sa/builder"
RULES = (
    CertificateRule("uri", "spiffe://example.org/ns/ci/sa/*", robot="ci+builder"),
    CertificateRule("email", "alice@example.com", user="alice"),
    CertificateRule("dns", "*.ci.example.com", robot="ci+host"),
    CertificateRule("subject", "CN=*,OU=Staff", user="staff"),
)


def header(pair: Pair) -> str:
    return f":{base64.b64encode(pair.der).decode()}:"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Clients")


def door(tmp_path: Path, authority: Authority, *lists: bytes, stale: bool = False) -> Certificates:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.pem)
    files = []
    for number, content in enumerate(lists):
        files.append(tmp_path / f"{number}.crl")
        files[-1].write_bytes(content)
    return Certificates(CertificateSettings(ca, RULES, tuple(files), stale), SystemClock())


def refused(certificates: Certificates, value: str, chain: str = "") -> str:
    with pytest.raises(CertificateRefused) as caught:
        certificates.rule_of(value, chain)
    return str(caught.value)


def test_rules(tmp_path: Path, authority: Authority) -> None:
    certificates = door(tmp_path, authority)
    expected = {
        "ci+builder": authority.issue(uris=(SPIFFE,)),
        "alice": authority.issue(emails=("alice@example.com",)),
        "ci+host": authority.issue(dns=("other.example.com", "A.ci.example.com")),
        "staff": authority.issue("bob", unit="Staff"),
    }
    for owner, pair in expected.items():
        for _ in range(2):
            rule = certificates.rule_of(header(pair), "")
            assert rule is not None
            assert owner in (rule.user, rule.robot)


@pytest.mark.parametrize(
    "names",
    [
        {"uris": (SPIFFE + "/x",)},
        {"uris": ("spiffe://evil.org/ns/ci/sa/builder",)},
        {"uris": ("x" + SPIFFE,)},
        {"dns": ("a.b.ci.example.com",)},
        {"dns": ("ci.example.com.evil.org",)},
        {"emails": ("alice@example.com.evil.org",)},
        {"name": "a,OU=Staff"},
        {"name": "a\\,OU=Staff"},
        {"name": "alice@example.com"},
    ],
)
def test_no_rule_fits(tmp_path: Path, authority: Authority, names: dict[str, object]) -> None:
    assert door(tmp_path, authority).rule_of(header(authority.issue(**names)), "") is None  # type: ignore[arg-type]


def test_chain_of_certificates(tmp_path: Path, authority: Authority) -> None:
    between = Authority("Between", authority)
    pair = between.issue(uris=(SPIFFE,))
    certificates = door(tmp_path, authority)
    assert certificates.rule_of(header(pair), header(between)) is not None
    refused(certificates, header(pair))
    refused(certificates, header(pair), ", ".join([header(between)] * 20))


def test_what_is_not_valid(tmp_path: Path, authority: Authority) -> None:
    certificates = door(tmp_path, authority)
    foreign = Authority("Clients")
    for pair in (
        authority.issue(uris=(SPIFFE,), end=NOW - DAY / 2),
        authority.issue(uris=(SPIFFE,), start=NOW + DAY / 2),
        authority.issue(uris=(SPIFFE,), server=True),
        foreign.issue(uris=(SPIFFE,)),
        authority,
    ):
        refused(certificates, header(pair))
    refused(certificates, header(foreign.issue(uris=(SPIFFE,))), header(foreign))


@pytest.mark.parametrize("text", ["", "::", ":AAAA:", "garbage", ":====:", ":AAAA", "\u00ff", ":" + "A" * 40000 + ":"])
def test_garbage(tmp_path: Path, authority: Authority, text: str) -> None:
    certificates = door(tmp_path, authority)
    refused(certificates, text)
    good = header(authority.issue(uris=(SPIFFE,)))
    refused(certificates, f"{good}, {good}")
    refused(certificates, good[1:-1])
    if text:
        refused(certificates, good, text)


def test_revoked(tmp_path: Path, authority: Authority) -> None:
    bad, good = authority.issue(uris=(SPIFFE,)), authority.issue(uris=(SPIFFE,))
    certificates = door(tmp_path, authority, authority.revoke(bad))
    assert "revoked" in refused(certificates, header(bad))
    assert certificates.rule_of(header(good), "") is not None


def test_revocation_list_must_be_right_and_fresh(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issue(uris=(SPIFFE,))
    forged = authority.revoke(signer=ec.generate_private_key(ec.SECP256R1()))
    assert "no revocation list" in refused(door(tmp_path, authority, forged), header(pair))
    old = authority.revoke(until=NOW - DAY / 2)
    assert "no revocation list" in refused(door(tmp_path, authority, old), header(pair))
    assert door(tmp_path, authority, old, stale=True).rule_of(header(pair), "") is not None
    revoked = authority.revoke(pair, until=NOW - DAY / 2)
    assert "revoked" in refused(door(tmp_path, authority, revoked, stale=True), header(pair))


def test_files_are_read_again(tmp_path: Path, authority: Authority) -> None:
    pair, now = authority.issue(uris=(SPIFFE,)), [0.0]
    ca, revocations = tmp_path / "ca.pem", tmp_path / "list.crl"
    ca.write_bytes(authority.pem)
    revocations.write_bytes(authority.revoke())
    settings = CertificateSettings(ca, RULES, (revocations,))
    certificates = Certificates(settings, SystemClock(), lambda: now[0])
    assert certificates.rule_of(header(pair), "") is not None
    revocations.write_bytes(authority.revoke(pair))
    now[0] += 1.1
    assert "revoked" in refused(certificates, header(pair))
    revocations.write_bytes(b"garbage")
    now[0] += 1.1
    assert "revoked" in refused(certificates, header(pair))
