"""regctl: regclient, the strictest reader of headers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.images import TAG, Image
from tests.clients.registry import Registry
from tests.clients.shell import Shell


@pytest.fixture
def shell(shell: Shell, registry: Registry) -> Shell:
    if registry.account:
        sign_in(shell, registry)
    else:
        shell.run("regctl", "registry", "set", "--skip-check", "--tls", "disabled", registry.host)
    return shell


def sign_in(shell: Shell, registry: Registry) -> None:
    assert registry.account is not None
    user, password = registry.account.user, registry.account.password
    shell.run("regctl", "registry", "login", "--user", user, "--pass-stdin", registry.host, stdin=password)


def push(shell: Shell, image: Image, name: str) -> None:
    shell.run("regctl", "image", "copy", f"ocidir://{image.layout}:{TAG}", name)


def digest_of(shell: Shell, name: str) -> str:
    return shell.run("regctl", "manifest", "head", "--format", "{{.GetDescriptor.Digest}}", name)


def test_login(stranger: Shell, locked_registry: Registry, repository: str, small: Image) -> None:
    name = locked_registry.name(repository, "1")
    assert "unauthorized" in stranger.refused("regctl", "manifest", "head", name)
    wrong = ["--user", "sailor", "--pass-stdin", locked_registry.host]
    stranger.refused("regctl", "registry", "login", *wrong, stdin="wrong")
    sign_in(stranger, locked_registry)
    push(stranger, small, name)
    assert digest_of(stranger, name) == small.digest
    stranger.run("regctl", "registry", "logout", locked_registry.host)
    stranger.refused("regctl", "manifest", "head", name)


def test_push_and_pull(shell: Shell, registry: Registry, repository: str, multi: Image, tmp_path: Path) -> None:
    name = registry.name(repository, "1")
    push(shell, multi, name)
    assert registry.digest(repository, "1") == digest_of(shell, name) == multi.digest
    assert registry.has_everything(repository, "1")
    shell.run("regctl", "image", "copy", name, f"ocidir://{tmp_path}/back:1")
    assert digest_of(shell, f"ocidir://{tmp_path}/back:1") == multi.digest


def test_chunks(shell: Shell, registry: Registry, repository: str) -> None:
    chunked = ["--blob-chunk", "262144", "--blob-max", "300000"]
    tls = "enabled" if registry.secured else "disabled"
    shell.run("regctl", "registry", "set", "--skip-check", "--tls", tls, *chunked, registry.host)
    content = "0123456789abcdef" * 72_000  # 1.15 MB: five chunks
    name = registry.name(repository)
    with registry.watched() as traffic:
        digest = shell.run("regctl", "blob", "put", name, stdin=content)
        chunks = [one.status for one in traffic.requests() if one.method == "PATCH"]
        assert chunks == [202] * 5
    assert registry.blob(repository, digest) == content.encode()
    assert shell.run("regctl", "blob", "get", name, digest) == content


def test_sha512(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    name = registry.name(repository, "1")
    push(shell, small, name)
    converted = registry.name(repository, "512")
    shell.run("regctl", "image", "mod", "--digest-algo", "sha512", "--create", converted, name)
    digest = digest_of(shell, converted)
    assert digest.startswith("sha512:")
    assert registry.has_manifest(repository, digest)
    layers = registry.manifest(repository, "512")["layers"]
    assert all(layer["digest"].startswith("sha512:") for layer in layers)
    assert all(registry.has_blob(repository, layer["digest"]) for layer in layers)


def test_mount_from_another_repository(shell: Shell, registry: Registry, repository: str, multi: Image) -> None:
    source, target = f"{repository}/source", f"{repository}/target"
    push(shell, multi, registry.name(source, "1"))
    with registry.watched() as traffic:
        shell.run("regctl", "image", "copy", registry.name(source, "1"), registry.name(target, "1"))
        assert traffic.mounted(target) == multi.blobs()
        assert traffic.sent(target) == []
    assert registry.digest(target, "1") == multi.digest
    assert registry.has_everything(target, "1")


def test_tags_and_repositories(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    for tag in ("2", "1", "latest"):
        push(shell, small, registry.name(repository, tag))
    listed = shell.run("regctl", "tag", "ls", registry.name(repository)).split()
    assert listed == registry.tags(repository) == ["1", "2", "latest"]
    assert repository in shell.run("regctl", "repo", "ls", registry.host).split()


def test_referrers(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    name = registry.name(repository, "1")
    push(shell, small, name)
    put = ["regctl", "artifact", "put", "--artifact-type", "application/vnd.moorage.note", "--subject", name]
    shell.run(*put, "--file-media-type", "text/plain", stdin="all is well")
    listed = json.loads(shell.run("regctl", "artifact", "list", "--format", "{{json .Descriptors}}", name))
    referrers = registry.referrers(repository, small.digest)
    assert [one["digest"] for one in listed] == [one["digest"] for one in referrers]
    assert len(referrers) == 1
    assert registry.tags(repository) == ["1"], "no fallback tag"


def test_delete(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    for tag in ("1", "2"):
        push(shell, small, registry.name(repository, tag))
    shell.run("regctl", "tag", "delete", registry.name(repository, "1"))
    assert registry.tags(repository) == ["2"]
    assert registry.has_manifest(repository, small.digest), "only the tag was deleted"
    shell.run("regctl", "manifest", "delete", registry.name(repository, small.digest))
    assert not registry.has_manifest(repository, small.digest)
    assert not registry.has_manifest(repository, "2")
    blob = small.layers()[0]
    shell.run("regctl", "blob", "delete", registry.name(repository), blob)
    assert not registry.has_blob(repository, blob)
