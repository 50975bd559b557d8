"""Moorage as a program of its own, for the length of a `with`: free port, temporary root, two workers."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

READY_SECONDS = 30.0
STOP_SECONDS = 30.0
WORKERS = 2
PASSWORD = "conform to it"


class NotReady(Exception):
    """The server ended or did not answer in time; the message has the end of its log."""


@dataclass(frozen=True)
class Server:
    """A running registry. `ca` is the authority of its certificate, None where it speaks http.

    login: `user:password`, "" where everybody may do everything.
    """

    name: str
    url: str
    ca: Path | None
    sparse: bool
    log: Path | None = None
    login: str = ""


@dataclass(frozen=True)
class Certificates:
    """Files of an authority and of a certificate for the loopback address that it signed."""

    ca: Path
    certificate: Path
    key: Path


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listened on a moment ago."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def make_certificates(folder: Path) -> Certificates:
    """Write a new authority and a certificate of 127.0.0.1 and localhost into a folder."""
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "conformance authority")])
    ca = (
        _certificate(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .add_extension(_usage(signs=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    leaf = (
        _certificate(subject, ca_name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .add_extension(_usage(signs=False), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    made.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    made.certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    made.key.touch(mode=0o600)
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=7))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


@contextmanager
def running(*, tls: bool, sparse: bool, database: str, login: str = "") -> Iterator[Server]:
    """Start Moorage and end it; `database` is "sqlite" or "postgresql" (a cluster of its own is started).

    login: "token" for accounts of its own and tokens, "basic" for an htpasswd file, "" for an open registry.

    Raises:
        NotReady: it did not start.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="conformance-")))
        environment = {"REGISTRY_VALIDATION_MANIFESTS_SPARSE": "true"} if sparse else {}
        if database == "postgresql":
            from tests.support.postgres import running_cluster

            cluster = stack.enter_context(running_cluster())
            environment["REGISTRY_DATABASE_URL"] = stack.enter_context(cluster.database())
        certificates = make_certificates(folder) if tls else None
        if certificates:
            environment["REGISTRY_HTTP_TLS_CERTIFICATE"] = str(certificates.certificate)
            environment["REGISTRY_HTTP_TLS_KEY"] = str(certificates.key)
        environment |= _asking(folder, login)
        port = free_port()
        words = ("https" if tls else "http", database, "sparse" if sparse else "", login)
        server = Server(
            " ".join(word for word in words if word),
            f"{'https' if tls else 'http'}://127.0.0.1:{port}",
            certificates.ca if certificates else None,
            sparse,
            folder / "log",
            f"admin:{PASSWORD}" if login else "",
        )
        process = _start(folder, port, environment)
        stack.callback(_stop, process)
        _wait(process, server)
        yield server


def _asking(folder: Path, login: str) -> dict[str, str]:
    """The environment of a server that wants a login."""
    if login == "token":
        return {"REGISTRY_AUTH": "local", "MOORAGE_ADMIN_PASSWORD": PASSWORD}
    if login == "basic":
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()
        (folder / "htpasswd").write_text(f"admin:{hashed}\n")
        return {"REGISTRY_AUTH_HTPASSWD_REALM": "conformance", "REGISTRY_AUTH_HTPASSWD_PATH": f"{folder}/htpasswd"}
    return {}


def _start(folder: Path, port: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).with_name("moorage")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "MOORAGE_"))}
    command = [str(program), "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--root", str(folder / "root"), "--workers", str(WORKERS)]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, env={**clean, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _wait(process: subprocess.Popen[bytes], server: Server) -> None:
    context = ssl.create_default_context(cafile=server.ca) if server.ca else None
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with (
            suppress(OSError, urllib.error.URLError),
            urllib.request.urlopen(server.url + "/readyz", timeout=5, context=context) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.1)
    state = "did not get ready" if process.poll() is None else f"ended with {process.returncode}"
    raise NotReady(f"the server {state}:\n{tail(server.log)}")


def tail(log: Path | None) -> str:
    """Return the end of a server's log."""
    return log.read_text(errors="replace")[-4000:] if log and log.exists() else ""


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
