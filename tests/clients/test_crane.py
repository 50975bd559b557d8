"""crane: go-containerregistry, as in ko, kaniko, cosign and Tekton."""

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


def sign_in(shell: Shell, registry: Registry) -> None:
    assert registry.account is not None
    user, password = registry.account.user, registry.account.password
    shell.run("crane", "auth", "login", registry.host, "-u", user, "--password-stdin", stdin=password)


def test_login(stranger: Shell, locked_registry: Registry, repository: str, small: Image) -> None:
    name = locked_registry.name(repository, "1")
    assert "401 Unauthorized" in stranger.refused("crane", "push", small.layout, name)
    # `crane auth login` only writes a file; that a password is wrong shows later.
    stranger.run("crane", "auth", "login", locked_registry.host, "-u", "sailor", "-p", "wrong")
    refused = stranger.refused("crane", "push", small.layout, name)
    assert "401 Unauthorized" in refused or "The user name, password or token is wrong" in refused
    sign_in(stranger, locked_registry)
    stranger.run("crane", "push", small.layout, name)
    assert stranger.run("crane", "digest", name) == small.digest
    stranger.run("crane", "auth", "logout", locked_registry.host)
    stranger.refused("crane", "digest", name)


def test_push_and_pull(shell: Shell, registry: Registry, repository: str, small: Image, tmp_path: Path) -> None:
    name = registry.name(repository, "1")
    assert shell.run("crane", "push", small.layout, name).endswith(f"@{small.digest}")
    assert registry.digest(repository, "1") == shell.run("crane", "digest", name) == small.digest
    shell.run("crane", "validate", "--remote", name)
    shell.run("crane", "pull", "--format", "oci", name, tmp_path / "back")
    index = json.loads((tmp_path / "back" / "index.json").read_text())
    assert index["manifests"][0]["digest"] == small.digest


def test_a_multi_arch_index(shell: Shell, registry: Registry, repository: str, multi: Image) -> None:
    name = registry.name(repository, "1")
    shell.run("crane", "push", multi.layout, name)
    assert registry.digest(repository, "1") == shell.run("crane", "digest", name) == multi.digest
    assert registry.has_everything(repository, "1")
    for child in multi.manifest()["manifests"]:
        platform = "/".join(child["platform"][part] for part in ("os", "architecture"))
        assert shell.run("crane", "digest", "--platform", platform, name) == child["digest"]
    shell.run("crane", "validate", "--remote", name)


def test_mount_from_another_repository(shell: Shell, registry: Registry, repository: str, multi: Image) -> None:
    source, target = f"{repository}/source", f"{repository}/target"
    shell.run("crane", "push", multi.layout, registry.name(source, "1"))
    with registry.watched() as traffic:
        shell.run("crane", "copy", registry.name(source, "1"), registry.name(target, "1"))
        assert traffic.mounted(target) == multi.blobs()
        assert traffic.sent(target) == []
    assert registry.digest(target, "1") == multi.digest
    assert registry.has_everything(target, "1")


def test_tags_and_catalog(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    name = registry.name(repository, "1")
    shell.run("crane", "push", small.layout, name)
    for tag in ("2", "10", "latest"):
        shell.run("crane", "tag", name, tag)
    assert shell.run("crane", "ls", registry.name(repository)).split() == registry.tags(repository)
    assert registry.tags(repository) == ["1", "10", "2", "latest"]
    assert repository in shell.run("crane", "catalog", registry.host).split()


def test_append_and_mutate(shell: Shell, registry: Registry, repository: str, small: Image, tmp_path: Path) -> None:
    name = registry.name(repository, "1")
    shell.run("crane", "push", small.layout, name)
    (tmp_path / "cargo").write_text("tea\n")
    shell.run("tar", "-C", tmp_path, "-cf", tmp_path / "cargo.tar", "cargo")
    appended = registry.name(repository, "appended")
    shell.run("crane", "append", "--base", name, "--new_layer", tmp_path / "cargo.tar", "--new_tag", appended)
    shell.run("crane", "mutate", appended, "--label", "port=home", "--tag", appended)
    manifest = registry.manifest(repository, "appended")
    assert [layer["digest"] for layer in manifest["layers"][:2]] == [
        layer["digest"] for layer in small.manifest()["layers"]
    ]
    assert registry.digest(repository, "appended") == shell.run("crane", "digest", appended)
    shell.run("crane", "validate", "--remote", appended)


def test_delete(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    name = registry.name(repository, "1")
    shell.run("crane", "push", small.layout, name)
    shell.run("crane", "delete", registry.name(repository, small.digest))
    assert not registry.has_manifest(repository, small.digest)
    assert not registry.has_manifest(repository, "1")
    assert "MANIFEST_UNKNOWN" in shell.refused("crane", "manifest", name)
