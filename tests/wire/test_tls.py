"""TLS at our own listener: versions, HTTP/2, client certificates, and a certificate that is renewed while it serves."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conformance.server import Certificates, make_certificates
from tests.support.server import HOST, Server, ServerError, serving
from tests.support.wire import Client, Closed, Link, digest, request, wait_until
from tests.support.workers import cpu_seconds
from tests.wire.conftest import Serve


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority and what it signed."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def tls(certificates: Certificates, **more: object) -> dict[str, object]:
    """A configuration with TLS."""
    made = {"certificate": str(certificates.certificate), "key": str(certificates.key), **more}
    return {"version": "0.1", "http": {"tls": made}, "storage": {"delete": {"enabled": True}}}


@pytest.fixture(scope="module")
def server(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that speaks TLS as it does by default."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, config=tls(certificates), ca=certificates.ca) as started:
        yield started


def limited(certificates: Certificates, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks one version of TLS."""
    context = ssl.create_default_context(cafile=certificates.ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


def connects(server: Server, context: ssl.SSLContext) -> bool:
    """Whether a client gets an answer."""
    try:
        with Link(server.connect(context=context)) as link:
            return link.ask("GET", "/v2/").status == 200
    except (ssl.SSLError, ConnectionResetError, Closed):
        return False


def test_push_and_pull_over_tls(client: Client, name: str) -> None:
    content = os.urandom(2_000_000)
    pushed = client.push_image(name, "v1", content)
    assert client.get(f"/v2/{name}/manifests/v1").expect(200).need("Docker-Content-Digest") == pushed
    assert client.get(f"/v2/{name}/blobs/{digest(content)}").expect(200).body == content
    assert client.begin(name).startswith(f"/v2/{name}/blobs/uploads/")


@pytest.mark.parametrize(
    ("minimum", "accepted"),
    [
        (None, {"TLSv1_2", "TLSv1_3"}),
        ("tls1.0", {"TLSv1_2", "TLSv1_3"}),  # broken versions are not spoken whatever is asked for
        ("tls1.2", {"TLSv1_2", "TLSv1_3"}),
        ("tls1.3", {"TLSv1_3"}),
    ],
)
def test_the_lowest_version(serve: Serve, certificates: Certificates, minimum: str | None, accepted: set[str]) -> None:
    config = tls(certificates, **({"minimumtls": minimum} if minimum else {}))
    server = serve(config=config, ca=certificates.ca, workers_wanted=1)
    found = {
        version.name
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
        if connects(server, limited(certificates, version))
    }
    assert found == accepted


@pytest.mark.parametrize("disabled", [False, True])
def test_http_2_is_offered_unless_switched_off(serve: Serve, certificates: Certificates, disabled: bool) -> None:
    config = tls(certificates)
    config["http"] = {**dict(config["http"]), "http2": {"disabled": disabled}}  # type: ignore[call-overload]
    server = serve(config=config, ca=certificates.ca, workers_wanted=1)
    context = ssl.create_default_context(cafile=certificates.ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with server.connect(context=context) as link:
        assert isinstance(link, ssl.SSLSocket)
        assert link.selected_alpn_protocol() == ("http/1.1" if disabled else "h2")
    context.set_alpn_protocols(["http/1.1"])
    assert connects(server, context)


@pytest.mark.needs("curl")
def test_push_and_pull_over_http_2(server: Server, certificates: Certificates, name: str, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "content").write_bytes(content)
    base = f"https://localhost:{server.port}/v2/{name}/blobs"

    def curl(*arguments: str) -> str:
        command = ["curl", "--silent", "--show-error", "--fail", "--http2", "--cacert", str(certificates.ca)]
        command += ["--resolve", f"localhost:{server.port}:{HOST}", "--write-out", "%{http_version} %{http_code}"]
        return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout

    file = str(tmp_path / "content")
    assert curl("--data-binary", f"@{file}", f"{base}/uploads/?digest={digest(content)}") == "2 201"
    assert curl("--output", str(tmp_path / "pulled"), f"{base}/{digest(content)}") == "2 200"
    assert (tmp_path / "pulled").read_bytes() == content
    assert curl("--head", "--output", os.devnull, f"{base}/{digest(content)}") == "2 200"
    with pytest.raises(subprocess.CalledProcessError, match="22"):  # curl's word for a status of 400 and more
        curl("--data-binary", "x" * 10_000, f"{base}/uploads/?digest=nonsense")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2 (RFC 9113 section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
GET_ROOT = b"\x82\x84\x87\x41\x01a"  # :method GET, :path /, :scheme https, :authority a (RFC 7541)


def flood(kind: str) -> list[bytes]:
    """Frames without end: streams reset at once (CVE-2023-44487), headers that go on and on (CVE-2024-27316)."""
    if kind == "rapid reset":
        resets = [frame(1, 5, 2 * n + 1, GET_ROOT) + frame(3, 0, 2 * n + 1, b"\0\0\0\x08") for n in range(20_000)]
        return [b"".join(resets[at : at + 500]) for at in range(0, len(resets), 500)]
    if kind == "endless headers":
        endless = frame(9, 0, 1, b"\x00\x05x-any\x7f\x81\x7d" + b"a" * 16_000)
        return [frame(1, 0, 1, GET_ROOT), *[endless * 8] * 250]
    one = frame(4, 0, 0, b"\0\x03\0\0\0\x64") if kind == "settings" else frame(6, 0, 0, b"12345678")
    return [one * 500] * 100


@pytest.mark.parametrize("kind", ["rapid reset", "endless headers", "settings", "ping"])
def test_a_flood_of_http_2_frames_harms_nobody(server: Server, certificates: Certificates, kind: str) -> None:
    context = ssl.create_default_context(cafile=certificates.ca)
    context.set_alpn_protocols(["h2"])
    workers = set(server.workers())
    with server.connect(timeout=5, context=context) as link:
        link.sendall(PREFACE)
        with suppress(OSError):  # the server may end it at any time
            for piece in flood(kind):
                link.sendall(piece)
                link.setblocking(False)
                with suppress(ssl.SSLWantReadError):
                    while link.recv(65536):
                        pass
                link.settimeout(5)
    with Client(server) as client:
        for _ in range(10):
            client.close()
            began = cpu_seconds(server)
            client.get("/v2/").expect(200)
            assert cpu_seconds(server) - began < 1.0, "it is still busy with the flood"
    assert set(server.workers()) == workers
    for pid in workers:
        assert int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") < 200 << 20


def test_plain_http_and_garbage_do_no_harm(server: Server, client: Client) -> None:
    for first in (b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n", os.urandom(500), b"\x16\x03\x01\xff\xff" + b"\0" * 100, b""):
        with socket.create_connection((HOST, server.port), 5) as plain:
            plain.sendall(first)
            plain.shutdown(socket.SHUT_WR)
            with Link(plain) as link:
                assert b"HTTP/1.1 200" not in link.rest()
    client.get("/v2/").expect(200)


def test_client_certificates(serve: Serve, certificates: Certificates, tmp_path: Path) -> None:
    config = tls(certificates, clientcas=[str(certificates.ca)])
    clients = ssl.create_default_context(cafile=certificates.ca)
    clients.load_cert_chain(certificates.certificate, certificates.key)
    strangers = ssl.create_default_context(cafile=certificates.ca)
    other = make_certificates(tmp_path)
    foreign = ssl.create_default_context(cafile=certificates.ca)
    foreign.load_cert_chain(other.certificate, other.key)
    server = Server(tmp_path / "server", config=config, ca=certificates.ca, workers_wanted=1)
    server.launch()
    try:
        wait_until(lambda: reachable(server))
        wait_until(lambda: connects(server, clients))
        assert not connects(server, strangers)
        assert not connects(server, foreign)
    finally:
        assert server.stop() == 0


def test_each_of_several_authorities_counts(certificates: Certificates, tmp_path: Path) -> None:
    other, strangers = (make_certificates(directory(tmp_path / name)) for name in ("other", "strangers"))
    config = tls(certificates, clientcas=[str(certificates.ca), str(other.ca)])
    server = Server(tmp_path / "server", config=config, ca=certificates.ca, workers_wanted=1)
    server.launch()

    def lets_in(pair: Certificates) -> bool:
        context = ssl.create_default_context(cafile=certificates.ca)
        context.load_cert_chain(pair.certificate, pair.key)
        return connects(server, context)

    try:
        wait_until(lambda: reachable(server))
        wait_until(lambda: lets_in(certificates))
        assert lets_in(other)
        assert not lets_in(strangers)
    finally:
        assert server.stop() == 0


def reachable(server: Server) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection((HOST, server.port), 5).close()
    except ConnectionRefusedError:
        return False
    return True


class Traffic:
    """Clients that ask on new and on kept connections all the time, and note what went wrong."""

    def __init__(self, server: Server, context: ssl.SSLContext) -> None:
        self._server = server
        self._context = context
        self._stop = threading.Event()
        self.failures: list[str] = []
        self.count = 0
        self._threads = [threading.Thread(target=work) for work in (self._short, self._short, self._kept)]

    def __enter__(self) -> Traffic:  # noqa: PYI034
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _short(self) -> None:
        while not self._stop.is_set():
            try:
                with Link(self._server.connect(context=self._context)) as link:
                    link.ask("GET", "/v2/", [("Connection", "close")]).expect(200)
                self.count += 1
            except Exception as error:  # noqa: BLE001
                self.failures.append(f"new connection: {error!r}")
            time.sleep(0.01)

    def _kept(self) -> None:
        while not self._stop.is_set():
            answered = 0
            try:
                with Link(self._server.connect(context=self._context)) as link:
                    while not self._stop.is_set():
                        answer = link.ask("GET", "/v2/").expect(200)
                        answered += 1
                        if answer.header("Connection") == "close":
                            break
                        time.sleep(0.01)
            except Exception as error:  # noqa: BLE001
                if not answered:  # an idle connection may be closed at any time; every client then asks again
                    self.failures.append(f"kept connection: {error!r}")
            self.count += answered


def test_a_renewed_certificate_is_served_soon_and_no_request_fails(serve: Serve, tmp_path: Path) -> None:
    first, second = (make_certificates(directory(tmp_path / part)) for part in ("first", "second"))
    third = make_certificates(directory(tmp_path / "third"))
    server = serve(config=tls(first), ca=first.ca)
    both = ssl.create_default_context(cafile=first.ca)
    content = os.urandom(1 << 20) * 16
    with Client(server) as client:
        found = client.push_blob("renewed", content)
    old, new = ssl.create_default_context(cafile=first.ca), ssl.create_default_context(cafile=second.ca)
    both.load_verify_locations(second.ca)
    # The half of a renewal, a key without its certificate, changes nothing.
    shutil.copy(first.key, tmp_path / "kept.key")
    replace(third.key, first.key)
    with Link(server.connect(context=old)) as slow, Traffic(server, both) as traffic:
        slow.send(request("GET", f"/v2/renewed/blobs/{found}"))
        head = slow.head().expect(200)
        time.sleep(6)
        assert connects(server, old)
        replace(second.key, first.key)
        replace(second.certificate, first.certificate)
        wait_until(lambda: connects(server, new), within=30)  # on a quiet machine 6 to 9
        wait_until(lambda: not any(connects(server, old) for _ in range(6)), within=30)
        assert digest(slow.body(head)) == found, "a pull that began before the change ends after it"
    # A worker that ends takes a connection that was made in this very moment, and has sent nothing yet, for an idle
    # one. Clients ask again; it must stay as rare as that: once for each worker.
    assert len(traffic.failures) <= 2, traffic.failures
    assert traffic.count > 100
    wait_until(lambda: len(server.workers()) == 2)


def test_a_certificate_behind_a_link_that_is_turned_is_served_soon(serve: Serve, tmp_path: Path) -> None:
    """As Kubernetes mounts a Secret: what the link named before is gone after the change."""
    first, second = (make_certificates(directory(tmp_path / part)) for part in ("first", "second"))
    link = tmp_path / "current"
    link.symlink_to("first")
    made = {"certificate": str(link / first.certificate.name), "key": str(link / first.key.name)}
    server = serve(config={"version": "0.1", "http": {"tls": made}}, ca=first.ca)
    ahead = tmp_path / "ahead"
    ahead.symlink_to("second")
    ahead.replace(link)
    old, new = ssl.create_default_context(cafile=first.ca), ssl.create_default_context(cafile=second.ca)
    first.certificate.unlink()
    first.key.unlink()
    wait_until(lambda: connects(server, new), within=20)
    wait_until(lambda: not any(connects(server, old) for _ in range(6)), within=20)


@pytest.mark.parametrize("part", ["certificate", "key", "clientcas"])
def test_a_file_that_is_not_there_is_said_in_one_sentence(
    certificates: Certificates, tmp_path: Path, part: str
) -> None:
    gone = str(tmp_path / "gone")
    config = tls(certificates, **{part: [gone] if part == "clientcas" else gone})
    with pytest.raises(ServerError, match="ended with 1"):
        Server(tmp_path / "server", config=config, ca=certificates.ca).start()
    said = Server(tmp_path / "server").log()
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith(f"moorage: {gone} cannot be read (")
    assert f"see http.tls.{part}" in said


def directory(path: Path) -> Path:
    """Make a directory."""
    path.mkdir()
    return path


def replace(source: Path, target: Path) -> None:
    """Put a file in the place of another at once, as ACME clients do."""
    new = target.with_suffix(".new")
    shutil.copy(source, new)
    new.replace(target)
