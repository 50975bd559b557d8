"""Fixtures of the tests with real clients. They are run by `make clients`, and are no part of `make test`.

Every test is run against two registries, each with two workers: an open one over plain HTTP, and one with TLS that asks
for a password (htpasswd). Logins are tried with a third one too, which has accounts and gives out tokens. Daemons,
images, credentials and caches lie in one temporary folder.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from tests.clients.daemons import containerd_daemon, docker_daemon, overlay_works, unmount_below
from tests.clients.images import Image, big_image, debian_image, multi_image, small_image
from tests.clients.registry import Account, Registry
from tests.clients.shell import Shell
from tests.conformance.server import Certificates, make_certificates
from tests.support.local import Accounts
from tests.support.programs import missing
from tests.support.server import serving

ACCOUNT = Account("sailor", "knots and 1 anchor")
FREE_BYTES = 15 * 1024**3

CONTAINERS_CONF = """
[containers]
# A sandbox may forbid to raise limits, which is what the default does.
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
# crun 1.8 refuses machines that mount both versions of cgroups.
runtime = "runc"
"""


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Of this run; what was mounted in it is unmounted at the end, and it is removed."""
    # Not pytest's own: its long names do not fit in the address of a socket, and /tmp may be in memory.
    made = Path(tempfile.mkdtemp(prefix="moorage-clients-", dir=os.environ.get("TMPDIR", "/var/tmp")))
    try:
        if shutil.disk_usage(made).free < FREE_BYTES:
            missing(f"{FREE_BYTES >> 30} GiB free in {made.parent}")
        yield made
    finally:
        unmount_below(made)
        shutil.rmtree(made)


@pytest.fixture(scope="session")
def certificates(folder: Path) -> Certificates:
    place = folder / "certificates"
    place.mkdir()
    return make_certificates(place)


@pytest.fixture(scope="session")
def open_registry(folder: Path) -> Iterator[Registry]:
    """Without authentication, over plain HTTP."""
    config = {
        "version": 0.1,
        "log": {"formatter": "json", "level": "info"},
        "storage": {"delete": {"enabled": True}},
        "auth": "none",
    }
    with serving(folder / "open", warm=False, config=config) as server, Registry(server, None, None) as opened:
        yield opened


@pytest.fixture(scope="session")
def secured_registry(folder: Path, certificates: Certificates) -> Iterator[Registry]:
    """With TLS and a password."""
    hashed = bcrypt.hashpw(ACCOUNT.password.encode(), bcrypt.gensalt(10)).decode()
    users = folder / "htpasswd"
    users.write_text(f"{ACCOUNT.user}:{hashed}\n")
    config = {
        "version": 0.1,
        "log": {"formatter": "json", "level": "info"},
        "storage": {"delete": {"enabled": True}},
        "auth": {"htpasswd": {"realm": "Moorage", "path": str(users)}},
        "http": {"tls": {"certificate": str(certificates.certificate), "key": str(certificates.key)}},
    }
    ca = certificates.ca
    with (
        serving(folder / "secured", warm=False, config=config, ca=ca) as server,
        Registry(server, ACCOUNT, ca) as opened,
    ):
        yield opened


@pytest.fixture(scope="session")
def token_registry(folder: Path, certificates: Certificates) -> Iterator[Registry]:
    """With TLS and accounts of its own: clients have to get a token first."""
    config = {
        "version": 0.1,
        "log": {"formatter": "json", "level": "info"},
        "storage": {"delete": {"enabled": True}},
        "auth": "local",
        "limits": {"logins": {"enabled": False}},
        "http": {"tls": {"certificate": str(certificates.certificate), "key": str(certificates.key)}},
    }
    ca = certificates.ca
    with serving(folder / "token", warm=False, config=config, ca=ca) as server, Registry(server, ACCOUNT, ca) as opened:
        Accounts(server).user(ACCOUNT.user, ACCOUNT.password)
        yield opened


@pytest.fixture(scope="session", params=["secured", "token"])
def locked_registry(request: pytest.FixtureRequest) -> Registry:
    """Each of the two that ask for credentials: for a password, and for a token."""
    found: Registry = request.getfixturevalue(f"{request.param}_registry")
    return found


@pytest.fixture(scope="session", params=["open", "secured"])
def registry(request: pytest.FixtureRequest) -> Registry:
    """Each of the two registries in turn."""
    found: Registry = request.getfixturevalue(f"{request.param}_registry")
    return found


@pytest.fixture(scope="session")
def root() -> None:
    """For what keeps containers: dockerd, containerd, podman and buildah."""
    if os.geteuid() != 0:
        missing("to be run as root")


@pytest.fixture(scope="session")
def overlay(folder: Path) -> bool:
    """Whether programs may mount overlays here."""
    return os.geteuid() == 0 and overlay_works(folder)


@pytest.fixture(scope="session")
def environment(folder: Path, certificates: Certificates, overlay: bool) -> dict[str, str]:
    """What all programs are told about the machine: certificates to trust, and where to keep things."""
    place = folder / "containers"
    place.mkdir()
    (place / "containers.conf").write_text(f'{CONTAINERS_CONF}tmp_dir = "{place}/libpod"\n')
    driver = "overlay" if overlay else "vfs"
    (place / "storage.conf").write_text(
        f'[storage]\ndriver = "{driver}"\ngraphroot = "{place}/root"\nrunroot = "{place}/run"\n'
    )
    return {
        "SSL_CERT_FILE": str(certificates.ca),
        "CONTAINERS_CONF": str(place / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(place / "storage.conf"),
        "BUILDAH_ISOLATION": "chroot",
    }


@pytest.fixture(scope="session")
def registries(open_registry: Registry) -> str:
    """The file that tells podman and its like that the open registry speaks plain HTTP."""
    return f'[[registry]]\nlocation = "{open_registry.host}"\ninsecure = true\n'


@pytest.fixture(scope="module")
def shell(request: pytest.FixtureRequest, folder: Path, environment: dict[str, str], registries: str) -> Shell:
    """Programs of one file of tests, with a home of their own."""
    return _fresh_shell(folder / "home" / client_of(request), environment, registries)


@pytest.fixture
def stranger(tmp_path: Path, environment: dict[str, str], registries: str) -> Shell:
    """The same in a home that is new for each test: never signed in anywhere."""
    return _fresh_shell(tmp_path / "home", environment, registries)


@pytest.fixture
def tmp_path(folder: Path) -> Iterator[Path]:
    """Instead of pytest's own, which keeps what the last runs left: that is a gibibyte here."""
    made = Path(tempfile.mkdtemp(prefix="test-", dir=folder))
    yield made
    unmount_below(made)
    shutil.rmtree(made)


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """A repository that only this test uses."""
    test = re.sub(r"[^a-z0-9]+", "-", request.node.originalname.removeprefix("test_"))
    return f"{client_of(request)}/{test}"


@pytest.fixture(scope="session")
def small(folder: Path) -> Image:
    return small_image(folder / "images" / "small")


@pytest.fixture(scope="session")
def multi(folder: Path) -> Image:
    return multi_image(folder / "images" / "multi")


@pytest.fixture(scope="session")
def debian(folder: Path) -> Image:
    return debian_image(folder / "images" / "debian")


@pytest.fixture(scope="session")
def big(folder: Path) -> Image:
    return big_image(folder / "images" / "big")


@pytest.fixture(scope="session")
def docker(root: None, folder: Path, environment: dict[str, str], overlay: bool) -> Iterator[Shell]:
    """A shell whose `docker` has a daemon of its own."""
    with docker_daemon(Shell(folder / "home" / "docker", environment), folder / "dockerd", overlay=overlay) as ready:
        yield ready


@pytest.fixture(scope="session")
def containerd(root: None, folder: Path, environment: dict[str, str], overlay: bool) -> Iterator[Shell]:
    """A shell whose `ctr` has a daemon of its own."""
    home = Shell(folder / "home" / "containerd", environment)
    with containerd_daemon(home, folder / "containerd", overlay=overlay) as ready:
        yield ready


def client_of(request: pytest.FixtureRequest) -> str:
    """The client that a file of tests is about."""
    return str(request.module.__name__.rpartition("test_")[2])


def _fresh_shell(home: Path, environment: dict[str, str], registries: str) -> Shell:
    configuration = home / ".config" / "containers"
    configuration.mkdir(parents=True, exist_ok=True)
    (configuration / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    (configuration / "registries.conf").write_text(registries)
    runtime = home / "run"  # podman and its like keep credentials in it
    runtime.mkdir(mode=0o700, exist_ok=True)
    return Shell(home, {**environment, "XDG_RUNTIME_DIR": str(runtime)})
