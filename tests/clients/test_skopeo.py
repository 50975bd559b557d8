"""skopeo: containers/image, which podman, buildah and CRI-O push and pull with too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.images import Image
from tests.clients.registry import Registry
from tests.clients.shell import Shell


@pytest.fixture
def shell(shell: Shell, registry: Registry) -> Shell:
    if registry.account:
        sign_in(shell, registry)
    return shell


def sign_in(shell: Shell, registry: Registry) -> str:
    assert registry.account is not None
    user, password = registry.account.user, registry.account.password
    return shell.run("skopeo", "login", "--username", user, "--password-stdin", registry.host, stdin=password)


def push(shell: Shell, image: Image, name: str) -> None:
    shell.run("skopeo", "copy", "--all", "--preserve-digests", f"oci:{image.source}", f"docker://{name}")


def digest_of(shell: Shell, name: str) -> str:
    return shell.run("skopeo", "inspect", "--format", "{{.Digest}}", f"docker://{name}")


def test_login(stranger: Shell, locked_registry: Registry, repository: str, small: Image) -> None:
    host = locked_registry.host
    name = locked_registry.name(repository, "1")
    refused = stranger.refused("skopeo", "copy", f"oci:{small.source}", f"docker://{name}")
    # The last is what a token without the right is told.
    assert any(words in refused for words in ("unauthorized", "authentication required", "access to the resource is"))
    stranger.refused("skopeo", "login", "--username", "sailor", "--password-stdin", host, stdin="wrong")
    assert "Login Succeeded" in sign_in(stranger, locked_registry)
    push(stranger, small, name)
    stranger.run("skopeo", "logout", host)
    stranger.refused("skopeo", "inspect", f"docker://{name}")


def test_push_and_pull(shell: Shell, registry: Registry, repository: str, small: Image, tmp_path: Path) -> None:
    name = registry.name(repository, "1")
    push(shell, small, name)
    assert registry.digest(repository, "1") == digest_of(shell, name) == small.digest
    assert registry.has_everything(repository, "1")
    shell.run("skopeo", "copy", "--preserve-digests", f"docker://{name}", f"oci:{tmp_path}/back:1")
    index = json.loads((tmp_path / "back" / "index.json").read_text())
    assert index["manifests"][0]["digest"] == small.digest


def test_a_multi_arch_index(shell: Shell, registry: Registry, repository: str, multi: Image, tmp_path: Path) -> None:
    name = registry.name(repository, "1")
    push(shell, multi, name)
    assert registry.digest(repository, "1") == multi.digest
    assert registry.has_everything(repository, "1")
    inspect = ["skopeo", "--override-arch", "arm64", "--override-variant", "v8", "inspect", "--config"]
    assert json.loads(shell.run(*inspect, f"docker://{name}"))["architecture"] == "arm64"
    shell.run("skopeo", "copy", "--all", "--preserve-digests", f"docker://{name}", f"oci:{tmp_path}/back:1")
    index = json.loads((tmp_path / "back" / "index.json").read_text())
    assert index["manifests"][0]["digest"] == multi.digest


def test_docker_schema_2(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    name = registry.name(repository, "1")
    shell.run("skopeo", "copy", "--format", "v2s2", f"oci:{small.source}", f"docker://{name}")
    manifest = registry.manifest(repository, "1")
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert registry.digest(repository, "1") == digest_of(shell, name)


def test_mount_from_another_repository(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    source, target = f"{repository}/source", f"{repository}/target"
    push(shell, small, registry.name(source, "1"))
    with registry.watched() as traffic:
        copy = ["skopeo", "copy", "--preserve-digests"]
        shell.run(*copy, f"docker://{registry.name(source, '1')}", f"docker://{registry.name(target, '1')}")
        assert traffic.mounted(target) == small.layers()
        assert traffic.sent(target) == small.configs(), "which skopeo never mounts"
    assert registry.digest(target, "1") == small.digest
    assert registry.has_everything(target, "1")


def test_list_tags(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    wanted = [f"1.{number}" for number in range(5)] + ["latest"]
    for tag in wanted:
        push(shell, small, registry.name(repository, tag))
    listed = json.loads(shell.run("skopeo", "list-tags", f"docker://{registry.name(repository)}"))
    assert listed["Tags"] == registry.tags(repository) == sorted(wanted)


def test_delete(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    name = registry.name(repository, "1")
    push(shell, small, name)
    shell.run("skopeo", "delete", f"docker://{name}")
    assert not registry.has_manifest(repository, small.digest)
    assert not registry.has_manifest(repository, "1")
    shell.refused("skopeo", "inspect", f"docker://{name}")


def test_sync_of_a_repository(shell: Shell, registry: Registry, repository: str, small: Image, tmp_path: Path) -> None:
    for tag in ("a", "b"):
        push(shell, small, registry.name(repository, tag))
    shell.run("skopeo", "sync", "--src", "docker", "--dest", "dir", registry.name(repository), tmp_path)
    found = sorted(path.parent.name for path in tmp_path.rglob("manifest.json"))
    assert found == [f"{Path(repository).name}:{tag}" for tag in ("a", "b")]
