"""containerd's own program ctr. It has no login (each command takes a password), no list of tags and no delete."""

from __future__ import annotations

import secrets

import pytest

from tests.clients.images import GREETING, TAG, Image
from tests.clients.registry import Registry
from tests.clients.shell import Shell


@pytest.fixture
def shell(containerd: Shell) -> Shell:
    return containerd


def access(registry: Registry) -> list[str]:
    """How a command reaches the registry."""
    if registry.account is None:
        return ["--plain-http"]
    return ["--user", f"{registry.account.user}:{registry.account.password}", *trust(registry)]


def trust(registry: Registry) -> list[str]:
    """For localhost containerd takes plain HTTP unless a folder says otherwise."""
    assert registry.ca is not None
    folder = registry.ca.with_name("hosts")
    host = folder / registry.host
    host.mkdir(parents=True, exist_ok=True)
    address = f"https://{registry.host}"
    (host / "hosts.toml").write_text(f'server = "{address}"\n[host."{address}"]\nca = "{registry.ca}"\n')
    return ["--hosts-dir", str(folder)]


def load(shell: Shell, registry: Registry, repository: str, image: Image) -> str:
    """Bring an image into containerd without a registry; its name there."""
    name = registry.name(repository)
    every = ["--all-platforms", "--no-unpack", "--base-name", name]
    shell.run("ctr", "images", "import", *every, image.archive())
    return f"{name}:{TAG}"


def push(shell: Shell, registry: Registry, name: str) -> None:
    shell.run("ctr", "images", "push", *access(registry), name)


def pull(shell: Shell, registry: Registry, name: str) -> None:
    shell.run("ctr", "images", "pull", *access(registry), name)


def digest_of(shell: Shell, name: str) -> str:
    for line in shell.run("ctr", "images", "ls", f"name=={name}").splitlines():
        if line.startswith(f"{name} "):
            return line.split()[2]
    raise AssertionError(f"no image {name}")


def forget(shell: Shell, name: str) -> None:
    """Remove an image with everything that only it holds, so that a pull has to fetch it."""
    shell.run("ctr", "images", "rm", "--sync", name)


def test_password(shell: Shell, secured_registry: Registry, repository: str, small: Image) -> None:
    name = load(shell, secured_registry, repository, small)
    attempt = ["ctr", "images", "push", *trust(secured_registry)]
    assert "401 Unauthorized" in shell.refused(*attempt, name)
    assert "401 Unauthorized" in shell.refused(*attempt, "--user", "sailor:wrong", name)
    push(shell, secured_registry, name)
    assert secured_registry.digest(repository, TAG) == small.digest


def test_push_pull_and_run(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    name = load(shell, registry, repository, small)
    with registry.watched() as traffic:
        push(shell, registry, name)
        methods = {one.method for one in traffic.requests() if "/blobs/uploads/" in one.uri}
        assert methods == {"POST", "PUT"}, "a whole blob in one PUT"
        assert traffic.sent(repository) == small.blobs()
    assert registry.digest(repository, TAG) == small.digest
    forget(shell, name)
    pull(shell, registry, name)
    assert digest_of(shell, name) == small.digest
    said = shell.run("ctr", "run", "--rm", name, f"moorage-{secrets.token_hex(4)}")
    assert said == GREETING


def test_a_multi_arch_index(shell: Shell, registry: Registry, repository: str, multi: Image) -> None:
    name = load(shell, registry, repository, multi)
    push(shell, registry, name)
    assert registry.digest(repository, TAG) == multi.digest
    assert registry.has_everything(repository, TAG)
    forget(shell, name)
    shell.run("ctr", "images", "pull", "--all-platforms", *access(registry), name)
    assert digest_of(shell, name) == multi.digest
    stored = set(shell.run("ctr", "content", "ls", "--quiet").split())
    assert set(multi.blobs()) <= stored


def test_mount_from_another_repository(shell: Shell, registry: Registry, repository: str, small: Image) -> None:
    source, target = f"{repository}/source", f"{repository}/target"
    registry.put(source, small, TAG)
    pull(shell, registry, registry.name(source, TAG))
    shell.run("ctr", "images", "tag", registry.name(source, TAG), registry.name(target, TAG))
    with registry.watched() as traffic:
        push(shell, registry, registry.name(target, TAG))
        assert traffic.mounted(target) == small.blobs()
        assert traffic.sent(target) == []
    assert registry.digest(target, TAG) == small.digest
    assert registry.has_everything(target, TAG)


def test_an_image_that_is_there_is_not_sent_again(
    shell: Shell, registry: Registry, repository: str, small: Image
) -> None:
    name = load(shell, registry, repository, small)
    push(shell, registry, name)
    with registry.watched() as traffic:
        push(shell, registry, name)
        assert {one.method for one in traffic.requests()} == {"HEAD"}
