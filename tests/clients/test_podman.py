"""podman: containers/image as skopeo, with local storage of its own. It cannot delete in a registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.images import GREETING, Image, random_files, rootfs
from tests.clients.registry import Registry
from tests.clients.shell import Shell

pytestmark = pytest.mark.usefixtures("root")

CONTAINERFILE = """
FROM scratch
ADD rootfs.tar /
COPY cargo /cargo
RUN ["/bin/sh", "-c", "/bin/busybox sha256sum /cargo/* > /checksums"]
CMD ["/bin/cat", "/greeting"]
"""


@pytest.fixture
def shell(shell: Shell, registry: Registry) -> Shell:
    if registry.account:
        sign_in(shell, registry)
    return shell


def sign_in(shell: Shell, registry: Registry) -> None:
    assert registry.account is not None
    user, password = registry.account.user, registry.account.password
    login = ["podman", "login", "--username", user, "--password-stdin", registry.host]
    assert "Login Succeeded" in shell.run(*login, stdin=password)


def build(shell: Shell, folder: Path, name: str) -> None:
    context = folder / "context"
    random_files(context / "cargo", 3, 500_000)
    (context / "rootfs.tar").write_bytes(rootfs())
    (context / "Containerfile").write_text(CONTAINERFILE)
    shell.run("podman", "build", "--isolation", "chroot", "--tag", name, context)


def push(shell: Shell, folder: Path, name: str, *options: str) -> str:
    shell.run("podman", "push", "--digestfile", folder / "digest", *options, name)
    return (folder / "digest").read_text()


def digest_of(shell: Shell, name: str) -> str:
    return shell.run("podman", "image", "inspect", "--format", "{{.Digest}}", name)


def run(shell: Shell, name: str, *command: str) -> str:
    return shell.run("podman", "run", "--rm", "--network", "none", name, *command)


def test_login(stranger: Shell, locked_registry: Registry, repository: str, tmp_path: Path) -> None:
    name = locked_registry.name(repository, "1")
    build(stranger, tmp_path, name)
    stranger.refused("podman", "push", name)
    wrong = ["--username", "sailor", "--password-stdin", locked_registry.host]
    assert "invalid username/password" in stranger.refused("podman", "login", *wrong, stdin="wrong")
    sign_in(stranger, locked_registry)
    assert push(stranger, tmp_path, name) == locked_registry.digest(repository, "1")
    stranger.run("podman", "logout", locked_registry.host)
    stranger.refused("podman", "pull", name)


def test_build_push_pull_and_run(shell: Shell, registry: Registry, repository: str, tmp_path: Path) -> None:
    name = registry.name(repository, "1")
    build(shell, tmp_path, name)
    digest = push(shell, tmp_path, name)
    assert registry.digest(repository, "1") == digest
    assert registry.has_everything(repository, "1")
    shell.run("podman", "image", "rm", "--force", name)
    shell.run("podman", "pull", name)
    assert digest_of(shell, name) == digest
    assert run(shell, name) == GREETING
    assert run(shell, name, "/bin/busybox", "sha256sum", "-c", "/checksums").count(": OK") == 3


@pytest.mark.parametrize("compression", ["zstd", "zstd:chunked"])
def test_other_compressions(
    shell: Shell, registry: Registry, repository: str, tmp_path: Path, compression: str
) -> None:
    name = registry.name(repository, "1")
    build(shell, tmp_path, name)
    digest = push(shell, tmp_path, name, "--format", "oci", "--compression-format", compression)
    assert registry.digest(repository, "1") == digest
    types = {layer["mediaType"] for layer in registry.manifest(repository, "1")["layers"]}
    assert "application/vnd.oci.image.layer.v1.tar+zstd" in types
    shell.run("podman", "image", "rm", "--force", name)
    shell.run("podman", "pull", name)
    assert run(shell, name) == GREETING


def test_mount_from_another_repository(shell: Shell, registry: Registry, repository: str, tmp_path: Path) -> None:
    source, target = f"{repository}/source", f"{repository}/target"
    build(shell, tmp_path, registry.name(source, "1"))
    digest = push(shell, tmp_path, registry.name(source, "1"))
    shell.run("podman", "tag", registry.name(source, "1"), registry.name(target, "1"))
    with registry.watched() as traffic:
        assert push(shell, tmp_path, registry.name(target, "1")) == digest
        manifest = registry.manifest(target, "1")
        assert traffic.mounted(target) == sorted(layer["digest"] for layer in manifest["layers"])
        assert traffic.sent(target) == [manifest["config"]["digest"]], "which podman never mounts"
    assert registry.digest(target, "1") == digest
    assert registry.has_everything(target, "1")


def test_list_of_tags(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    for tag in ("1", "2", "latest"):
        registry.put(repository, small, tag)
    search = ["podman", "search", "--list-tags", "--format", "json", "--limit", "100", registry.name(repository)]
    found = json.loads(shell.run(*search))
    assert [one["Tags"] for one in found] == [registry.tags(repository)] == [["1", "2", "latest"]]


def test_a_multi_arch_index(shell: Shell, registry: Registry, repository: str, multi: Image, tmp_path: Path) -> None:
    name = registry.name(repository, "1")
    registry.put(repository, multi, "1")
    shell.run("podman", "pull", "--platform", "linux/riscv64", name)
    assert shell.run("podman", "image", "inspect", "--format", "{{.Architecture}}", name) == "riscv64"
    shell.run("podman", "pull", "--platform", "linux/amd64", name)
    assert run(shell, name, "/bin/cat", "/platform") == "amd64"

    ours = registry.name(repository, "ours")
    shell.run("podman", "manifest", "create", "--all", ours, f"docker://{name}")
    shell.run("podman", "manifest", "push", "--all", "--digestfile", tmp_path / "digest", ours, f"docker://{ours}")
    assert registry.digest(repository, "ours") == (tmp_path / "digest").read_text()
    assert len(registry.manifest(repository, "ours")["manifests"]) == len(multi.manifest()["manifests"])
