"""docker with its classic store: Debian's daemon and its own program. It cannot delete in a registry."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.clients.images import GREETING, Image, random_files, rootfs
from tests.clients.registry import Registry
from tests.clients.shell import Shell

DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})", re.IGNORECASE)
DOCKERFILE = """
FROM scratch
ADD rootfs.tar /
COPY cargo /cargo
RUN ["/bin/sh", "-c", "/bin/busybox sha256sum /cargo/* > /checksums"]
CMD ["/bin/cat", "/greeting"]
"""


@pytest.fixture
def shell(docker: Shell, registry: Registry) -> Shell:
    if registry.account:
        sign_in(docker, registry)
    return docker


def sign_in(docker: Shell, registry: Registry) -> None:
    assert registry.account is not None
    user, password = registry.account.user, registry.account.password
    login = ["docker", "login", "--username", user, "--password-stdin", registry.host]
    assert "Login Succeeded" in docker.run(*login, stdin=password)


def build(docker: Shell, folder: Path, name: str) -> None:
    """Build an image of three layers; one of them is like no other."""
    context = folder / "context"
    random_files(context / "cargo", 3, 500_000)
    (context / "rootfs.tar").write_bytes(rootfs())
    (context / "Dockerfile").write_text(DOCKERFILE)
    docker.run("docker", "build", "--tag", name, context)


def push(docker: Shell, name: str) -> str:
    found = DIGEST.search(docker.run("docker", "push", name))
    assert found
    return found[1]


def pull(docker: Shell, name: str) -> str:
    found = DIGEST.search(docker.run("docker", "pull", name))
    assert found
    return found[1]


def run(docker: Shell, name: str, *command: str) -> str:
    return docker.run("docker", "run", "--rm", "--network", "none", name, *command)


def test_login(docker: Shell, locked_registry: Registry, repository: str, tmp_path: Path) -> None:
    stranger = docker.with_environment(DOCKER_CONFIG=str(tmp_path / "config"))
    name = locked_registry.name(repository, "1")
    build(stranger, tmp_path, name)
    refused = stranger.refused("docker", "push", name)
    assert "no basic auth credentials" in refused or "requested access to the resource is denied" in refused
    wrong = ["--username", "sailor", "--password-stdin", locked_registry.host]
    stranger.refused("docker", "login", *wrong, stdin="wrong")
    sign_in(stranger, locked_registry)
    assert push(stranger, name) == locked_registry.digest(repository, "1")
    stranger.run("docker", "logout", locked_registry.host)
    stranger.refused("docker", "pull", name)


def test_build_push_pull_and_run(shell: Shell, registry: Registry, repository: str, tmp_path: Path) -> None:
    name = registry.name(repository, "1")
    build(shell, tmp_path, name)
    before = shell.run("docker", "image", "inspect", "--format", "{{.Id}}", name)
    with registry.watched() as traffic:
        digest = push(shell, name)
        manifest = registry.manifest(repository, "1")
        assert manifest["layers"][1]["digest"] in traffic.sent(repository)
    assert registry.digest(repository, "1") == digest
    assert registry.has_everything(repository, "1")
    assert manifest["config"]["digest"] == before

    shell.run("docker", "image", "rm", "--force", before)
    assert pull(shell, name) == digest
    assert shell.run("docker", "image", "inspect", "--format", "{{.Id}}", name) == before
    assert run(shell, name) == GREETING
    assert run(shell, name, "/bin/busybox", "sha256sum", "-c", "/checksums").count(": OK") == 3
    assert pull(shell, registry.name(repository, digest)) == digest


def test_mount_from_another_repository(shell: Shell, registry: Registry, repository: str, tmp_path: Path) -> None:
    source, target = f"{repository}/source", f"{repository}/target"
    build(shell, tmp_path, registry.name(source, "1"))
    digest = push(shell, registry.name(source, "1"))
    shell.run("docker", "tag", registry.name(source, "1"), registry.name(target, "1"))
    with registry.watched() as traffic:
        assert push(shell, registry.name(target, "1")) == digest
        manifest = registry.manifest(target, "1")
        assert traffic.mounted(target) == sorted(layer["digest"] for layer in manifest["layers"])
        assert traffic.sent(target) == [manifest["config"]["digest"]], "which docker never mounts"
    assert registry.digest(target, "1") == digest
    assert registry.has_everything(target, "1")


def test_pull_of_all_tags(shell: Shell, registry: Registry, repository: str, tmp_path: Path) -> None:
    # The only command of docker that reads the list of tags.
    build(shell, tmp_path, registry.name(repository, "1"))
    for tag in ("2", "3"):
        shell.run("docker", "tag", registry.name(repository, "1"), registry.name(repository, tag))
    shell.run("docker", "push", "--all-tags", registry.name(repository))
    assert registry.tags(repository) == ["1", "2", "3"]
    for tag in ("1", "2", "3"):
        shell.run("docker", "image", "rm", registry.name(repository, tag))
    shell.run("docker", "pull", "--all-tags", registry.name(repository))
    listed = shell.run("docker", "image", "ls", "--format", "{{.Tag}}", registry.name(repository))
    assert sorted(listed.split()) == ["1", "2", "3"]


def test_pull_from_an_index(shell: Shell, registry: Registry, repository: str, multi: Image) -> None:
    name = registry.name(repository, "1")
    registry.put(repository, multi, "1")
    assert pull(shell, name) == multi.digest
    assert run(shell, name) == GREETING
    assert run(shell, name, "/bin/cat", "/platform") == "amd64"
    shell.run("docker", "pull", "--platform", "linux/arm64", name)
    assert shell.run("docker", "image", "inspect", "--format", "{{.Architecture}}", name) == "arm64"


def test_manifest_list(docker: Shell, open_registry: Registry, repository: str, tmp_path: Path) -> None:
    # Open only: for a loopback address `docker manifest` speaks plain HTTP, whatever it is told.
    parts = []
    for architecture in ("amd64", "arm64"):
        parts.append(open_registry.name(repository, architecture))
        build(docker, tmp_path / architecture, parts[-1])
        push(docker, parts[-1])
    name = open_registry.name(repository, "list")
    docker.run("docker", "manifest", "create", "--insecure", name, *parts)
    docker.run("docker", "manifest", "annotate", "--arch", "arm64", name, parts[1])
    digest = docker.run("docker", "manifest", "push", "--insecure", name).split()[-1]
    assert open_registry.digest(repository, "list") == digest
    manifest = open_registry.manifest(repository, "list")
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.list.v2+json"
    children = [child["digest"] for child in manifest["manifests"]]
    assert sorted(children) == sorted(open_registry.digest(repository, tag) for tag in ("amd64", "arm64"))


def test_debian(docker: Shell, open_registry: Registry, repository: str, debian: Image, tmp_path: Path) -> None:
    base, ours = open_registry.name(repository, "base"), open_registry.name(repository, "ours")
    open_registry.put(repository, debian, "base")
    assert pull(docker, base) == debian.digest
    secret = os.urandom(8).hex()
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nRUN echo {secret} > /secret && dpkg --audit\n")
    docker.run("docker", "build", "--network", "none", "--tag", ours, tmp_path)
    digest = push(docker, ours)
    assert open_registry.digest(repository, "ours") == digest
    image = docker.run("docker", "image", "inspect", "--format", "{{.Id}}", ours)
    docker.run("docker", "image", "rm", "--force", image)
    assert pull(docker, ours) == digest
    assert run(docker, ours, "cat", "/secret") == secret
    assert "apt" in run(docker, ours, "dpkg-query", "--show", "--showformat", "${Package}\\n").split()
