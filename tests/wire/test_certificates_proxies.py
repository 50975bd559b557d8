"""Client certificates through real proxies, which run the configuration that the how-to gives."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.certificates import Authority, Pair
from tests.support.local import PASSWORD, Accounts
from tests.support.programs import require_program
from tests.support.proxies import CADDY, HAPROXY, Proxy, in_front
from tests.support.server import Server, serving

Ask = Callable[..., httpx.Client]


class Edge:
    """A server behind a proxy, where alice (admin), the robot +ci and gone (revoked) have certificates."""

    def __init__(self, proxy: Proxy, folder: Path, stack: ExitStack) -> None:
        require_program(proxy.name)
        self.folder = folder
        self.clients, servers = Authority("Clients"), Authority("Servers")
        self.alice = self.clients.issue(emails=("alice@example.com",))
        self.robot = self.clients.issue(uris=("spiffe://example.org/ns/ci/sa/builder",))
        self.gone = self.clients.issue(emails=("alice@example.com",))
        self.crl = folder / "clients.crl"
        self.crl.write_bytes(self.clients.revoke(self.gone))
        (folder / "clients.pem").write_bytes(self.clients.pem)
        (folder / "servers.pem").write_bytes(servers.pem)
        self.server: Server = stack.enter_context(serving(folder / "server", config=self._config()))
        accounts = Accounts(self.server)
        accounts.user("alice")
        accounts.robot("+ci", "writer")
        certificate = servers.issue("localhost", dns=("localhost",), addresses=("127.0.0.1",), server=True)
        self.port = stack.enter_context(in_front(proxy, folder / "proxy", self.server.port, certificate, self.clients))

    def _config(self) -> dict[str, object]:
        certificates = {
            "authorities": str(self.folder / "clients.pem"),
            "revocations": [str(self.crl)],
            "rules": [
                {"email": "alice@example.com", "user": "alice"},
                {"uri": "spiffe://example.org/ns/ci/sa/*", "robot": "+ci"},
            ],
        }
        return {
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "root")}},
            "http": {"trustedproxies": ["127.0.0.1/32"]},
            "auth": {"local": {"certificates": certificates}},
        }


@pytest.fixture(scope="module", params=[HAPROXY, CADDY], ids=["haproxy", "caddy"])
def edge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with ExitStack() as stack:
        yield Edge(request.param, tmp_path_factory.mktemp("edge"), stack)


@pytest.fixture
def ask(edge: Edge, tmp_path: Path) -> Iterator[Ask]:
    """Makes clients of the proxy, with a certificate or none."""
    with ExitStack() as stack:

        def client(pair: Pair | None = None) -> httpx.Client:
            context = ssl.create_default_context(cafile=edge.folder / "servers.pem")
            if pair is not None:
                context.load_cert_chain(*pair.write(tmp_path, "client"))
            made = httpx.Client(base_url=f"https://localhost:{edge.port}", verify=context, timeout=30)
            return stack.enter_context(made)

        yield client


def test_push_and_pull_by_certificate_alone(edge: Edge, ask: Ask) -> None:
    robot = ask(edge.robot)
    assert robot.get("/v2/").status_code == 200
    data, digest = b"{}", "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    pushed = robot.post(f"/v2/team/app/blobs/uploads/?digest={digest}", content=data)
    assert pushed.status_code == 201, pushed.text
    assert ask(edge.alice).get(f"/v2/team/app/blobs/{digest}").content == data
    assert ask().get(f"/v2/team/app/blobs/{digest}").status_code == 401


def test_token_by_certificate(edge: Edge, ask: Ask) -> None:
    answer = ask(edge.robot).get("/token", params={"scope": "repository:team/app:push"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "repository:team/app:overwrite,push"
    bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
    assert ask().post("/v2/team/app/blobs/uploads/", headers=bearer).status_code == 202  # where no certificate is shown


def test_management_by_certificate(edge: Edge, ask: Ask) -> None:
    alice = ask(edge.alice)
    assert alice.get("/api/v1/me").json()["name"] == "alice"
    assert ask(edge.robot).get("/api/v1/me").json()["name"] == "+ci"
    assert alice.post("/api/v1/groups", json={"name": "crew"}).status_code == 201
    at_home = {"Origin": f"https://localhost:{edge.port}"}
    assert alice.post("/api/v1/groups", json={"name": "browser"}, headers=at_home).status_code == 201
    elsewhere = {"Origin": "https://evil.example"}
    assert alice.post("/api/v1/groups", json={"name": "evil"}, headers=elsewhere).status_code == 403


@pytest.mark.parametrize("door", ["/v2/", "/token", "/api/v1/me"])
def test_revoked_certificate_is_refused(door: str, edge: Edge, ask: Ask) -> None:
    assert ask(edge.alice).get(door).status_code == 200
    assert ask(edge.gone).get(door).status_code == 401  # the proxy lets it through: it was given no list


def test_header_that_the_client_wrote_is_removed(edge: Edge, ask: Ask) -> None:
    forged = {
        "Client-Cert": f":{base64.b64encode(edge.alice.der).decode()}:",
        "Client-Cert-Chain": "garbage",
        "X-Forwarded-For": "127.0.0.1",
    }
    stranger = ask()
    assert stranger.get("/api/v1/me", headers=forged).json()["kind"] == "anonymous"
    assert stranger.get("/v2/", headers=forged).status_code == 401
    assert ask(edge.robot).get("/api/v1/me", headers=forged).json()["name"] == "+ci"


def test_certificate_of_another_authority_is_turned_away_by_the_proxy(edge: Edge, ask: Ask) -> None:
    foreign = ask(Authority("Clients").issue(emails=("alice@example.com",)))
    with pytest.raises(httpx.TransportError):
        foreign.get("/v2/")


def test_password_beside_the_certificate_wins(edge: Edge, ask: Ask) -> None:
    robot = ask(edge.robot)
    assert robot.get("/api/v1/me", auth=("alice", PASSWORD)).json()["name"] == "alice"
    assert robot.get("/api/v1/me", auth=("alice", "wrong")).status_code == 401


@pytest.mark.needs("skopeo")
def test_skopeo_needs_no_login(edge: Edge, tmp_path: Path) -> None:
    """Its `--cert-dir` is what docker and podman have in `certs.d`."""
    skopeo = require_program("skopeo")
    folder, image = tmp_path / "certs", tmp_path / "image"
    folder.mkdir()
    image.mkdir()
    (folder / "ca.crt").write_bytes((edge.folder / "servers.pem").read_bytes())
    (folder / "client.cert").write_bytes(edge.robot.pem)
    (folder / "client.key").write_bytes(edge.robot.key_pem)
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    digest = hashlib.sha256(config).hexdigest()
    (image / digest).write_bytes(config)
    (image / "version").write_text("Directory Transport Version: 1.1\n")
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": f"sha256:{digest}",
            "size": len(config),
        },
        "layers": [],
    }
    (image / "manifest.json").write_text(json.dumps(manifest))
    target = f"docker://localhost:{edge.port}/team/skopeo:one"
    made = subprocess.run(
        [skopeo, "--insecure-policy", "copy", "--dest-cert-dir", str(folder), f"dir:{image}", target],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    found = subprocess.run(
        [skopeo, "inspect", "--raw", "--cert-dir", str(folder), target], capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert json.loads(found.stdout) == manifest, found.stderr
