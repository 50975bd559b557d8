"""helm: charts as artifacts. It has no commands to mount, list or delete in a registry."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tests.clients.registry import Registry
from tests.clients.shell import Shell

DIGEST = re.compile(r"^Digest: (sha256:[0-9a-f]{64})$", re.MULTILINE)


@pytest.fixture
def shell(shell: Shell, registry: Registry) -> Shell:
    if registry.account:
        sign_in(shell, registry)
    return shell


def sign_in(shell: Shell, registry: Registry) -> None:
    assert registry.account is not None
    user, password = registry.account.user, registry.account.password
    shell.run("helm", "registry", "login", "--username", user, "--password-stdin", registry.host, stdin=password)


def plain(registry: Registry) -> list[str]:
    return [] if registry.secured else ["--plain-http"]


def package(shell: Shell, folder: Path, version: str) -> Path:
    if not (folder / "quay").exists():
        shell.run("helm", "create", folder / "quay")
    shell.run("helm", "package", folder / "quay", "--version", version, "--destination", folder)
    return folder / f"quay-{version}.tgz"


def push(shell: Shell, registry: Registry, chart: Path, repository: str) -> str:
    push = shell.with_stderr("helm", "push", chart, f"oci://{registry.name(repository)}", *plain(registry))
    found = DIGEST.search(push)
    assert found, push
    return found[1]


def test_login(stranger: Shell, locked_registry: Registry, repository: str, tmp_path: Path) -> None:
    chart = package(stranger, tmp_path, "1.0.0")
    stranger.refused("helm", "push", chart, f"oci://{locked_registry.name(repository)}")
    wrong = ["--username", "sailor", "--password-stdin", locked_registry.host]
    stranger.refused("helm", "registry", "login", *wrong, stdin="wrong")
    sign_in(stranger, locked_registry)
    digest = push(stranger, locked_registry, chart, repository)
    assert locked_registry.digest(f"{repository}/quay", "1.0.0") == digest
    stranger.run("helm", "registry", "logout", locked_registry.host)
    show = ["helm", "show", "chart", f"oci://{locked_registry.name(repository)}/quay"]
    stranger.refused(*show)


def test_push_and_pull(shell: Shell, registry: Registry, repository: str, tmp_path: Path) -> None:
    # A plus sign is not allowed in a tag; helm writes an underscore.
    chart = package(shell, tmp_path, "0.3.0+build.7")
    digest = push(shell, registry, chart, repository)
    assert registry.digest(f"{repository}/quay", "0.3.0_build.7") == digest
    address = f"oci://{registry.name(repository)}/quay"
    pull: list[str | Path] = ["helm", "pull", address, "--version", "0.3.0+build.7", "--destination", tmp_path / "back"]
    (tmp_path / "back").mkdir()
    assert digest in shell.with_stderr(*pull, *plain(registry))
    back = (tmp_path / "back" / chart.name).read_bytes()
    assert back == chart.read_bytes()
    layer = registry.manifest(f"{repository}/quay", "0.3.0_build.7")["layers"][0]
    assert layer["digest"] == "sha256:" + hashlib.sha256(back).hexdigest()


def test_a_version_range_reads_all_tags(shell: Shell, registry: Registry, repository: str, tmp_path: Path) -> None:
    versions = ["1.0.0", "1.2.0", "1.10.0", "2.0.0"]
    digests = {version: push(shell, registry, package(shell, tmp_path, version), repository) for version in versions}
    assert registry.tags(f"{repository}/quay") == sorted(versions)
    address = f"oci://{registry.name(repository)}/quay"
    pull = shell.with_stderr("helm", "pull", address, "--version", "^1.0", *plain(registry))
    assert digests["1.10.0"] in pull
    shown = shell.run("helm", "show", "chart", address, "--version", "~1.2", *plain(registry))
    assert "version: 1.2.0" in shown
