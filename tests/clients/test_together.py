"""A layer of 1 GiB, and several clients at the same time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients import test_containerd, test_docker
from tests.clients.images import TAG, Image, random_files
from tests.clients.registry import Registry
from tests.clients.shell import Shell

SLOWEST_PING = 2.0


@pytest.mark.timeout(300)
def test_a_layer_of_one_gibibyte(
    stranger: Shell, open_registry: Registry, repository: str, big: Image, tmp_path: Path
) -> None:
    name = open_registry.name(repository, "1")
    assert stranger.run("crane", "push", big.layout, name).endswith(f"@{big.digest}")
    assert open_registry.digest(repository, "1") == big.digest
    # skopeo and crane push with PATCH, oras and containerd with one PUT.
    other = open_registry.name(f"{repository}/other", "1")
    stranger.run("oras", "cp", "--from-oci-layout", "--to-plain-http", f"{big.layout}:{TAG}", other)
    assert open_registry.digest(f"{repository}/other", "1") == big.digest
    back = tmp_path / "back"
    stranger.run("skopeo", "copy", "--preserve-digests", f"docker://{name}", f"oci:{back}:1")
    assert json.loads((back / "index.json").read_text())["manifests"][0]["digest"] == big.digest
    sizes = [path.stat().st_size for path in (back / "blobs" / "sha256").iterdir()]
    assert max(sizes) > 1 << 30


@pytest.mark.timeout(300)
def test_three_pushes_at_once(
    docker: Shell, containerd: Shell, open_registry: Registry, repository: str, big: Image, tmp_path: Path
) -> None:
    """Two monolithic pushes of a gibibyte by containerd, and one push by docker; meanwhile the registry answers."""
    targets = [f"{repository}/containerd-{number}" for number in (1, 2)]
    first = test_containerd.load(containerd, open_registry, targets[0], big)
    names = [first, open_registry.name(targets[1], TAG)]
    # No registry gave it this image, so containerd has nothing to mount from and sends all of it twice.
    containerd.run("ctr", "images", "tag", *names)
    cargo = random_files(tmp_path / "cargo", 4, 16 << 20)
    (cargo / "Dockerfile").write_text("FROM scratch\nCOPY random-0 random-1 /\nCOPY random-2 random-3 /\n")
    dockers = open_registry.name(f"{repository}/docker", "1")
    docker.run("docker", "build", "--tag", dockers, cargo)

    with open_registry.watched() as traffic, pinged(open_registry) as pings, ThreadPoolExecutor(3) as pool:
        pushes = [pool.submit(test_containerd.push, containerd, open_registry, name) for name in names]
        digest = pool.submit(test_docker.push, docker, dockers).result()
        for push in pushes:
            push.result()
    assert open_registry.digest(f"{repository}/docker", "1") == digest
    for target in targets:
        assert open_registry.digest(target, TAG) == big.digest
        assert traffic.sent(target) == big.blobs()
    assert max(pings) < SLOWEST_PING, "GET /v2/ while bytes arrive"
    docker.run("docker", "image", "rm", dockers)
    assert test_docker.pull(docker, dockers) == digest


@contextmanager
def pinged(registry: Registry) -> Iterator[list[float]]:
    """Ask for `/v2/` ten times a second meanwhile; the seconds that the answers took."""
    seconds: list[float] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.1):
            start = time.monotonic()
            assert registry.http.get("/v2/").status_code == 200
            seconds.append(time.monotonic() - start)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield seconds
        finally:
            over.set()
            asking.result()
