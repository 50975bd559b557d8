"""What is said of the files of TLS, and how often."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from moorage.cli import certificates
from moorage.cli.certificates import Watch, check_files, stamps
from moorage.cli.errors import CannotStart
from moorage.config.settings import TlsSettings
from tests.support.certificates import PEM, Authority, Pair


@pytest.fixture
def tls(tmp_path: Path) -> TlsSettings:
    """A certificate and its key."""
    return TlsSettings(*Authority("server").write(tmp_path, "tls"))


def other_key(folder: Path) -> Path:
    return Authority("other").write(folder, "other")[1]


def protected(pair: Pair) -> bytes:
    how = serialization.BestAvailableEncryption(b"a password")
    made: bytes = pair.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, how)
    return made


def test_what_fits_together_passes(tls: TlsSettings) -> None:
    check_files(tls)


def test_a_missing_certificate(tls: TlsSettings) -> None:
    tls.certificate.unlink()
    with pytest.raises(CannotStart, match=r"tls\.pem cannot be read \(No such file .*\); see http\.tls\.certificate"):
        check_files(tls)


def test_a_missing_key(tls: TlsSettings) -> None:
    tls.key.unlink()
    with pytest.raises(CannotStart, match=r"tls\.key cannot be read \(No such file .*\); see http\.tls\.key"):
        check_files(tls)


def test_a_directory_is_no_certificate(tls: TlsSettings) -> None:
    tls.certificate.unlink()
    tls.certificate.mkdir()
    with pytest.raises(CannotStart, match=r"cannot be read \(Is a directory\)"):
        check_files(tls)


@pytest.mark.parametrize("content", [b"", b"no certificate"])
def test_a_file_without_a_certificate(tls: TlsSettings, content: bytes) -> None:
    tls.certificate.write_bytes(content)
    with pytest.raises(CannotStart, match="holds no certificate in PEM form"):
        check_files(tls)


def test_the_key_of_another_certificate(tls: TlsSettings, tmp_path: Path) -> None:
    shutil.copy(other_key(tmp_path), tls.key)
    with pytest.raises(CannotStart, match=r"cannot be used with .*key values mismatch"):
        check_files(tls)


def test_a_key_with_a_password_is_not_asked_for_it(tls: TlsSettings) -> None:
    pair = Authority("server")
    tls.certificate.write_bytes(pair.pem)
    tls.key.write_bytes(protected(pair))
    with pytest.raises(CannotStart, match="without a password"):
        check_files(tls)


@pytest.mark.parametrize("names", [["gone"], ["tls.pem", "gone"]])
def test_a_missing_authority(tls: TlsSettings, tmp_path: Path, names: list[str]) -> None:
    authorities = tuple(tmp_path / name for name in names)
    with pytest.raises(CannotStart, match=r"gone cannot be read .*; see http\.tls\.clientcas"):
        check_files(TlsSettings(tls.certificate, tls.key, client_cas=authorities))


class Renewals:
    """A watch, what it asked for and what it said."""

    def __init__(self, tls: TlsSettings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.said: list[str] = []
        monkeypatch.setattr(certificates, "logger", lambda _: self)
        self.watch = Watch(tls, self._renew, stamps(tls))

    def _renew(self) -> None:
        self.count += 1

    def warning(self, _event: str, *, reason: str) -> None:
        self.said.append(reason)

    def look(self, times: int = 3) -> tuple[int, int]:
        for _ in range(times):
            self.watch.look()
        return self.count, len(self.said)


def test_a_pair_that_does_not_fit_is_said_once_for_each_change(
    tls: TlsSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewals = Renewals(tls, monkeypatch)
    assert renewals.look() == (0, 0)
    kept = tls.key.read_bytes()
    shutil.copy(other_key(tmp_path), tls.key)
    assert renewals.look() == (0, 1)
    tls.key.write_bytes(b"no key at all")
    assert renewals.look() == (0, 2)
    tls.key.write_bytes(kept)
    os.utime(tls.key, (1, 1))
    assert renewals.look() == (1, 2)
    tls.key.unlink()  # in the middle of being replaced
    assert renewals.look() == (1, 2)


def test_a_change_that_fits_is_taken_once(tls: TlsSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renewals = Renewals(tls, monkeypatch)
    for source, target in zip(Authority("new").write(tmp_path, "new"), (tls.certificate, tls.key), strict=True):
        shutil.copy(source, target)
    assert renewals.look() == (1, 0)


def test_authorities_of_clients_are_watched_too(
    tls: TlsSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tuple(Authority(name).write(tmp_path, name)[0] for name in ("one", "two"))
    renewals = Renewals(TlsSettings(tls.certificate, tls.key, client_cas=files), monkeypatch)
    assert renewals.look() == (0, 0)
    files[1].write_bytes(b"half of a file")
    assert renewals.look() == (0, 1)
    assert "two.pem holds no certificate" in renewals.said[0]
    files[1].write_bytes(Authority("three").pem)
    assert renewals.look() == (1, 1)
