"""buildah: an image made step by step, without a daemon and without a file. It cannot list or delete in a registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.images import Image, busybox, random_files, rootfs
from tests.clients.registry import Registry
from tests.clients.shell import Shell

pytestmark = pytest.mark.usefixtures("root")


@pytest.fixture
def shell(shell: Shell, registry: Registry) -> Shell:
    if registry.account:
        sign_in(shell, registry)
    return shell


def sign_in(shell: Shell, registry: Registry) -> None:
    assert registry.account is not None
    user, password = registry.account.user, registry.account.password
    login = ["buildah", "login", "--username", user, "--password-stdin", registry.host]
    assert "Login Succeeded" in shell.run(*login, stdin=password)


def build(shell: Shell, folder: Path, name: str) -> None:
    (folder / "rootfs.tar").write_bytes(rootfs())
    cargo = random_files(folder / "cargo", 2, 300_000)
    container = shell.run("buildah", "from", "scratch")
    shell.run("buildah", "add", container, folder / "rootfs.tar", "/")
    shell.run("buildah", "copy", container, cargo, "/cargo")
    shell.run("buildah", "run", container, "/bin/sh", "-c", "/bin/busybox sha256sum /cargo/* > /checksums")
    shell.run("buildah", "config", "--cmd", "/bin/sh", "--label", "watch=night", container)
    shell.run("buildah", "commit", "--rm", container, name)


def push(shell: Shell, folder: Path, name: str) -> str:
    shell.run("buildah", "push", "--digestfile", folder / "digest", name)
    return (folder / "digest").read_text()


def digest_of(shell: Shell, name: str) -> str:
    return shell.run("buildah", "inspect", "--type", "image", "--format", "{{.FromImageDigest}}", name)


def test_login(stranger: Shell, locked_registry: Registry, repository: str, tmp_path: Path) -> None:
    name = locked_registry.name(repository, "1")
    build(stranger, tmp_path, name)
    stranger.refused("buildah", "push", name)
    wrong = ["--username", "sailor", "--password-stdin", locked_registry.host]
    assert "invalid username/password" in stranger.refused("buildah", "login", *wrong, stdin="wrong")
    sign_in(stranger, locked_registry)
    assert push(stranger, tmp_path, name) == locked_registry.digest(repository, "1")
    stranger.run("buildah", "logout", locked_registry.host)
    stranger.refused("buildah", "pull", "--policy", "always", name)


def test_build_push_and_pull(shell: Shell, registry: Registry, repository: str, tmp_path: Path) -> None:
    name = registry.name(repository, "1")
    build(shell, tmp_path, name)
    digest = push(shell, tmp_path, name)
    assert registry.digest(repository, "1") == digest
    assert registry.has_everything(repository, "1")
    shell.run("buildah", "rmi", "--force", name)
    shell.run("buildah", "pull", "--policy", "always", name)
    assert digest_of(shell, name) == digest
    container = shell.run("buildah", "from", name)
    checked = shell.run("buildah", "run", container, "/bin/busybox", "sha256sum", "-c", "/checksums")
    assert checked.count(": OK") == 2
    shell.run("buildah", "rm", container)


def test_build_on_an_image_of_the_registry(
    shell: Shell, registry: Registry, repository: str, small: Image, tmp_path: Path
) -> None:
    base, ours = registry.name(repository, "base"), registry.name(repository, "ours")
    registry.put(repository, small, "base")
    (tmp_path / "busybox2").write_bytes(busybox())
    (tmp_path / "busybox2").chmod(0o755)
    (tmp_path / "Containerfile").write_text(f"FROM {base}\nCOPY busybox2 /bin/\nRUN /bin/busybox2 true\n")
    shell.run("buildah", "build", "--layers=false", "--tag", ours, tmp_path)
    digest = push(shell, tmp_path, ours)
    assert registry.digest(repository, "ours") == digest
    # Its layers are compressed anew, so they are known again by what is in them.
    config = json.loads(registry.blob(repository, registry.manifest(repository, "ours")["config"]["digest"]))
    layers = config["rootfs"]["diff_ids"]
    assert layers[:2] == json.loads(small.file(small.configs()[0]).read_bytes())["rootfs"]["diff_ids"]
    assert len(layers) == 3


def test_mount_from_another_repository(shell: Shell, registry: Registry, repository: str, tmp_path: Path) -> None:
    source, target = f"{repository}/source", f"{repository}/target"
    build(shell, tmp_path, registry.name(source, "1"))
    digest = push(shell, tmp_path, registry.name(source, "1"))
    shell.run("buildah", "tag", registry.name(source, "1"), registry.name(target, "1"))
    with registry.watched() as traffic:
        assert push(shell, tmp_path, registry.name(target, "1")) == digest
        manifest = registry.manifest(target, "1")
        assert traffic.mounted(target) == sorted(layer["digest"] for layer in manifest["layers"])
        assert traffic.sent(target) == [manifest["config"]["digest"]], "which buildah never mounts"
    assert registry.digest(target, "1") == digest
    assert registry.has_everything(target, "1")


def test_a_multi_arch_index(shell: Shell, registry: Registry, repository: str, tmp_path: Path) -> None:
    ours = registry.name(repository, "ours")
    shell.run("buildah", "manifest", "create", ours)
    for architecture in ("amd64", "arm64"):
        place = tmp_path / architecture
        place.mkdir()
        part = registry.name(repository, architecture)
        build(shell, place, part)
        shell.run("buildah", "manifest", "add", "--arch", architecture, ours, part)
    shell.run("buildah", "manifest", "push", "--all", "--digestfile", tmp_path / "digest", ours, f"docker://{ours}")
    assert registry.digest(repository, "ours") == (tmp_path / "digest").read_text()
    assert registry.has_everything(repository, "ours")
    found = [child["platform"]["architecture"] for child in registry.manifest(repository, "ours")["manifests"]]
    assert found == ["amd64", "arm64"]
