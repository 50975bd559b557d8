"""oras: artifacts of any type, referrers, and copies of whole images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.images import TAG, Image
from tests.clients.registry import Registry
from tests.clients.shell import Shell

TYPE = "application/vnd.moorage.cargo"


@pytest.fixture
def shell(shell: Shell, registry: Registry) -> Shell:
    if registry.account:
        sign_in(shell, registry)
    return shell


def sign_in(shell: Shell, registry: Registry) -> None:
    assert registry.account is not None
    user, password = registry.account.user, registry.account.password
    # For localhost oras takes plain HTTP unless it is told otherwise.
    login = ["oras", "login", "--plain-http=false", "--username", user, "--password-stdin", registry.host]
    assert "Login Succeeded" in shell.run(*login, stdin=password)


def plain(registry: Registry, option: str = "--plain-http") -> str:
    return f"{option}={'false' if registry.secured else 'true'}"


def push(shell: Shell, registry: Registry, image: Image, name: str) -> None:
    shell.run("oras", "cp", "--from-oci-layout", plain(registry, "--to-plain-http"), f"{image.layout}:{TAG}", name)


def artifact(folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    files = {"manifest.txt": b"tea, 12 chests\n", "empty.txt": b"", "chart.bin": bytes(range(256)) * 1000}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


def test_login(stranger: Shell, locked_registry: Registry, repository: str, small: Image) -> None:
    name = locked_registry.name(repository, "1")
    resolve = ["oras", "resolve", "--plain-http=false", name]
    assert "401" in stranger.refused(*resolve) or "credential" in stranger.refused(*resolve)
    wrong = ["--username", "sailor", "--password-stdin", locked_registry.host]
    stranger.refused("oras", "login", "--plain-http=false", *wrong, stdin="wrong")
    sign_in(stranger, locked_registry)
    push(stranger, locked_registry, small, name)
    assert stranger.run(*resolve) == small.digest
    stranger.run("oras", "logout", locked_registry.host)
    stranger.refused(*resolve)


def test_push_and_pull_of_an_artifact(shell: Shell, registry: Registry, repository: str, tmp_path: Path) -> None:
    name = registry.name(repository, "1")
    files = artifact(tmp_path / "cargo")
    here = shell.within(tmp_path / "cargo")
    pushed = json.loads(
        here.run("oras", "push", plain(registry), "--format", "json", "--artifact-type", TYPE, name, *files)
    )
    assert registry.digest(repository, "1") == pushed["digest"]
    assert shell.run("oras", "resolve", plain(registry), name) == pushed["digest"]
    assert registry.manifest(repository, "1")["artifactType"] == TYPE
    shell.run("oras", "pull", plain(registry), "--output", tmp_path / "back", name)
    assert {path.name: path.read_bytes() for path in (tmp_path / "back").iterdir()} == files


def test_push_and_pull_of_an_index(
    shell: Shell, registry: Registry, repository: str, multi: Image, tmp_path: Path
) -> None:
    name = registry.name(repository, "1")
    push(shell, registry, multi, name)
    assert registry.digest(repository, "1") == multi.digest
    assert registry.has_everything(repository, "1")
    back = tmp_path / "back"
    shell.run("oras", "cp", plain(registry, "--from-plain-http"), "--to-oci-layout", name, f"{back}:1")
    assert shell.run("oras", "resolve", "--oci-layout", f"{back}:1") == multi.digest


def test_mount_from_another_repository(shell: Shell, registry: Registry, repository: str, multi: Image) -> None:
    source, target = f"{repository}/source", f"{repository}/target"
    push(shell, registry, multi, registry.name(source, "1"))
    with registry.watched() as traffic:
        both = [plain(registry, "--from-plain-http"), plain(registry, "--to-plain-http")]
        shell.run("oras", "cp", *both, registry.name(source, "1"), registry.name(target, "1"))
        assert traffic.mounted(target) == multi.blobs()
        assert traffic.sent(target) == []
    assert registry.digest(target, "1") == multi.digest
    assert registry.has_everything(target, "1")


def test_tags_and_repositories(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    push(shell, registry, small, registry.name(repository, "1,2,v3"))
    listed = shell.run("oras", "repo", "tags", plain(registry), registry.name(repository))
    assert listed.split() == registry.tags(repository) == ["1", "2", "v3"]
    assert repository in shell.run("oras", "repo", "ls", plain(registry), registry.host).split()


def test_referrers(shell: Shell, registry: Registry, repository: str, small: Image, tmp_path: Path) -> None:
    name = registry.name(repository, "1")
    push(shell, registry, small, name)
    artifact(tmp_path / "cargo")
    here = shell.within(tmp_path / "cargo")
    attached = {}
    for kind in ("signature", "sbom"):
        attach = ["oras", "attach", plain(registry), "--format", "json", "--artifact-type", f"{TYPE}.{kind}"]
        attached[kind] = json.loads(here.run(*attach, name, "manifest.txt"))["digest"]
    discover = ["oras", "discover", plain(registry), "--format", "json"]
    found = json.loads(shell.run(*discover, name))["referrers"]
    assert {one["digest"] for one in found} == set(attached.values())
    assert {one["digest"] for one in registry.referrers(repository, small.digest)} == set(attached.values())
    filtered = json.loads(shell.run(*discover, "--artifact-type", f"{TYPE}.sbom", name))["referrers"]
    assert [one["digest"] for one in filtered] == [attached["sbom"]]
    assert not [tag for tag in registry.tags(repository) if tag.startswith("sha256-")], "no fallback tags"
    target = f"{repository}/copy"
    both = [plain(registry, "--from-plain-http"), plain(registry, "--to-plain-http")]
    shell.run("oras", "cp", "--recursive", *both, name, registry.name(target, "1"))
    assert {one["digest"] for one in registry.referrers(target, small.digest)} == set(attached.values())


def test_delete(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    name = registry.name(repository, "1")
    push(shell, registry, small, name)
    blob = small.layers()[0]
    shell.run("oras", "manifest", "delete", plain(registry), "--force", name)
    assert not registry.has_manifest(repository, small.digest)
    assert not registry.has_manifest(repository, "1")
    shell.run("oras", "blob", "delete", plain(registry), "--force", registry.name(repository, blob))
    assert not registry.has_blob(repository, blob)
